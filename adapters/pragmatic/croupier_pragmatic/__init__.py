"""The Pragmatic Play adapter of the Croupier hub."""
