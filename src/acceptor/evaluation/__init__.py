"""Scores of verdicts, with what they are worth."""
