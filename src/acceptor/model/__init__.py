"""Encoders: finds and checks them, tokenizes text, adds a head, computes logits."""
