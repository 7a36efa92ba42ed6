"""Evolution as a provider of the Croupier hub."""
