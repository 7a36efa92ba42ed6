"""Acme Games as a provider of the Croupier hub."""
