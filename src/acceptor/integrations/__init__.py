"""Integrations with scikit-learn and Ray."""
