"""Comparing the hub's record with what a provider and an operator have written down, transaction by transaction."""
