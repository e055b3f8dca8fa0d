"""Atomic writes, locks, manifests, remote files."""
