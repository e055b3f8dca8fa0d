"""Several trainings: seeds, folds, a search, and the processes that train them."""
