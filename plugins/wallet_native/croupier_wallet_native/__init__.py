"""Croupier's own wallet protocol, as a dialect plugin of the hub."""
