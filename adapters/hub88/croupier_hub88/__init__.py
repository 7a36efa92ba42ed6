"""Hub88 as a provider of the Croupier hub."""
