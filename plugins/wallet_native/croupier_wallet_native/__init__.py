"""Croupier's own wallet protocol, as a dialect plugin of the hub.

`messages` says what is on the wire, `signing` how it is proven, `dialect` how the hub speaks it, and `openapi` writes
the document that an operator implements.
"""
