"""The commands, one function each: its arguments, one call of the library, text or JSON."""
