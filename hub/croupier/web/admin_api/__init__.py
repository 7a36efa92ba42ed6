"""The admin API: configuration with its history, packages, owed and held work, event sinks, events and exchanges.

Every change names who (the key) and why (asked for in each request).
"""

from croupier.web.admin_api.table import admin_table, make_admin_app

__all__ = ["admin_table", "make_admin_app"]
