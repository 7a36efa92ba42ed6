"""Redis or Valkey beside the ledger: it may cache, wake and limit, and losing all of it costs latency, never money.

Nothing here is believed. A cached session only spares a reading: the ledger judges its version when the bet is stored.
What cannot be read is not there, what does not answer in time is away, and what is away is asked by nobody but a
probe in the background until it is back.
"""
