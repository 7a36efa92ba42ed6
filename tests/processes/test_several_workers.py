"""Two workers over one PostgreSQL database, as they run in earnest: processes, sockets, signals."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from croupier.contract import MovementKind, Verdict

COPIES = 16
PLAYERS = 12
"""So many that it is all but certain that the kernel gives connections to both workers."""


def test_one_bet_sent_to_both_workers_many_times_is_one_transaction(table: Any, tools: Any) -> None:
    seat = table.sit_down("ann")
    bets = [tools.play(seat, MovementKind.BET, f"b{number}", "1.00") for number in range(6)]
    with ThreadPoolExecutor(COPIES) as pool:
        for bet in bets:
            request = table.signed(bet)
            told = [pool.submit(table.send, bet, request) for _ in range(COPIES)]
            answers = [each.result() for each in told]
            assert {answer.verdict for answer in answers} <= {Verdict.DONE, Verdict.RETRY}
            known = {answer.transaction for answer in answers if answer.verdict is Verdict.DONE}
            again = [table.insist(bet) for _ in range(4)]
            assert known | {answer.transaction for answer in again} == {again[0].transaction}
    assert table.wallet.moved() == [-100] * len(bets)
    assert table.rows("SELECT reference, state FROM movements ORDER BY 1") == [
        (f"b{number}", "applied") for number in range(len(bets))
    ]
    assert table.rows("SELECT count(DISTINCT name), count(DISTINCT epoch) FROM owners") == [(2, 2)]


def test_copies_of_a_bet_in_flight_wait_for_its_outcome_in_either_worker(table: Any, tools: Any) -> None:
    seat = table.sit_down("ben")
    bet = tools.play(seat, MovementKind.BET, "slow", "2.00")
    request = table.signed(bet)
    with ThreadPoolExecutor(COPIES) as pool:
        with table.wallet.standing_still():
            told = [pool.submit(table.send, bet, request) for _ in range(COPIES)]
            tools.until(lambda: table.rows("SELECT 1 FROM movements WHERE state = 'intent'"), "the bet is begun")
        answers = [each.result() for each in told]
    assert [answer and answer.verdict for answer in answers] == [Verdict.DONE] * COPIES
    assert {answer.transaction for answer in answers} == {table.insist(bet).transaction}
    assert table.wallet.moved() == [-200]


def test_a_killed_worker_leaves_books_that_agree(table: Any, tools: Any) -> None:
    seats = [table.sit_down(f"player-{number}") for number in range(PLAYERS)]
    doomed = table.crew.workers()[0]

    def rounds(number: int) -> int:
        """Play rounds to their ends; returns what the provider believes was moved, in minor units."""
        moved = 0
        for spin in range(3):
            name = f"p{number}s{spin}"
            bet = tools.play(seats[number], MovementKind.BET, f"{name}b", "1.00", name)
            win = tools.play(seats[number], MovementKind.WIN, f"{name}w", "0.40", name)
            # A bet whose process died may be undone in place of being kept: then it is refused and costs nothing.
            if table.insist(bet).verdict is Verdict.DONE:
                assert table.insist(win).verdict is Verdict.DONE
                moved += 40 - 100
        return moved

    def orphans() -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = table.rows("SELECT DISTINCT owner FROM movements WHERE state = 'intent'")
        return found

    with ThreadPoolExecutor(len(seats)) as pool:
        told = [pool.submit(rounds, number) for number in range(len(seats))]
        tools.until(lambda: len(table.wallet.moved()) > 5, "the game is under way")
        with table.wallet.standing_still():
            tools.until(lambda: len(orphans()) == 2, "both workers have calls under way")
            os.kill(doomed, signal.SIGKILL)
            tools.until(lambda: table.crew.lines("worker_died"), "the parent sees it")
        moved = sum(each.result() for each in told)
    tools.until(lambda: not orphans(), "no intent is left behind")
    tools.until(lambda: not table.rows("SELECT 1 FROM deliveries WHERE state = 'owed'"), "nothing is owed")
    assert table.rows("SELECT 1 FROM deliveries WHERE state = 'held'") == []
    book = table.wallet.book()
    assert sum(row["balance"] - tools.opening for row in book["accounts"]) == moved == sum(table.wallet.moved())
    ledger = table.rows("SELECT movement, amount FROM movements WHERE state = 'applied' ORDER BY movement")
    stands = [row for row in book["movements"] if row["state"] == "applied" and row["operation"] != "rollback"]
    assert ledger == sorted((row["transaction"], row["amount"]) for row in stands)
    assert len(stands) > len(seats)
    (died,) = table.crew.lines("worker_died")
    assert (died["slot"], died["status"]) == (1, -signal.SIGKILL)
    tools.until(lambda: table.crew.workers()[0] != doomed, "another one is in its place")


def test_sigterm_in_the_middle_of_calls_answers_and_records_them(table: Any, tools: Any) -> None:
    seats = [table.sit_down(f"player-{number}") for number in range(6)]
    bets = [tools.play(seat, MovementKind.BET, f"last{number}", "3.00") for number, seat in enumerate(seats)]
    with ThreadPoolExecutor(len(bets)) as pool:
        with table.wallet.standing_still():
            told = [pool.submit(table.send, bet) for bet in bets]
            begun = "SELECT 1 FROM movements WHERE state = 'intent'"
            tools.until(lambda: len(table.rows(begun)) == len(bets), "every bet is begun")
            table.crew.process.send_signal(signal.SIGTERM)
            tools.until(lambda: len(table.crew.lines("draining")) == 3, "parent and workers drain")
        answers = [each.result() for each in told]
    assert [answer and answer.verdict for answer in answers] == [Verdict.DONE] * len(bets)
    assert table.crew.process.wait(60) == 0
    assert table.wallet.moved() == [-300] * len(bets)
    assert table.rows("SELECT DISTINCT state FROM movements") == [("applied",)]
    for url in table.crew.urls.values():
        assert not tools.listens(int(url.rpartition(":")[2]))


def test_a_change_by_one_worker_is_known_to_the_other(table: Any, tools: Any) -> None:
    """Every request takes a connection of its own, at whichever worker."""
    ((operator,),) = table.rows("SELECT name FROM configuration WHERE kind = 'operator'")
    games = f"{table.crew.urls['admin']}/admin/v1/operators/{operator}/games"

    def change(number: int) -> None:
        game = {"title": f"New {number}", "studio": "acme"}
        tools.ask(f"{games}/new-{number}", "PUT", {"why": "a test", "body": game}, table.admin_key)

    tools.known_at_once(change, lambda number: tools.every_worker_shows(number + 2, table.crew, table.operator_key))
    for number in range(8):
        table.sit_down(f"player-{number}")
    assert len(table.rows("SELECT 1 FROM sessions")) == 8


def test_each_worker_tells_of_itself_and_a_new_one_is_ready(table: Any, tools: Any) -> None:
    seat = table.sit_down("ann")
    probes = [table.crew.urls[name] for name in ("probes-1", "probes-2")]
    assert len(set(probes)) == 2
    assert [tools.text(f"{probe}/readyz") for probe in probes] == ["ready\n"] * 2
    bets = [tools.play(seat, MovementKind.BET, f"b{number}", "1.00") for number in range(4)]
    for bet in bets:
        assert table.insist(bet).verdict is Verdict.DONE
    told = "".join(tools.text(f"{probe}/metrics") for probe in probes).splitlines()
    calls = [line for line in told if line.startswith("croupier_provider_calls_total{") and 'verdict="applied"' in line]
    assert sum(float(line.rpartition(" ")[2]) for line in calls) == len(bets)
    os.kill(table.crew.workers()[1], signal.SIGTERM)
    tools.until(lambda: len(table.crew.lines("worker_listens")) == 3, "a new worker listens")
    (ended,) = table.crew.lines("worker_died")
    assert (ended["slot"], ended["status"]) == (2, 0)
    assert table.insist(tools.play(seat, MovementKind.BET, "after", "1.00")).verdict is Verdict.DONE


def test_workers_end_when_their_parent_is_killed(database: str, tmp_path: Path, tools: Any) -> None:
    settings = tools.write_settings(tmp_path, database)
    with tools.crew_process(settings) as crew:
        workers = crew.workers()
        assert len(workers) == 2
        crew.process.kill()
        for pid in workers:
            tools.until(_gone(pid), "the worker ends")


def test_a_worker_that_is_killed_before_it_listens_is_started_anew(database: str, tmp_path: Path, tools: Any) -> None:
    def kill_one(parent: int) -> None:
        tools.until(lambda: _workers_of(parent), "a worker begins")
        os.kill(_workers_of(parent)[0], signal.SIGKILL)

    with tools.crew_process(tools.write_settings(tmp_path, database), meanwhile=kill_one) as crew:
        (died,) = crew.lines("worker_died")
        assert died["status"] == -signal.SIGKILL
        assert len(crew.workers()) == 2


def _workers_of(parent: int) -> list[int]:
    """The workers that a parent has started, whether or not they listen."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def _gone(pid: int) -> Callable[[], bool]:
    """Whether a process has ended, reaped or not."""

    def look() -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        return state == "Z"

    return look
