"""What a method of the wallet means, and what it is answered; the same for both codecs.

Facts: `reference/protocols/tomhorn.md`, from section "Wallet callbacks" to section "Free games / promo".
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
TEXT: Final = "@text"
"""The place and the key namespace of the digest of what was signed: one text is one movement (section "Signature")."""
REFERENCES: Final = "reference"
"""The key namespace of `reference`, which is unique over withdraws and deposits."""
ROLLBACKS: Final = "rollback"
"""A rollback carries the reference of its withdraw and none of its own."""

_ROUND_ENDS: Final[Mapping[str, bool]] = {"True": True, "true": True, "False": False, "false": False}


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
        _number(form, "sessionID")  # the provider's own session: checked, and means nothing to the hub
        return Calls((reader(form, form.text("name", 48)),), echo)

    def _balance(self, form: Fields, player: str) -> BalanceQuery:
        game, currency = form.optional_text("gameModule", 50), form.text("currency", 10)
        return BalanceQuery(operation=GET_BALANCE, player=player, game=game, currency=currency)

    def _withdraw(self, form: Fields, player: str) -> Play:
        free = "fgbCampaignCode" in form.values
        if free and form.amount("amount").value != 0:
            raise MalformedRequestError("a bet of a campaign is free: its amount is 0", where="amount")
        if _number(form, "gameRoundID") is None:
            raise MalformedRequestError("the field is missing", where="gameRoundID")
        return _play(WITHDRAW, MovementKind.FREE_BET if free else MovementKind.BET, form, player)

    def _deposit(self, form: Fields, player: str) -> Play:
        kind = self._kinds.get(form.code("type"), MovementKind.WIN)
        if kind is MovementKind.WIN and "fgbCampaignCode" in form.values:
            kind = MovementKind.FREE_WIN
        elif kind is MovementKind.WIN and _number(form, "gameRoundID") is None:
            kind = MovementKind.PROMO_WIN  # a credit that belongs to no round
        return _play(DEPOSIT, kind, form, player)

    def _rollback(self, form: Fields, player: str) -> Play:
        reference = form.code("reference")
        target = Target(key=MovementKey(REFERENCES, reference))
        movement = Movement(MovementKind.ROLLBACK, keys=(MovementKey(ROLLBACKS, reference),), target=target)
        return Play(operation=ROLLBACK, movements=(movement,), player=player)

    def answer(self, call: Call, outcome: Outcome, balance: Balance | None) -> dict[str, Any] | None:
        """The fields of the answer to a call; `None` where nothing definite can be said."""
        if isinstance(outcome, Declined):
            code = DECLINES[call.operation][outcome.reason]
            return None if code is None else told(code)
        if not isinstance(outcome, Applied):
            return None
        if call.operation == ROLLBACK:
            return told(Code.OK)
        if balance is None:
            return None  # it is never invented
        money = balance.display(digits=2)
        if not isinstance(call, Play):
            return {**told(Code.OK), "Balance": {"Amount": money, "Currency": balance.code}}
        known = "" if self._by_reference else outcome.transaction
        shown = {"ID": known or call.movements[0].reference, "Balance": money, "Currency": balance.code}
        return {**told(self._repeated if outcome.effect is AppliedEffect.REPEATED else Code.OK), "Transaction": shown}


def told(code: Code) -> dict[str, Any]:
    """An answer that is a code and its message."""
    return {"Code": int(code), "Message": code.text}


def _play(method: str, kind: MovementKind, form: Fields, player: str) -> Play:
    grant, currency = form.optional_text("fgbCampaignCode"), form.text("currency", 10)
    movement = Movement(
        kind,
        keys=(MovementKey(REFERENCES, form.code("reference")), MovementKey(TEXT, form.text(TEXT))),
        amount=form.amount("amount", MAJOR, currency),
        funding=Funding.PLAYER if grant is None else Funding.OPERATOR,
    )
    return Play(
        operation=method,
        movements=(movement,),
        player=player,
        round=_number(form, "gameRoundID"),
        game=form.optional_text("gameModule", 50),
        currency=currency,
        closes_round=method == DEPOSIT and _ends_round(form),
        grant=grant,
    )


def _number(form: Fields, name: str) -> str | None:
    """A provider's number, if there is one: 0 is none."""
    number = form.code(name) if name in form.values else None
    return None if number == "0" else number


def _ends_round(form: Fields) -> bool:
    ends = _ROUND_ENDS.get(str(form.values.get("isRoundEnd", False)))
    if ends is None:
        raise MalformedRequestError("expected True or False", where="isRoundEnd")
    return ends
