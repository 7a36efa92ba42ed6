"""The engines under contract, and rows to try them with."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import psycopg
import pytest

from croupier.ledger.migrations import migrate_sqlite
from croupier.ledger.port import Change, Committed, Ledger
from croupier.ledger.postgres import PostgresLedger
from croupier.ledger.records import (
    AdjustmentRow,
    CaseRow,
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
from croupier.ledger.sqlite_statements import sql
from croupier_conformance.newer_schema import newer_schema
from croupier_conformance.servers import PostgresServer, ServerMissingError, postgres_server

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
        return Key(OPERATOR, "c1", "bet", value)._replace(**changed)

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

    def case(self, case: str = "c-1", **changed: Any) -> CaseRow:
        row = CaseRow(
            operator=OPERATOR,
            case=case,
            book="operator",
            reference="m1",
            kinds=("amount",),
            found={"hub": [{"amount": 100}], "operator": [{"amount": 101}]},
            opened_at=10,
            movement="m1",
        )
        return attrs.evolve(row, **changed)

    def adjustment(self, case: str = "c-1", **changed: Any) -> AdjustmentRow:
        row = AdjustmentRow(
            operator=OPERATOR,
            case=case,
            book="operator",
            reference="m1",
            movement="m1",
            before={"amount": 100},
            kind="bet",
            amount=101,
            currency="EUR",
            state="applied",
            at=10,
            made_at=50,
            proposed_by="ann",
            who="ben",
            why="seen",
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


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test process."""
    try:
        with postgres_server() as server:
            yield server
    except ServerMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def empty_postgres(postgres: PostgresServer) -> Iterator[str]:
    """A database of its own, without a schema, for a test that changes more than rows."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(scope="session")
def kept_postgres(postgres: PostgresServer) -> Iterator[str]:
    """A database with a ledger's schema, made once: making one takes longer than most tests."""
    name = postgres.create()
    url = postgres.url(name)

    async def make() -> None:
        ledger = PostgresLedger(url)
        await ledger.start()
        await ledger.close()

    asyncio.run(make())
    yield url
    postgres.drop(name)


EMPTIED = (
    "writers", "owners", "operator_positions", "movement_keys", "deliveries", "movements", "rounds", "events",
    "exchanges", "sessions", "grants", "configuration", "players", "aliases", "sinks", "cases",
    "adjustments", "clock_marks",
)  # fmt: skip
"""Every table of a ledger; what refers to others comes before them."""


def empty(url: str) -> None:
    """Delete every row of a ledger."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        for table in EMPTIED:
            connection.execute(sql("DELETE FROM", table).encode())


@pytest.fixture(scope="session")
def emptied_postgres(kept_postgres: str) -> Callable[[], str]:
    """Empties the database with the ledger's schema and tells its URL."""

    def emptied() -> str:
        empty(kept_postgres)
        return kept_postgres

    return emptied


@pytest.fixture
def postgres_url(emptied_postgres: Callable[[], str]) -> str:
    """A database with an empty ledger."""
    return emptied_postgres()


@pytest.fixture(scope="session")
def newer_postgres(postgres: PostgresServer) -> Iterator[str]:
    """A database whose schema is one step ahead of this code."""
    name = postgres.create()
    url = postgres.url(name)

    async def make() -> None:
        ledger = PostgresLedger(url, schema=newer_schema("postgres"))
        await ledger.start()
        await ledger.close()

    asyncio.run(make())
    yield url
    postgres.drop(name)


@pytest.fixture(params=["sqlite", "sqlite-inline", "sqlite-newer", "postgres", "postgres-newer"])
def make_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> MakeLedger:
    """Makes the engine's ledger, each time over the same database; `newer`: its schema is one step ahead."""
    match request.param:
        case "postgres-newer":
            url = request.getfixturevalue("newer_postgres")
            empty(url)
            return lambda: PostgresLedger(url)
        case "sqlite-newer":
            connection = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
            migrate_sqlite(connection, newer_schema("sqlite"))
            connection.close()
            return lambda: SqliteLedger(tmp_path / "ledger.sqlite", threaded=False)
        case "postgres":
            url = request.getfixturevalue("postgres_url")
            return lambda: PostgresLedger(url)
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
