"""The command line: a file a command; `app` is the only place that exits."""
