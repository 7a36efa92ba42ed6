"""Feeds event sinks from the ledger's committed events: at least once, in order per player, from where it stopped.

`lanes` decides (pure), `telling` writes events as operators are told them, `feeder` works for one sink, `pump` for all
of them, and `desk` is what a person can see and do.
"""
