"""Workers and machines over one PostgreSQL database with a server beside it: what one does, the others know at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from croupier.contract import MovementKind, Verdict
from croupier_conformance.servers import ServerMissingError, ValkeyServer, valkey_server

COPIES = 16


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    try:
        with valkey_server(own=True) as made:
            yield made
    except ServerMissingError as missing:
        pytest.skip(str(missing))


def beside(valkey: ValkeyServer) -> str:
    """The part of a settings file that names the server."""
    return f'\n[accelerator]\nurl = "{valkey.address}"\n'


def metric(tools: Any, crew: Any, name: str) -> float:
    """A metric, summed over the workers."""
    probes = [url for place, url in crew.urls.items() if place.startswith("probes")]
    lines = "".join(tools.text(f"{probe}/metrics") for probe in probes).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def all_up(tools: Any, crew: Any, count: int) -> None:
    tools.until(lambda: metric(tools, crew, "croupier_accelerator_up ") == count, "every worker has found it")


def test_a_session_that_ended_in_one_worker_takes_no_bet_in_any_at_once(
    database: str, valkey: ValkeyServer, tmp_path: Path, tools: Any
) -> None:
    with tools.laid_table(database, tmp_path, beside(valkey)) as table:
        all_up(tools, table.crew, 2)
        seat = table.sit_down("ann")
        with ThreadPoolExecutor(COPIES) as pool:
            warm = [tools.play(seat, MovementKind.BET, f"warm{number}", "1.00") for number in range(COPIES)]
            assert {answer.verdict for answer in pool.map(table.insist, warm)} == {Verdict.DONE}
            told = metric(tools, table.crew, 'croupier_session_reads_total{place="ledger"')
            assert told < COPIES
            operators = table.crew.urls["operators"]
            (session,) = tools.ask(f"{operators}/v1/sessions", key=table.operator_key)["sessions"]
            tools.ask(f"{operators}/v1/sessions/{session['id']}", "DELETE", key=table.operator_key)
            late = [tools.play(seat, MovementKind.BET, f"late{number}", "1.00") for number in range(COPIES)]
            assert {answer.verdict for answer in pool.map(table.insist, late)} == {Verdict.REFUSED}
            wins = [tools.play(seat, MovementKind.WIN, f"w{n}", "0.10", f"round-warm{n}") for n in range(COPIES)]
            assert {answer.verdict for answer in pool.map(table.insist, wins)} == {Verdict.DONE}
        assert sum(table.wallet.moved()) == COPIES * (10 - 100)


def test_copies_of_a_bet_in_flight_are_answered_in_every_worker_when_it_is_settled(
    database: str, valkey: ValkeyServer, tmp_path: Path, tools: Any
) -> None:
    with tools.laid_table(database, tmp_path, beside(valkey)) as table:
        all_up(tools, table.crew, 2)
        bet = tools.play(table.sit_down("ben"), MovementKind.BET, "slow", "2.00")
        request = table.signed(bet)
        with ThreadPoolExecutor(COPIES) as pool:
            with table.wallet.standing_still():
                told = [pool.submit(table.send, bet, request) for _ in range(COPIES)]
                tools.until(lambda: table.rows("SELECT 1 FROM movements WHERE state = 'intent'"), "the bet is begun")
                heard = 'croupier_accelerator_news_total{outcome="heard"'
                tools.until(lambda: metric(tools, table.crew, heard) > 0, "a worker asks the other")
            answers = [each.result() for each in told]
        assert [answer and answer.verdict for answer in answers] == [Verdict.DONE] * COPIES
        assert table.wallet.moved() == [-200]


def test_a_change_on_one_machine_is_known_on_another_before_it_looks(
    database: str, valkey: ValkeyServer, tmp_path: Path, tools: Any
) -> None:
    with tools.laid_table(database, tmp_path, beside(valkey), workers=1) as table:
        folder = tmp_path / "other"
        folder.mkdir()
        with tools.crew_process(tools.write_settings(folder, database, beside(valkey)), 1) as other:
            for crew in (table.crew, other):
                all_up(tools, crew, 1)
            ((operator,),) = table.rows("SELECT name FROM configuration WHERE kind = 'operator'")
            games = f"{table.crew.urls['admin']}/admin/v1/operators/{operator}/games"
            shown = f"{other.urls['operators']}/v1/games?text=New"

            def change(number: int) -> None:
                game = {"title": f"New {number}", "studio": "acme"}
                tools.ask(f"{games}/new-{number}", "PUT", {"why": "a test", "body": game}, table.admin_key)

            tools.known_at_once(change, lambda number: _total(tools, shown, table) == number + 1)


def _total(tools: Any, url: str, table: Any) -> int:
    return int(tools.ask(url, key=table.operator_key)["total"])


def test_a_server_that_stands_still_or_dies_refuses_no_bet(
    database: str, valkey: ValkeyServer, tmp_path: Path, tools: Any
) -> None:
    with tools.laid_table(database, tmp_path, beside(valkey)) as table:
        all_up(tools, table.crew, 2)
        seat = table.sit_down("ann")
        probe = table.crew.urls["probes-1"]

        def bets(name: str) -> None:
            for number in range(6):
                bet = tools.play(seat, MovementKind.BET, f"{name}{number}", "1.00")
                answer = table.send(bet)
                assert answer is not None
                assert answer.verdict is Verdict.DONE

        with valkey.standing_still():
            bets("still")
            tools.until(lambda: tools.text(f"{probe}/readyz") == "ready\naccelerator away\n", "the probe tells")
        valkey.kill()
        bets("dead")
        valkey.start()
        tools.until(lambda: tools.text(f"{probe}/readyz") == "ready\n", "it is back")
        bets("back")
        assert table.wallet.moved() == [-100] * 18
