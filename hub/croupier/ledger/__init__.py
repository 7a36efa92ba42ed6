"""The durable record: one port, engines behind it.

The hub's ledger *records*; the operator's wallet *authorises*. A balance is never answered from here.
"""
