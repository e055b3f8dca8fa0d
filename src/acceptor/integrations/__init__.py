"""Acceptor inside other tools: each behind an extra."""
