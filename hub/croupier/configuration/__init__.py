"""Operators, connections, keys, games, routes and sinks: versioned rows of the ledger, resolved into live values.

Bodies are read strictly, checked against the packages that they name, and only then stored; every change is an event
with who and why. The live directory is replaced as a whole after each change, without a restart.
"""
