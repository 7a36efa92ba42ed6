"""The operator's JSON API, version 1: games, launches, sessions, rounds, transactions, free rounds.

A bearer key speaks for one operator; nothing of another operator can be named, so its ids are answered with 404 like
ids that do not exist.
"""

from croupier.web.operator_api.table import make_operator_app, operator_table

__all__ = ["make_operator_app", "operator_table"]
