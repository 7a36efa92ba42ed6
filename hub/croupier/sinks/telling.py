"""Events as operators are told them: their own ids of players, names of connections, amounts with their scale."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field

from croupier.configuration.directory import LiveOperator
from croupier.contract import SinkEvent, UnknownCurrencyError, from_epoch_ms
from croupier.ledger.port import Ledger
from croupier.ledger.records import StoredEvent
from croupier.wallet.identity import derived_id

_OWN = frozenset({"position", "subject", "player"})
_OWN_AND_MONEY = _OWN | {"amount", "currency"}


@define(eq=False)
class Teller:
    """Writes the events of one operator, looking up what they do not say themselves.

    Attributes:
        ledger: The record.
        operator: The operator, as it is configured now.
    """

    ledger: Ledger
    operator: LiveOperator
    _names: dict[str, str] = field(init=False)

    @_names.default
    def _every_name(self) -> dict[str, str]:
        names = {live.id: live.name for live in self.operator.connections.values()}
        return names | {down.id: down.name for down in self.operator.down.values()}

    async def tell(self, events: Sequence[StoredEvent]) -> list[SinkEvent]:
        """Write events, in their order."""
        facts = await asyncio.gather(*(self._facts(stored) for stored in events))
        surrogates = sorted({str(each["player"]) for each in facts if each.get("player")})
        rows = await asyncio.gather(*(self.ledger.player(self.operator.id, surrogate) for surrogate in surrogates))
        players = {row.player: row.operator_player for row in rows if row is not None}
        return [self._told(stored, each, players) for stored, each in zip(events, facts, strict=True)]

    async def _facts(self, stored: StoredEvent) -> Mapping[str, Any]:
        """What an event says, and what the round or movement that it is about says of player and game."""
        event = stored.event
        if "player" in event.body:
            return event.body
        about, _, _ = event.kind.partition(".")
        if about == "round":
            row = await self.ledger.round(self.operator.id, event.subject)
            if row is not None:
                known = {"player": row.player, "connection": row.connection, "game": row.game}
                return {**known, "currency": row.currency, "provider_round": row.provider_round, **event.body}
        elif about in {"movement", "delivery"}:
            movement = event.body.get("movement", event.subject)
            found = await self.ledger.movement(self.operator.id, movement)
            if found is not None:
                return {"player": found.player, "connection": found.connection, "round": found.round, **event.body}
        return event.body

    def _told(self, stored: StoredEvent, facts: Mapping[str, Any], players: Mapping[str, str]) -> SinkEvent:
        event, lane = stored.event, str(facts.get("player") or "")
        data: dict[str, Any] = {"position": stored.position, "subject": event.subject}
        if "player" in facts:
            data["player"] = players.get(lane)
        left_out = _OWN
        if isinstance(facts.get("amount"), int):
            data["amount"] = self._amount(facts["amount"], str(facts.get("currency") or ""))
            left_out = _OWN_AND_MONEY
        data |= {name: value for name, value in facts.items() if name not in left_out and value is not None}
        if isinstance(data.get("connection"), str):
            data["connection"] = self._names.get(data["connection"], data["connection"])
        return SinkEvent(
            id=_id_of(stored),
            operator=stored.operator,
            position=stored.position,
            kind=event.kind,
            at=from_epoch_ms(event.at),
            lane=lane,
            data=data,
        )

    def _amount(self, minor: int, currency: str) -> dict[str, Any] | None:
        try:
            scale = self.operator.currencies.get(currency).scale
        except UnknownCurrencyError:
            return None
        return {"amount": minor, "currency": currency, "scale": scale}


def _id_of(stored: StoredEvent) -> str:
    """The same at every attempt; of other content at the same place (after a loss of the ledger) it is another."""
    event = stored.event
    return derived_id("event", stored.operator, str(stored.position), event.kind, event.subject, str(event.at))
