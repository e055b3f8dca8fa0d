"""Several trainings: seeds, cross-validation, hyper-parameter search, and their worker processes."""
