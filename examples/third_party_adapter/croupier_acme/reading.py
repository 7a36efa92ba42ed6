"""What Acme's requests mean (section 3): a reader for each path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from croupier.contract import (
    Authenticate,
    BalanceQuery,
    Call,
    Calls,
    Fields,
    HttpRequest,
    Movement,
    MovementKey,
    MovementKind,
    Play,
    Route,
    Target,
    UnsupportedOperationError,
    read_json_object,
)

TRANSACTIONS: Final = "tx"
"""The namespace of `txId`: unique over debits and credits."""
CANCELS: Final = "cancel"
"""A cancel has no id of its own: it carries the one of its debit, so that its own key needs another namespace."""


def read(request: HttpRequest) -> Calls:
    """Say what a proven request asks for.

    Raises:
        UnsupportedOperationError: There is no such path.
        MalformedRequestError: A field is missing or wrong.
    """
    reader = _READERS.get(request.path.strip("/"))
    if reader is None or request.method != "POST":
        raise UnsupportedOperationError("the protocol has no such path", where="path")
    return Calls((reader(Fields(read_json_object(request.body))),))


def _session(fields: Fields) -> Authenticate:
    return Authenticate(operation="session", token=fields.text("sessionToken"), game=fields.text("gameId"))


def _balance(fields: Fields) -> BalanceQuery:
    return BalanceQuery(operation="balance", player=fields.text("playerId"), currency=fields.text("currency"))


def _debit(fields: Fields) -> Play:
    return _play("debit", fields, _moved(MovementKind.BET, fields), session=fields.text("sessionToken"))


def _credit(fields: Fields) -> Play:
    return _play("credit", fields, _moved(MovementKind.WIN, fields))


def _cancel(fields: Fields) -> Play:
    tx = fields.text("txId")
    movement = Movement(
        MovementKind.ROLLBACK,
        keys=(MovementKey(CANCELS, tx),),
        target=Target(key=MovementKey(TRANSACTIONS, tx)),
    )
    return _play("cancel", fields, movement)


def _moved(kind: MovementKind, fields: Fields) -> Movement:
    amount = fields.amount("amount", currency=fields.text("currency"))
    return Movement(kind, keys=(MovementKey(TRANSACTIONS, fields.text("txId")),), amount=amount)


def _play(operation: str, fields: Fields, movement: Movement, session: str | None = None) -> Play:
    return Play(
        operation=operation,
        movements=(movement,),
        player=fields.text("playerId"),
        session=session,
        round=fields.text("roundId"),
        game=fields.text("gameId"),
        currency=fields.text("currency"),
        closes_round=fields.flag("roundClosed"),
    )


_READERS: Final[Mapping[str, Callable[[Fields], Call]]] = {
    "session": _session,
    "balance": _balance,
    "debit": _debit,
    "credit": _credit,
    "cancel": _cancel,
}

ROUTES: Final = tuple([Route("POST", f"/{name}", name) for name in _READERS])
"""Every entrance; all else is answered 404 by the hub."""
