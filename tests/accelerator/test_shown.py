"""How a process is wired to its accelerator, and what it tells of it: metrics, and a remark of its probe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from croupier.runtime.acceleration import Acceleration, accelerate
from croupier.runtime.clocks import SystemClock
from croupier.runtime.ids import SeededIds
from croupier.runtime.metrics import Metrics
from croupier.runtime.settings import AcceleratorSettings, Database, KeySource, Secrets, Settings
from croupier.wallet.watch import Bell
from croupier_conformance.simulated_process import LogBook

SECRETS = Secrets(current="test", keys={"test": KeySource(file=Path("unread"))})


def acceleration(url: str | None, seed: int = 1, database: str = "postgresql:///test") -> Acceleration:
    settings = Settings(secrets=SECRETS, accelerator=AcceleratorSettings(url=url), database=Database(url=database))
    return accelerate(settings, b"a test key", SystemClock(), SeededIds(seed), LogBook())


def shown(made: Acceleration) -> set[str]:
    metrics = Metrics()
    metrics.watch(made)
    return set(metrics.render()[1].decode().splitlines())


def test_without_a_server_nothing_is_told_of_one_and_nothing_is_begun() -> None:
    made = acceleration(None)
    made.begin()
    made.tell_configuration()
    made.sessions.reads.near = 7
    rows = shown(made)
    assert 'croupier_session_reads_total{place="process"} 7.0' in rows
    assert 'croupier_rate_limited_total{of="connection"} 0.0' in rows
    assert not any("croupier_accelerator" in row for row in rows)
    assert made.remarks() == ()


def test_over_sqlite_the_server_is_not_asked_for_sessions(valkey: Any) -> None:
    assert acceleration(valkey.address, database="sqlite:///hub.sqlite").sessions.shared is None
    assert acceleration(valkey.address).sessions.shared is not None


async def test_what_one_process_tells_the_other_looks_for(valkey: Any, tools: Any) -> None:
    one, two = acceleration(valkey.address, 1), acceleration(valkey.address, 2)
    heard: list[str] = []
    bell = Bell(SystemClock(), two.bells)
    two.connect(lambda: heard.append("look"), lambda: heard.append("wake"), bell)
    for made in (one, two):
        made.begin()
    try:
        await tools.until(lambda: heard == ["look"])  # it may have missed something before it heard
        await tools.until(lambda: not one.remarks())
        assert one.bells is not None
        one.bells.owed()
        one.tell_configuration()
        one.bells.ask("m1")
        await tools.until(lambda: bell._asked)
        assert heard == ["look", "wake", "look"]
    finally:
        await one.close()
        await two.close()


async def test_metrics_and_probe_tell_whether_the_server_answers(valkey: Any, tools: Any) -> None:
    made = acceleration(valkey.address)
    assert made.remarks() == ("accelerator away",)
    assert "croupier_accelerator_up 0.0" in shown(made)
    made.begin()
    try:
        await tools.until(lambda: not made.remarks())
        rows = shown(made)
        assert "croupier_accelerator_up 1.0" in rows
        assert "croupier_accelerator_losses_total 0.0" in rows
        valkey.kill()
        await tools.until(made.remarks)
        assert "croupier_accelerator_losses_total 1.0" in shown(made)
    finally:
        valkey.start()
        await made.close()
