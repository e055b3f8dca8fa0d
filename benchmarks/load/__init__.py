"""Tests a running server: throughput, a ledger of every request, signals, hostile clients, its description, leaks."""
