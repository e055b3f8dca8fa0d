"""The files of a run, of a set of runs and of a search: the only code that knows their formats."""
