"""Encoders: found, checked, given a head."""
