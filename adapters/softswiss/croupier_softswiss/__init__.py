"""The SOFTSWISS adapter of the Croupier hub."""
