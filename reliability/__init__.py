"""Tries each promise of docs/reliability.md many times, and counts how often it holds."""
