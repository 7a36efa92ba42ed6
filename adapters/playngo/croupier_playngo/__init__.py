"""Play'n GO as a provider of the Croupier hub."""
