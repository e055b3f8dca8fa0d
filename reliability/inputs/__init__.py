"""Tries real-world files, labels, objects and machines through the public interface; `make inputs`."""
