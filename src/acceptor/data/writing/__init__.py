"""Writes tables to files.

``write`` writes one table, complete or not at all. ``parts`` writes an output in parts, so that a long job can
resume, and joins them with ``write``.
"""
