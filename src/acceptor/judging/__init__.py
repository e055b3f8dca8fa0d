"""Inference: a judge, its decision and verdicts, and `predict` for files of any size."""
