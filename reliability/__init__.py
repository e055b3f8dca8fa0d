"""Tries each promise of docs/en/reference/reliability.md many times, and counts how often it holds."""
