"""PG Soft as a provider of the Croupier hub."""
