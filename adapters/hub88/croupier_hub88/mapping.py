"""What Hub88 asks, in the hub's own terms.

Source: `reference/protocols/hub88.md`, sections "Wallet callbacks", "Amounts", "Idempotency" and "Rounds".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from croupier.contract.calls import (
    BalanceQuery,
    Call,
    Calls,
    Funding,
    Movement,
    MovementKey,
    MovementKind,
    Play,
    PlayerLookup,
    RoundFacts,
    Target,
)
from croupier.contract.fields import Fields
from croupier.contract.money import WireAmount
from croupier_hub88.codes import BALANCE, BET, INFO, ROLLBACK, WIN
from croupier_hub88.settings import Hub88Settings
from croupier_hub88.wire import UNIT

TRANSACTIONS: Final = "transaction"
"""The namespace of `transaction_uuid`: unique over bets, wins and rollbacks."""

USER: Final = "user"
REQUEST: Final = "request_uuid"
REFERENCE: Final = "reference_transaction_uuid"

_MAX_TOKEN: Final = 255
_ZERO: Final = Decimal(0)
_FACTS: Final = ("supplier_transaction_id", "bet")
_FREE: Final = (MovementKind.FREE_BET, MovementKind.FREE_WIN)
_MARKS: Final = ("is_aggregated", "is_supplier_promo")

Reader = Callable[[Fields, Hub88Settings], Calls]


def _info(fields: Fields, _settings: Hub88Settings) -> Calls:
    user = fields.text(USER)
    return _calls(fields, user, PlayerLookup(operation=INFO, player=user))


def _balance(fields: Fields, _settings: Hub88Settings) -> Calls:
    user = fields.text(USER)
    session, game = fields.text("token", _MAX_TOKEN), fields.optional_text("game_code")
    return _calls(fields, user, BalanceQuery(operation=BALANCE, player=user, session=session, game=game))


def _bet(fields: Fields, settings: Hub88Settings) -> Calls:
    currency = fields.text("currency")
    amount, free = fields.steps("amount", UNIT, currency), _is_free(fields, settings)
    keys, facts = (_key(fields, "transaction_uuid"),), _facts(fields)
    if not free:
        movement = Movement(MovementKind.BET, keys=keys, amount=amount, facts=facts)
    else:
        movement = Movement(
            MovementKind.FREE_BET,
            keys=keys,
            amount=WireAmount(_ZERO, UNIT, currency),
            stake=amount,
            funding=Funding.PROVIDER if fields.flag("is_supplier_promo") else Funding.OPERATOR,
            facts=facts,
        )
    return _play(BET, fields, movement, currency)


def _win(fields: Fields, settings: Hub88Settings) -> Calls:
    currency = fields.text("currency")
    # A supplier's promotion pays players who have no bet in its round (`reference/wallet-semantics.md`, section 1.2).
    names_none = fields.flag("is_supplier_promo") and fields.values.get(REFERENCE) is None
    kind = MovementKind.PROMO_WIN if names_none else MovementKind.WIN
    movement = Movement(
        MovementKind.FREE_WIN if _is_free(fields, settings) else kind,
        keys=(_key(fields, "transaction_uuid"),),
        amount=fields.steps("amount", UNIT, currency),
        target=None if names_none else Target(key=_key(fields, REFERENCE)),
        facts=_facts(fields),
    )
    return _play(WIN, fields, movement, currency)


def _rollback(fields: Fields, _settings: Hub88Settings) -> Calls:
    movement = Movement(
        MovementKind.ROLLBACK,
        keys=(_key(fields, "transaction_uuid"),),
        target=Target(key=_key(fields, REFERENCE)),
    )
    return _play(ROLLBACK, fields, movement)


def _play(operation: str, fields: Fields, movement: Movement, currency: str | None = None) -> Calls:
    user, staked = fields.text(USER), operation == BET
    play = Play(
        operation=operation,
        movements=(movement,),
        player=user,
        # The hub needs neither for a win or a rollback, so none is refused for lack of one.
        session=fields.text("token", _MAX_TOKEN) if staked else fields.optional_text("token", _MAX_TOKEN),
        game=fields.text("game_code") if staked else fields.optional_text("game_code"),
        round=fields.text("round"),
        currency=currency,
        closes_round=fields.flag("round_closed"),
        grant=fields.optional_text("reward_uuid") if movement.kind in _FREE else None,
    )
    return _calls(fields, user, play)


def _calls(fields: Fields, user: str, call: Call) -> Calls:
    return Calls((call,), {USER: user, REQUEST: fields.text(REQUEST)})


def _key(fields: Fields, name: str) -> MovementKey:
    return MovementKey(TRANSACTIONS, fields.text(name))


def _is_free(fields: Fields, settings: Hub88Settings) -> bool:
    return fields.flag("is_free") and not settings.charge_free_bets


def _facts(fields: Fields) -> RoundFacts | None:
    details = fields.named(_FACTS)
    for name in _MARKS:
        if fields.flag(name):
            details[name] = "true"
    return RoundFacts(details=details) if details else None


READERS: Final[Mapping[str, tuple[str, Reader]]] = {
    "/user/info": (INFO, _info),
    "/user/balance": (BALANCE, _balance),
    "/transaction/bet": (BET, _bet),
    "/transaction/win": (WIN, _win),
    "/transaction/rollback": (ROLLBACK, _rollback),
}
"""By path: the operation, and how it is read."""
