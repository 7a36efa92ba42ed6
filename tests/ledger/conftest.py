"""The engines under contract, and rows to try them with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from croupier.ledger.port import Change, Committed, Ledger
from croupier.ledger.records import (
    ConfigurationRow,
    DeliveryRow,
    DeliveryTask,
    Event,
    ExchangeRow,
    GrantRow,
    Key,
    MovementRow,
    MovementState,
    RoundRow,
    RoundState,
    SessionRow,
    SessionState,
)
from croupier.ledger.sqlite import SqliteLedger

OPERATOR = "casino"


class Rows:
    """Rows with everything filled in that a test does not care about."""

    operator = OPERATOR

    def movement(self, movement: str = "m1", **changed: Any) -> MovementRow:
        row = MovementRow(
            operator=OPERATOR,
            movement=movement,
            play="p1",
            ordinal=0,
            connection="c1",
            player="alice",
            kind="bet",
            direction="debit",
            state=MovementState.INTENT,
            amount=100,
            currency="EUR",
            reference=movement,
            fingerprint={"amount": "1.00"},
            owner="hub",
            epoch=1,
            nonce="n1",
            lease_until=1000,
            created_at=10,
        )
        return attrs.evolve(row, **changed)

    def key(self, value: str = "k1", **changed: Any) -> Key:
        return attrs.evolve(Key(OPERATOR, "c1", "bet", value), **changed)

    def round(self, round: str = "r1", **changed: Any) -> RoundRow:
        row = RoundRow(
            operator=OPERATOR,
            round=round,
            connection="c1",
            player="alice",
            provider_round=round,
            game="g1",
            currency="EUR",
            state=RoundState.OPEN,
            opened_at=10,
        )
        return attrs.evolve(row, **changed)

    def delivery(self, delivery: str = "d1", **changed: Any) -> DeliveryRow:
        row = DeliveryRow(
            operator=OPERATOR,
            delivery=delivery,
            movement="m1",
            task=DeliveryTask.SEND,
            due_at=100,
            created_at=10,
        )
        return attrs.evolve(row, **changed)

    def event(self, subject: str = "m1", **changed: Any) -> Event:
        return attrs.evolve(Event(kind="movement.applied", subject=subject, at=10), **changed)

    def session(self, session: str = "s1", **changed: Any) -> SessionRow:
        row = SessionRow(
            operator=OPERATOR,
            session=session,
            player="alice",
            connection="c1",
            game="g1",
            route="x1",
            currency="EUR",
            state=SessionState.LAUNCHED,
            launch_hash=f"launch-{session}",
            created_at=10,
            expires_at=1000,
            launch_expires_at=100,
            facts={"country": "MT"},
        )
        return attrs.evolve(row, **changed)

    def grant(self, grant: str = "f1", **changed: Any) -> GrantRow:
        row = GrantRow(
            operator=OPERATOR,
            connection="c1",
            grant=grant,
            player="alice",
            currency="EUR",
            games=("x1", "x2"),
            rounds=10,
            state="issuing",
            valid_from=0,
            valid_until=1000,
            created_at=10,
        )
        return attrs.evolve(row, **changed)

    def configuration(self, name: str = "c1", **changed: Any) -> ConfigurationRow:
        row = ConfigurationRow(
            operator=OPERATOR, kind="connection", name=name, version=1, body={"url": "u"}, at=10, who="ann", why="new"
        )
        return attrs.evolve(row, **changed)

    def exchange(self, exchange: str = "x1", **changed: Any) -> ExchangeRow:
        row = ExchangeRow(
            operator=OPERATOR,
            exchange=exchange,
            side="provider_in",
            operation="bet",
            started_at=10,
            duration_us=500,
            trace="t1",
            decision={"unknown_bet": "retry"},
        )
        return attrs.evolve(row, **changed)

    def change(self, **parts: Any) -> Change:
        return Change(operator=OPERATOR, **parts)

    def bet(self, movement: str = "m1", **changed: Any) -> Change:
        """A movement with a key and an event."""
        row = self.movement(movement, **changed)
        key = self.key(f"k-{movement}")
        return self.change(movements=(row,), keys=((key, movement),), events=(self.event(movement),))


@pytest.fixture
def rows() -> Rows:
    return Rows()


MakeLedger = Callable[[], Ledger]


@pytest.fixture(params=["sqlite", "sqlite-inline"])
def make_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> MakeLedger:
    """Makes the engine's ledger, each time over the same database."""
    match request.param:
        case "sqlite":
            return lambda: SqliteLedger(tmp_path / "ledger.sqlite")
        case "sqlite-inline":
            return lambda: SqliteLedger(tmp_path / "ledger.sqlite", threaded=False)
        case engine:
            raise ValueError(engine)


@pytest.fixture
async def ledger(make_ledger: MakeLedger) -> AsyncIterator[Ledger]:
    """An empty ledger of each engine."""
    ledger = make_ledger()
    await ledger.start()
    yield ledger
    await ledger.close()


@pytest.fixture
def store(ledger: Ledger) -> Callable[[Change], Any]:
    """Commits a change that must be accepted."""

    async def commit(change: Change) -> int:
        result = await ledger.commit(change)
        assert isinstance(result, Committed), result
        return result.position

    return commit
