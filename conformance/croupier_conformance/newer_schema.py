"""A schema that is one step ahead of this code, as the next release may leave it: for trying two releases at once."""

from __future__ import annotations

from croupier.ledger.migrations import Migration, migrations

_TABLES = (
    "adjustments", "aliases", "cases", "clock_marks", "configuration", "deliveries", "events", "exchanges", "grants",
    "movement_keys", "movements", "operator_positions", "owners", "players", "rounds", "schema_versions", "sessions",
    "sinks",
)  # fmt: skip


def newer_schema(engine: str, oldest_code: int | None = None) -> tuple[Migration, ...]:
    """The steps of the schema as the next release knows them.

    Args:
        engine: `sqlite` or `postgres`.
        oldest_code: What the last step says of itself; this code's own version if it is left out.

    Returns:
        The released steps, and one that adds a column with a value to every table, an index, and a table.
    """
    known = migrations(engine)
    here = known[-1].version
    added = [f"ALTER TABLE {table} ADD COLUMN later text NOT NULL DEFAULT 'newer';" for table in _TABLES]
    added += ["CREATE INDEX movements_later ON movements (operator, later);", "CREATE TABLE later (id bigint);"]
    if engine == "sqlite":
        added[-1] = "CREATE TABLE later (id INTEGER) STRICT;"
    step = Migration(here + 1, "later", "\n".join(added), here if oldest_code is None else oldest_code)
    return (*known, step)
