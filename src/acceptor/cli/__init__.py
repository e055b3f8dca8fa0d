"""The command line: one file a command, what it prints in `render`; `app` puts them together and exits."""
