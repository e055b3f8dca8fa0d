"""Tables to files, whole or in parts."""
