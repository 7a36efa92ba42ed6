"""A wallet that does not answer: bets fail at once, wins and rollbacks are owed, and it closes by itself."""

from pathlib import Path

from attrs import evolve

from croupier.contract import Applied, Declined, DeclineReason, Unknown, WalletPolicy
from croupier.ledger.records import MovementState
from croupier_conformance.money_path import OPERATOR, MoneyPath, bet, reason, rollback, win
from croupier_conformance.network import Fault, Faults
from croupier_conformance.virtual_time import simulate

POLICY = WalletPolicy(
    retry_safe=True, tombstones=True, timeout_ms=2_000, breaker_failures=3, breaker_pause_ms=10_000, connections=2
)
SILENT = Faults.always(Fault.LOST_REQUEST)


def test_bets_fail_before_they_are_sent_once_the_wallet_is_silent(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=POLICY, faults=SILENT) as path:
            for number in range(3):
                assert isinstance((await path.play(bet(f"b{number}"), round=f"r{number}")).outcome, Unknown)
            began = path.clock.monotonic()
            refused = (await path.play(bet("late"), round="late")).outcome
            assert reason(refused) is DeclineReason.MAINTENANCE
            assert path.clock.monotonic() - began < 0.1
            assert path.network.struck[Fault.LOST_REQUEST] == 3

    simulate(story())


def test_wins_and_rollbacks_are_tried_all_the_same_and_paid_in_the_end(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=POLICY, faults=SILENT) as path:
            path.network.quiet = True
            await path.play(bet("b1"))
            await path.play(bet("b2"), round="r2")
            path.network.quiet = False
            for number in range(3):
                await path.play(bet(f"lost{number}"), round=f"lost{number}")
            struck = path.network.struck[Fault.LOST_REQUEST]
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Unknown)
            assert isinstance((await path.play(rollback("x", "b2"), round="r2")).outcome, Unknown)
            assert path.network.struck[Fault.LOST_REQUEST] >= struck + 2
            await path.drain()
            assert path.balance() == 10_000 - 100 + 300

    simulate(story())


def test_after_the_pause_one_bet_tries_and_its_answer_opens_the_way(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=POLICY, faults=SILENT) as path:
            for number in range(3):
                await path.play(bet(f"b{number}"), round=f"r{number}")
            await path.clock.sleep(11)
            assert isinstance((await path.play(bet("probe"), round="probe")).outcome, Unknown)
            assert isinstance((await path.play(bet("after"), round="after")).outcome, Declined)
            path.network.quiet = True
            await path.clock.sleep(11)
            assert isinstance((await path.play(bet("early"), round="early")).outcome, Declined)
            await path.clock.sleep(11)
            assert isinstance((await path.play(bet("good"), round="good")).outcome, Applied)
            assert isinstance((await path.play(bet("next"), round="next")).outcome, Applied)

    simulate(story())


def test_a_probe_that_finds_no_place_leaves_the_next_one_its_turn(tmp_path: Path) -> None:
    import asyncio

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=POLICY, faults=SILENT) as path:
            path.network.quiet = True
            await path.play(bet("b"), round="paid")
            path.network.quiet = False
            for number in range(3):
                await path.play(bet(f"b{number}"), round=f"r{number}")
            await path.clock.sleep(11)
            wins = [path.play(win(f"w{number}"), round="paid") for number in range(2)]
            waiting = asyncio.gather(*wins)
            await path.clock.sleep(0.1)
            assert isinstance((await path.play(bet("crowded"), round="crowded", seconds=0.5)).outcome, Declined)
            await waiting
            path.network.quiet = True
            await path.clock.sleep(90)
            assert isinstance((await path.play(bet("good"), round="good")).outcome, Applied)

    simulate(story())


def test_a_bet_that_would_not_be_sent_is_recorded_as_declined_and_nothing_more(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=POLICY, faults=SILENT) as path:
            for number in range(3):
                await path.play(bet(f"b{number}"), round=f"r{number}")
            refused = await path.play(bet("late"), round="late")
            again = await path.play(bet("late"), round="late")
            assert refused.outcome == again.outcome
            row = await path.row("late")
            assert row.state is MovementState.DECLINED
            assert row.reason == "not_sent"
            assert row.version == 1  # it was never begun
            path.network.quiet = True
            await path.clock.sleep(90)
            assert isinstance((await path.play(bet("late"), round="late")).outcome, Declined)
            assert isinstance((await path.play(bet("good"), round="good")).outcome, Applied)
            await path.drain()
            assert path.balance() == 10_000 - 100

    simulate(story())


def test_the_record_tells_a_silent_wallet_from_a_closed_connection_and_the_provider_is_told_the_same(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=POLICY, faults=SILENT) as path:
            for number in range(3):
                await path.play(bet(f"b{number}"), round=f"r{number}")
            silent = [await path.play(bet("silent"), round="silent") for _ in range(2)]
            path.connections.known = evolve(path.connection, enabled=False)
            closed = [await path.play(bet("closed"), round="closed") for _ in range(2)]
            told = [result.outcome for result in (*silent, *closed)]
            assert [isinstance(each, Declined) and each.reason for each in told] == [DeclineReason.MAINTENANCE] * 4
            recorded = {row.reference: row.reason for row in await path.rows()}
            assert (recorded["silent"], recorded["closed"]) == ("not_sent", "maintenance")
            events = [stored.event for stored in await path.ledger.events_after(OPERATOR, 0, 100)]
            reasons = [event.body["reason"] for event in events if event.kind == "movement.declined"]
            assert reasons == ["not_sent", "maintenance"]

    simulate(story())


def test_a_bet_of_nothing_needs_no_wallet_that_answers(tmp_path: Path) -> None:
    policy = evolve(POLICY, zero_amounts=False)

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=policy, faults=SILENT) as path:
            for number in range(3):
                await path.play(bet(f"b{number}"), round=f"r{number}")
            assert isinstance((await path.play(bet("paid"), round="paid")).outcome, Declined)
            await path.play(bet("free", "0.00"), round="free")  # only the wallet knows the balance for the answer
            assert (await path.rows())[-1].state is MovementState.APPLIED

    simulate(story())


def test_bets_in_line_are_not_sent_once_the_wallet_is_found_silent(tmp_path: Path) -> None:
    import asyncio

    policy = evolve(POLICY, breaker_failures=2)

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=policy, faults=SILENT) as path:
            began = path.clock.monotonic()
            sent = asyncio.gather(*(path.play(bet(f"b{number}"), round=f"r{number}") for number in range(2)))
            await path.clock.sleep(1)
            in_line = [path.play(bet(f"line{number}"), round=f"line{number}") for number in range(4)]
            assert all(isinstance(result.outcome, Declined) for result in await asyncio.gather(*in_line))
            assert path.clock.monotonic() - began < 2.5  # they would have had until the third second
            assert all(isinstance(result.outcome, Unknown) for result in await sent)
            assert path.network.struck[Fault.LOST_REQUEST] == 2
            path.network.quiet = True
            await path.drain()
            assert path.balance() == 10_000

    simulate(story())


def test_a_refusal_is_an_answer_and_opens_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=POLICY) as path:
            for number in range(10):
                refused = (await path.play(bet(f"b{number}", "900.00"), round=f"r{number}")).outcome
                assert reason(refused) is DeclineReason.INSUFFICIENT_FUNDS
            assert isinstance((await path.play(bet("good"))).outcome, Applied)

    simulate(story())


def test_a_stalled_wallet_holds_no_more_calls_than_its_places(tmp_path: Path) -> None:
    import asyncio

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=POLICY, faults=SILENT) as path:
            plays = [path.play(bet(f"b{number}"), round=f"r{number}", seconds=1.9) for number in range(6)]
            outcomes = [result.outcome for result in await asyncio.gather(*plays)]
            assert path.network.struck[Fault.LOST_REQUEST] == 2
            assert sum(isinstance(outcome, Declined) for outcome in outcomes) == 4

    simulate(story())
