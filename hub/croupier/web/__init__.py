"""The server sockets: the provider gateway, the operator API, the admin API, and the documents about them.

The handlers know nothing of the web framework: they take and return the contract's HTTP values, so a simulation with a
virtual clock calls the very code that production runs. `croupier.web.server` and what it stands on alone know sockets.
"""
