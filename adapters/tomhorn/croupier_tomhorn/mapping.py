"""What a method of the wallet means, and what it is answered; the same for both codecs.

Facts: `reference/protocols/tomhorn.md`, sections "Wallet callbacks", "Rollback semantics", "Rounds" and "Free games /
promo".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from croupier.contract.calls import (
    BalanceQuery,
    Call,
    Calls,
    Funding,
    Movement,
    MovementKey,
    MovementKind,
    Play,
    Target,
)
from croupier.contract.errors import MalformedRequestError, NotFoundError, UnsupportedOperationError
from croupier.contract.fields import Fields
from croupier.contract.money import MAJOR, Balance
from croupier.contract.outcomes import Applied, AppliedEffect, Declined, Outcome
from croupier_tomhorn.codes import DECLINES, DEPOSIT, GET_BALANCE, ROLLBACK, WITHDRAW, Code
from croupier_tomhorn.settings import TomhornSettings

METHOD: Final = "@method"
"""The place of the method among the fields of a proven request; no element and no field of the protocol is so named."""
REFERENCES: Final = "reference"
"""The key namespace of `reference`, which is unique over withdraws and deposits."""
ROLLBACKS: Final = "rollback"
"""A rollback carries the reference of its withdraw and none of its own."""

MAX_NAME: Final = 48
MAX_CURRENCY: Final = 10
MAX_MODULE: Final = 50

_REPEATED: Final = AppliedEffect.REPEATED
_ROUND_ENDS: Final[Mapping[str, bool]] = {"True": True, "true": True, "False": False, "false": False}

Answer = dict[str, Any]


class Mapper:
    """Reads and answers with one connection's settings.

    Args:
        settings: The connection's settings.
    """

    def __init__(self, settings: TomhornSettings) -> None:
        self._partner = settings.partner_id.lower()
        self._repeated = Code.OK if settings.duplicates == "success" else Code.DUPLICATE
        self._by_reference = settings.transaction_id == "reference"
        self._kinds = {number: MovementKind(kind) for number, kind in settings.deposit_types.items()}
        self._readers: Mapping[str, Callable[[Fields, str], Call]] = {
            GET_BALANCE: self._balance,
            WITHDRAW: self._withdraw,
            DEPOSIT: self._deposit,
            ROLLBACK: self._rollback,
        }

    def parse(self, fields: Mapping[str, Any], echo: Mapping[str, str]) -> Calls:
        """Say what proven fields ask for; a field that is null or empty counts as absent.

        Raises:
            UnsupportedOperationError: There is no such method.
            NotFoundError: The request is for another partner.
            MalformedRequestError: A field is missing or wrong.
        """
        method = fields.get(METHOD)
        reader = self._readers.get(method) if type(method) is str else None
        if reader is None:
            raise UnsupportedOperationError("the wallet has no such method", where="method")
        form = Fields({name: value for name, value in fields.items() if value is not None and value != ""})
        if form.text("partnerID").lower() != self._partner:
            raise NotFoundError("not the partner of this connection", where="partnerID")
        if "sessionID" in form.values:
            form.code("sessionID")  # the provider's own session: checked, and means nothing to the hub
        return Calls((reader(form, form.text("name", MAX_NAME)),), echo)

    def _balance(self, form: Fields, player: str) -> BalanceQuery:
        game, currency = form.optional_text("gameModule", MAX_MODULE), form.text("currency", MAX_CURRENCY)
        return BalanceQuery(operation=GET_BALANCE, player=player, game=game, currency=currency)

    def _withdraw(self, form: Fields, player: str) -> Play:
        grant = form.optional_text("fgbCampaignCode")
        kind = MovementKind.BET if grant is None else MovementKind.FREE_BET
        movement = _movement(kind, form, grant)
        if grant is not None and form.amount("amount").value != 0:
            raise MalformedRequestError("a bet of a campaign is free: its amount is 0", where="amount")
        place = _round(form)
        if place is None:
            raise MalformedRequestError("the field is missing", where="gameRoundID")
        return _play(WITHDRAW, form, movement, player=player, round=place, grant=grant)

    def _deposit(self, form: Fields, player: str) -> Play:
        grant, place = form.optional_text("fgbCampaignCode"), _round(form)
        kind = self._kinds.get(form.code("type"), MovementKind.WIN)
        if kind is MovementKind.WIN and grant is not None:
            kind = MovementKind.FREE_WIN
        elif kind is MovementKind.WIN and place is None:
            kind = MovementKind.PROMO_WIN  # a credit that belongs to no round
        facts = {"player": player, "round": place, "grant": grant, "closes_round": _ends_round(form)}
        return _play(DEPOSIT, form, _movement(kind, form, grant), **facts)

    def _rollback(self, form: Fields, player: str) -> Play:
        reference = form.code("reference")
        target = Target(key=MovementKey(REFERENCES, reference))
        movement = Movement(MovementKind.ROLLBACK, keys=(MovementKey(ROLLBACKS, reference),), target=target)
        return Play(operation=ROLLBACK, movements=(movement,), player=player)

    def answer(self, call: Call, outcome: Outcome, balance: Balance | None) -> Answer | None:
        """The fields of the answer to a call; `None` where nothing definite can be said."""
        method = call.operation
        if isinstance(outcome, Applied):
            return self._success(call, outcome, balance)
        if not isinstance(outcome, Declined):
            return None
        code = DECLINES[method][outcome.reason]
        return None if code is None else told(code)

    def _success(self, call: Call, outcome: Applied, balance: Balance | None) -> Answer | None:
        if call.operation == ROLLBACK:
            return told(Code.OK)
        if balance is None:
            return None  # it is never invented
        if call.operation == GET_BALANCE:
            return told(Code.OK) | {"Balance": {"Amount": balance.display(digits=2), "Currency": balance.code}}
        transaction = outcome.transaction
        if isinstance(call, Play) and (self._by_reference or not transaction):
            transaction = call.movements[0].reference
        shown = {"ID": transaction, "Balance": balance.display(digits=2), "Currency": balance.code}
        code = self._repeated if outcome.effect is _REPEATED else Code.OK
        return {**told(code), "Transaction": shown}


def told(code: Code) -> Answer:
    """An answer that is a code and its message."""
    return {"Code": int(code), "Message": code.text}


def _movement(kind: MovementKind, form: Fields, grant: str | None) -> Movement:
    funding = Funding.PLAYER if grant is None else Funding.OPERATOR
    amount = form.amount("amount", MAJOR, form.text("currency", MAX_CURRENCY))
    return Movement(kind, keys=(MovementKey(REFERENCES, form.code("reference")),), amount=amount, funding=funding)


def _play(method: str, form: Fields, movement: Movement, **facts: Any) -> Play:
    return Play(
        operation=method,
        movements=(movement,),
        game=form.optional_text("gameModule", MAX_MODULE),
        currency=form.text("currency", MAX_CURRENCY),
        **facts,
    )


def _round(form: Fields) -> str | None:
    """The round, if there is one: 0 is none."""
    place = form.code("gameRoundID") if "gameRoundID" in form.values else None
    return None if place == "0" else place


def _ends_round(form: Fields) -> bool:
    value = form.values.get("isRoundEnd")
    if value is None or type(value) is bool:
        return value is True
    ends = _ROUND_ENDS.get(value) if type(value) is str else None
    if ends is None:
        raise MalformedRequestError("expected True or False", where="isRoundEnd")
    return ends
