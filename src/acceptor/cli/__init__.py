"""The command line: one file per command; `render` formats their output; `app` runs them and sets exit codes."""
