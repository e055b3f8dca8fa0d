"""Scores of verdicts, with intervals, tests and explanations."""
