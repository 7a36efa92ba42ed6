"""Owed work: one that fails stops no other, what a person decides is told to all, and nothing is sent on a guess."""

import asyncio
from datetime import datetime
from pathlib import Path

import pytest
from attrs import evolve, frozen

from croupier.contract import (
    Applied,
    Credentials,
    Currencies,
    Declined,
    DeclineReason,
    HttpRequest,
    HttpResponse,
    NotFoundError,
    OnSilence,
    RollbackAfterWin,
    StoreUnavailableError,
    TransportError,
    TransportProblem,
    Unknown,
    UnknownCurrencyError,
    WalletCall,
    WalletCapability,
    WalletMove,
    WalletPolicy,
)
from croupier.contract.errors import ConflictError, LedgerCorruptError
from croupier.ledger.port import Change, Committed, DeliveryUpdate, Look, Page, Snapshot, Update
from croupier.ledger.records import DeliveryRow, DeliveryState, DeliveryTask, MovementState, PlayerRow
from croupier.wallet.calendar import Calendar
from croupier.wallet.channel import Channel
from croupier.wallet.deliveries import Deliveries
from croupier.wallet.parties import Connection
from croupier_conformance.model_wallet import ModelDialect, ModelSettings, ModelWallet
from croupier_conformance.money_path import OPERATOR, MoneyPath, bet, reason, rollback, win
from croupier_conformance.network import Fault, Faults, Scripted
from croupier_conformance.virtual_time import simulate

NO_STATUS = frozenset({WalletCapability.TRANSACTION_STATUS})
NO_BATCH = frozenset({WalletCapability.ATOMIC_BATCH})
UNSAFE = WalletPolicy(retry_safe=False, tombstones=True, timeout_ms=2_000, late_window_ms=30_000)
LATE = Faults.always(Fault.LATE_REPLY)
LOST = Faults.always(Fault.LOST_REQUEST)


async def owed(path: MoneyPath) -> list[DeliveryRow]:
    return list(await path.ledger.deliveries(OPERATOR, DeliveryState.OWED, 100))


async def the_held(path: MoneyPath) -> DeliveryRow:
    (held,) = await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 100)
    return held


def sent(path: MoneyPath, operation: str) -> int:
    return sum(call["moves"][0]["op"] == operation for call in path.wallet.calls if call["do"] == "move")


async def owe_a_win(path: MoneyPath, name: str = "w1", round: str = "r1") -> None:
    """A bet that is paid, and a win that is lost on its way."""
    path.network.quiet = True
    await path.play(bet(f"bet of {name}"), round=round)
    path.network.quiet = False
    assert isinstance((await path.play(win(name, "3.00"), round=round)).outcome, Unknown)


@frozen
class Both:
    """An operator whose wallet answers, and one whose wallet does not."""

    known: tuple[Connection, Connection]

    def connection(self, operator: str, connection: str) -> Connection | None:
        return next((one for one in self.known if (one.operator.id, one.id) == (operator, connection)), None)


async def owe_as_well(path: MoneyPath, operator: str, count: int) -> None:
    """An operator of the same ledger is owed as much, so many times, and since longer."""
    (delivery,) = await owed(path)
    movement = next(row for row in await path.rows() if row.movement == delivery.movement)
    player = PlayerRow(operator=operator, player=movement.player, operator_player="theirs", created_at=0)
    await path.ledger.ensure_player(player)
    movements, deliveries = [], []
    for number in range(count):
        name = f"m{number}"
        theirs = evolve(delivery, operator=operator, movement=name, delivery=name, round=None, waits_for=None)
        deliveries.append(evolve(theirs, due_at=0, attempts=0, owner=None, lease_until=0, version=1))
        movements.append(
            evolve(movement, operator=operator, movement=name, play=name, round=None, target=None, version=1)
        )
    change = Change(operator=operator, movements=tuple(movements), deliveries=tuple(deliveries))
    assert isinstance(await path.ledger.commit(change), Committed)


def test_what_is_owed_to_a_wallet_that_answers_does_not_wait_for_one_that_does_not(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=LOST) as path:
            await owe_a_win(path)
            await owe_as_well(path, "silent", 100)
            asked: list[str] = []

            async def send(request: HttpRequest, timeout_seconds: float) -> HttpResponse:
                asked.append(request.url)
                if "silent" in request.url:
                    await path.clock.sleep(timeout_seconds)
                    raise TransportError("no answer", problem=TransportProblem.NO_ANSWER)
                return path.wallet.answer(request)

            dialect = ModelDialect(ModelSettings(url="https://silent.example"))
            silent = evolve(path.connection, operator=evolve(path.connection.operator, id="silent", dialect=dialect))
            deliveries = Deliveries(
                ledger=path.ledger,
                channel=Channel(path.ledger, send, path.clock, path.ids),
                connections=Both((path.connection, silent)),
                find_player=path.engine.wallet_player,
                clock=path.clock,
                ids=path.ids,
                owner=await path.ledger.register("worker"),
                notify=lambda _movement: None,
                calendar=Calendar(),
            )
            await path.clock.sleep(10)
            began = path.clock.monotonic()
            working = asyncio.ensure_future(deliveries.run())
            while await owed(path):
                await path.clock.sleep(0.01)
            assert path.clock.monotonic() - began < 1.0  # one attempt at the silent wallet takes two seconds
            assert path.balance() == 10_000 - 100 + 300
            await path.clock.sleep(1.0)
            assert 16 <= sum("silent" in url for url in asked) <= 32
            deliveries.stop()
            await working
            assert len(await path.ledger.deliveries("silent", DeliveryState.OWED, 1000)) == 100

    simulate(story())


def test_a_delivery_that_fails_is_owed_again_and_stops_no_other(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=LOST) as path:
            await owe_a_win(path, "w1", "r1")
            await owe_a_win(path, "w2", "r2")
            path.network.quiet = True
            first = await path.row("w1")
            contradiction = evolve(first, target="nobody", player="nobody", version=first.version + 1)
            await path.ledger.commit(Change(operator=OPERATOR, updates=(Update(contradiction),)))
            with pytest.raises(LedgerCorruptError):
                await path.deliveries.run_once()
            assert path.balance() == 10_000 - 200 + 300
            (left,) = await owed(path)
            assert (left.movement, left.attempts, left.lease_until) == (first.movement, 1, 0)
            assert left.detail == "the attempt failed: ledger_corrupt"
            assert left.due_at > path.clock.now_ms()

    simulate(story())


def test_a_play_left_behind_that_cannot_be_settled_keeps_no_other_from_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=LATE) as path:
            playing = [asyncio.ensure_future(path.play(bet(name), round=name)) for name in ("b1", "b2", "b3")]
            await path.clock.sleep(1)
            await path.crash()
            await asyncio.gather(*playing, return_exceptions=True)
            row = (await path.rows())[0]
            await path.ledger.commit(
                Change(
                    operator=OPERATOR,
                    updates=(Update(evolve(row, direction="reversal", target="nobody", version=row.version + 1)),),
                )
            )
            await path.clock.sleep(40)
            path.network.quiet = True
            with pytest.raises(KeyError):
                await path.deliveries.run_once()
            states = [row.state for row in await path.rows()]
            assert sorted(state.value for state in states) == ["intent", "reversed", "reversed"]

    simulate(story())


def test_work_of_a_currency_that_is_not_registered_any_more_waits_until_it_is(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=LOST) as path:
            await owe_a_win(path)
            path.network.quiet = True
            row = await path.row("w1")
            former = evolve(row, currency="ZZZ", version=row.version + 1)
            await path.ledger.commit(Change(operator=OPERATOR, updates=(Update(former),)))
            with pytest.raises(UnknownCurrencyError):
                await path.deliveries.run_once()
            (waiting,) = await owed(path)
            assert waiting.detail == "the attempt failed: unknown_currency"
            path.connections.known = evolve(path.connection, currencies=Currencies({"ZZZ": 2}))
            await path.drain()
            assert path.balance() == 10_200

    simulate(story())


def test_work_of_a_connection_that_cannot_be_used_waits_until_it_can(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=LOST) as path:
            await owe_a_win(path)
            path.network.quiet = True
            known = path.connection
            path.connections.known = evolve(known, id="another")
            await path.deliveries.run_once()
            (waiting,) = await owed(path)
            assert waiting.detail == "the connection cannot be used now"
            path.connections.known = known
            await path.drain()
            assert path.balance() == 10_200

    simulate(story())


def test_the_worker_goes_on_when_the_ledger_cannot_store_for_a_while(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=LOST) as path:
            await owe_a_win(path)
            path.network.quiet = True
            commit, broken = path.ledger.commit, 3

            async def failing(change: Change) -> object:
                nonlocal broken
                broken -= 1
                if broken >= 0:
                    raise StoreUnavailableError("the disk is full")
                return await commit(change)

            async def unable(*given: object, **named: object) -> object:
                raise StoreUnavailableError("the disk is full")

            claims = path.ledger.claim_deliveries, path.ledger.claim_orphans
            path.ledger.claim_deliveries = unable  # type: ignore[method-assign, assignment] # the disk of this story
            path.ledger.claim_orphans = unable  # type: ignore[method-assign, assignment] # the disk of this story
            path.ledger.commit = failing  # type: ignore[method-assign, assignment] # the disk of this story
            path.work()
            await path.clock.sleep(10)
            path.ledger.claim_deliveries, path.ledger.claim_orphans = claims  # type: ignore[method-assign] # it claims again
            await path.clock.sleep(300)
            assert path.working is not None
            assert not path.working.done()
            assert path.balance() == 10_200
            assert await path.deliveries.owed() == 0

    simulate(story())


def test_an_owed_win_whose_bet_was_rolled_back_leaves_nothing_though_it_may_have_arrived(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=LATE) as path:
            path.reconfigure(rollback_after_win=RollbackAfterWin.ALLOW)
            path.network.quiet = True
            await path.play(bet("b1"))
            path.network.quiet = False
            assert isinstance((await path.play(win("w1", "3.00", of="b1"))).outcome, Unknown)
            path.network.quiet = True
            assert path.balance() == 10_200
            undone = await path.play(rollback("x", "b1"))
            assert isinstance(undone.outcome, Applied)
            await path.drain()
            again = (await path.play(win("w1", "3.00", of="b1"))).outcome
            assert reason(again) is DeclineReason.CANCELLED
            assert path.balance() == 10_000

    simulate(story())


@pytest.mark.parametrize("again", [Fault.LATE_REPLY, Fault.LOST_REQUEST, Fault.LATE_DELIVERY])
def test_a_wallet_that_is_not_safe_is_asked_again_when_a_win_that_was_sent_again_is_lost_too(
    tmp_path: Path, again: Fault
) -> None:
    async def story() -> None:
        wallet = ModelWallet(dedupes=False)
        async with MoneyPath.open(tmp_path / "l.db", wallet=wallet, wallet_policy=UNSAFE, faults=LOST) as path:
            await owe_a_win(path)
            path.network.quiet = True
            await path.clock.sleep(40)
            await path.deliveries.run_once()
            (unknown,) = await owed(path)
            assert unknown.task is DeliveryTask.SEND
            path.network.faults, path.network.quiet = Faults.always(again), False
            await path.deliveries.run_once()
            (lost,) = await owed(path)
            assert lost.task is DeliveryTask.ASK
            assert lost.due_at >= path.clock.now_ms() + 29_000
            path.network.quiet = True
            await path.drain()
            assert path.balance() == 10_200
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


def test_that_a_wallet_does_not_know_a_win_yet_is_believed_only_after_its_late_window(tmp_path: Path) -> None:
    async def story() -> None:
        wallet = ModelWallet(dedupes=False)
        late = Scripted.of(None, Fault.LATE_DELIVERY)
        async with MoneyPath.open(tmp_path / "l.db", wallet=wallet, wallet_policy=UNSAFE, faults=late) as path:
            await path.play(bet("b1"))
            await path.play(win("w1", "3.00"))
            await path.deliveries.run_once()
            (waiting,) = await owed(path)
            assert (waiting.task, waiting.detail) == (DeliveryTask.ASK, "it may still arrive")
            assert waiting.due_at == waiting.created_at + UNSAFE.late_window_ms
            await path.drain()
            assert sent(path, "win") == 1
            assert path.balance() == 10_200

    simulate(story())


def test_a_win_that_never_left_is_sent_again_without_asking(tmp_path: Path) -> None:
    async def story() -> None:
        refused = Scripted.of(None, Fault.LOST_REQUEST, None, Fault.REFUSED)
        wallet = ModelWallet(dedupes=False)
        async with MoneyPath.open(tmp_path / "l.db", wallet=wallet, wallet_policy=UNSAFE, faults=refused) as path:
            await path.play(bet("b1"))
            await path.play(win("w1", "3.00"))
            await path.clock.sleep(40)
            await path.deliveries.run_once()
            await path.deliveries.run_once()
            (waiting,) = await owed(path)
            assert waiting.task is DeliveryTask.SEND
            await path.drain()
            assert path.balance() == 10_200

    simulate(story())


def test_a_win_that_the_wallet_rolled_back_is_held(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", wallet_policy=UNSAFE, faults=LATE) as path:
            await owe_a_win(path)
            path.network.quiet = True
            await path.clock.sleep(5)
            row = await path.row("w1")
            path.wallet.undone.add(row.movement)
            await path.drain()
            held = await the_held(path)
            assert held.detail == "the wallet rolled it back"

    simulate(story())


def test_a_person_can_order_a_win_to_be_sent_to_a_wallet_that_cannot_be_asked(tmp_path: Path) -> None:
    async def story() -> None:
        wallet = ModelWallet(dedupes=False)
        async with MoneyPath.open(
            tmp_path / "l.db", wallet=wallet, wallet_policy=UNSAFE, faults=LOST, without=NO_STATUS
        ) as path:
            await owe_a_win(path)
            await path.drain()
            held = await the_held(path)
            await path.deliveries.held.redrive(
                OPERATOR, held.delivery, who="anna", why="it is not in the wallet's book"
            )
            await path.drain()
            assert path.balance() == 10_200
            assert isinstance((await path.play(win("w1", "3.00"))).outcome, Applied)

    simulate(story())


@pytest.mark.parametrize("tombstones", [True, False])
def test_a_rollback_that_is_refused_is_held_and_driven_again_as_a_rollback(tmp_path: Path, tombstones: bool) -> None:
    """Without tombstones the wallet is asked first; what is held then is the rollback all the same."""
    knows = WalletPolicy(retry_safe=True, tombstones=tombstones, timeout_ms=2_000, late_window_ms=30_000)

    async def story() -> None:
        wallet = ModelWallet(tombstones=tombstones)
        late = Scripted.of(Fault.LATE_DELIVERY if not tombstones else Fault.LATE_REPLY)
        async with MoneyPath.open(
            tmp_path / "l.db", wallet=wallet, wallet_policy=knows, faults=late, without=NO_STATUS
        ) as path:
            assert isinstance((await path.play(bet("b1"))).outcome, Unknown)
            if not tombstones:
                await path.deliveries.run_once()
                await path.clock.sleep(60)
            path.wallet.refuse_undo = DeclineReason.PLAYER_BLOCKED
            await path.drain()
            held = await the_held(path)
            assert held.task is DeliveryTask.REVERSE
            assert (await path.rows())[0].state is MovementState.HELD
            path.wallet.refuse_undo = None
            await path.deliveries.held.redrive(OPERATOR, held.delivery, who="anna", why="unblocked")
            assert (await path.rows())[0].state is MovementState.REVERSING
            await path.drain()
            assert path.balance() == 10_000
            assert sent(path, "bet") == 1

    simulate(story())


@pytest.mark.parametrize("applied", [True, False])
def test_what_a_person_decides_about_a_held_rollback_is_told_to_the_provider(tmp_path: Path, applied: bool) -> None:
    async def story() -> None:
        lost = Scripted.of(None, Fault.LOST_REQUEST)
        async with MoneyPath.open(tmp_path / "l.db", faults=lost) as path:
            await path.play(bet("b1"))
            path.wallet.refuse_undo = DeclineReason.PLAYER_BLOCKED
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Unknown)
            await path.drain()
            held = await the_held(path)
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Unknown)
            if not applied:
                path.wallet.balances["op-p1"] += 100
            await path.deliveries.held.resolve(
                OPERATOR, held.delivery, who="anna", why="the wallet's book", applied=applied, version=held.version
            )
            own = next(row for row in await path.rows() if row.kind == "rollback")
            assert own.state is (MovementState.DECLINED if applied else MovementState.APPLIED)
            path.wallet.refuse_undo = None
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Applied)
            assert path.balance() == 10_000

    simulate(story())


def test_a_refusal_does_not_hold_work_whose_movement_is_being_rolled_back(tmp_path: Path) -> None:
    """The win is on its way once more when the provider rolls it back, and is then refused."""

    async def story() -> None:
        slow = Scripted.of(None, Fault.LOST_REQUEST, Fault.REORDER)
        async with MoneyPath.open(tmp_path / "l.db", faults=slow) as path:
            path.reconfigure(rollback_of_win=True)
            await path.play(bet("b1"))
            await path.play(win("w1", "3.00"))
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            delivering = asyncio.ensure_future(path.deliveries.run_once())
            await path.clock.sleep(0.02)
            undoing = asyncio.ensure_future(path.play(rollback("x", "w1")))
            await delivering
            await path.drain()
            assert await path.ledger.deliveries(OPERATOR, DeliveryState.HELD, 10) == []
            assert isinstance((await undoing).outcome, Applied | Unknown)
            assert isinstance((await path.play(rollback("x", "w1"))).outcome, Applied)
            assert path.balance() == 9_900

    simulate(story())


def test_a_win_that_is_refused_after_its_rollback_fenced_it_is_undone(tmp_path: Path) -> None:
    async def story() -> None:
        slow = Scripted.of(None, Fault.REORDER)
        async with MoneyPath.open(tmp_path / "l.db", faults=slow, without=NO_BATCH) as path:
            path.reconfigure(rollback_of_win=True)
            playing = asyncio.ensure_future(path.play(bet("b1"), win("w1", "3.00")))
            await path.clock.sleep(0.03)
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            undoing = asyncio.ensure_future(path.play(rollback("x", "w1")))
            played = await playing
            assert [type(item.outcome) for item in played.movements] == [Applied, Declined]
            assert isinstance((await undoing).outcome, Applied)
            assert path.balance() == 9_900

    simulate(story())


def test_a_process_that_was_only_slow_keeps_what_it_settled_meanwhile(tmp_path: Path) -> None:
    """Its lease ended, another takes its plays over, and before that is settled the answers arrive."""

    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b0"), round="r0")
            claim = path.ledger.claim_orphans
            playing = [
                asyncio.ensure_future(path.play(bet("b1"))),
                asyncio.ensure_future(path.play(rollback("x", "b0"), round="r0")),
            ]
            await path.clock.sleep(0.002)
            for row in await path.rows():
                if row.state is MovementState.INTENT:
                    ended = evolve(row, lease_until=0, version=row.version + 1)
                    await path.ledger.commit(Change(operator=OPERATOR, updates=(Update(ended),)))

            async def claim_slowly(*given: object) -> object:
                rows = await claim(*given)  # type: ignore[arg-type] # passed on as they came
                path.ledger.look = look_slowly  # type: ignore[method-assign, assignment] # a slow process
                return rows

            async def look_slowly(what: Look) -> Snapshot:
                path.ledger.look = look  # type: ignore[method-assign] # slow but once
                found = await look(what)
                await asyncio.gather(*playing)
                return found

            look = path.ledger.look
            path.ledger.claim_orphans = claim_slowly  # type: ignore[method-assign, assignment] # a slow process
            await path.deliveries.run_once()
            assert path.ledger.look == look
            assert [type((await play).outcome) for play in playing] == [Applied, Applied]
            assert path.balance() == 9_900
            assert await owed(path) == []

    simulate(story())


def test_work_that_was_taken_over_is_not_written_by_the_one_who_lost_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=LOST) as path:
            await owe_a_win(path)
            path.network.quiet = True
            delivering = asyncio.ensure_future(path.deliveries.run_once())
            await path.clock.sleep(0.005)
            (row,) = await owed(path)
            zombie = row.epoch
            other = await path.ledger.register("another")
            taken = evolve(row, owner=other.name, epoch=other.epoch, version=row.version + 1)
            await path.ledger.commit(Change(operator=OPERATOR, delivery_updates=(DeliveryUpdate(taken),)))
            await delivering
            (after,) = await owed(path)
            assert (after.epoch, after.owner, after.attempts) == (other.epoch, "another", 0)
            assert other.epoch > zombie
            assert (await path.row("w1")).state is MovementState.OWED

    simulate(story())


def test_two_workers_never_have_one_delivery_under_way_together(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=LOST) as path:
            await owe_a_win(path)
            path.network.quiet = True
            await asyncio.gather(*(path.deliveries.run_once() for _ in range(4)))
            assert sent(path, "win") == 1
            assert path.balance() == 10_200

    simulate(story())


def test_what_is_owed_outlives_two_days_without_the_wallet(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=LOST) as path:
            await owe_a_win(path)
            path.work(poll_seconds=30)
            await path.clock.sleep(48 * 3600)
            (left,) = await owed(path)
            assert 190 < left.attempts < 420
            path.network.quiet = True
            await path.clock.sleep(1000)
            assert path.balance() == 10_200
            assert await path.deliveries.owed() == 0

    simulate(story())


def test_work_that_is_owed_for_days_raises_an_alarm_with_every_attempt_and_is_not_dropped(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=LOST) as path:
            await owe_a_win(path)
            path.work(poll_seconds=30)
            await path.clock.sleep(71 * 3600)
            assert await _alarms(path) == 0
            await path.clock.sleep(10 * 3600)
            assert 8 <= await _alarms(path) <= 20
            path.network.quiet = True
            await path.clock.sleep(2 * 3600)
            assert path.balance() == 10_200

    simulate(story())


async def _alarms(path: MoneyPath) -> int:
    events = await path.ledger.events_after(OPERATOR, 0, 100_000)
    late = [stored.event for stored in events if stored.event.kind == "delivery.late"]
    assert path.alarms == late
    return len(late)


def test_only_held_work_can_be_decided_and_only_where_it_is(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=LOST) as path:
            await owe_a_win(path)
            (row,) = await owed(path)
            with pytest.raises(ConflictError):
                await path.deliveries.held.redrive(OPERATOR, row.delivery, who="anna", why="x")
            with pytest.raises(ConflictError):
                await path.deliveries.held.resolve(
                    OPERATOR, row.delivery, who="anna", why="x", applied=True, version=row.version
                )
            with pytest.raises(NotFoundError):
                await path.deliveries.held.redrive("another operator", row.delivery, who="anna", why="x")

    simulate(story())


def test_a_worker_that_is_stopped_records_what_it_has_begun_and_claims_no_more(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=LOST) as path:
            await owe_a_win(path)
            path.network.quiet = True
            await path.clock.sleep(3600)
            working = asyncio.ensure_future(path.deliveries.run())
            while not (await owed(path))[0].lease_until:  # noqa: ASYNC110 # the ledger rings no bell
                await asyncio.sleep(0)
            path.deliveries.stop()
            await owe_a_win(path, "w2", "r2")
            await working
            assert [(row.reference, row.state.value) for row in await path.rows() if row.kind == "win"] == [
                ("w1", "applied"),
                ("w2", "owed"),
            ]
            assert [row.owner for row in await owed(path)] == [None]

    simulate(story())


def test_held_work_keeps_nothing_else_of_the_round_waiting(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(None, *[Fault.LOST_REQUEST] * 2)) as path:
            await path.play(bet("b1"))
            await path.play(win("w1", "3.00"))
            await path.play(win("w2", "4.00"))
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            await path.deliveries.run_once()
            held = await the_held(path)
            path.wallet.refuse = None
            await path.drain()
            assert path.balance() == 10_300
            assert (await the_held(path)).delivery == held.delivery

    simulate(story())


def test_a_bet_that_is_sent_again_and_refused_is_told_to_the_provider_who_asks_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(Fault.LOST_REQUEST)) as path:
            path.reconfigure(on_silence=OnSilence.RESENDS)
            assert isinstance((await path.play(bet("b1", "60.00"))).outcome, Unknown)
            path.wallet.balances["op-p1"] = 5_000
            await path.drain()
            again = (await path.play(bet("b1", "60.00"))).outcome
            assert reason(again) is DeclineReason.CANCELLED
            assert path.balance() == 5_000

    simulate(story())


@pytest.mark.parametrize("status", [True, False], ids=["status", "no-status"])
@pytest.mark.parametrize("tombstones", [True, False], ids=["tombstones", "no-tombstones"])
def test_a_bet_that_is_sent_again_and_refused_is_given_back_if_what_was_sent_first_arrives_after_that(
    tmp_path: Path, tombstones: bool, status: bool
) -> None:
    """The player had no money when it came the second time, and has some when it comes the first."""
    policy = WalletPolicy(retry_safe=True, tombstones=tombstones, timeout_ms=2_000, late_window_ms=30_000)

    async def story() -> None:
        async with MoneyPath.open(
            tmp_path / "l.db",
            wallet=ModelWallet(tombstones=tombstones),
            wallet_policy=policy,
            without=frozenset() if status else NO_STATUS,
            faults=Scripted.of(Fault.LATE_DELIVERY),
            opening=50,
        ) as path:
            path.reconfigure(on_silence=OnSilence.RESENDS)
            assert isinstance((await path.play(bet("b1"))).outcome, Unknown)
            await path.deliveries.run_once()
            path.wallet.balances["op-p1"] += 1_000
            await path.network.settle()
            await path.drain()
            assert isinstance((await path.play(bet("b1"))).outcome, Declined)
            assert path.balance() == 1_050

    simulate(story())


def test_a_bet_that_is_rolled_back_before_it_is_sent_again_is_not_sent_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(Fault.LOST_REQUEST)) as path:
            path.reconfigure(on_silence=OnSilence.RESENDS)
            await path.play(bet("b1"))
            await path.play(rollback("x", "b1"), seconds=0.1)
            await path.drain()
            assert (sent(path, "bet"), sent(path, "rollback")) == (0, 1)
            assert isinstance((await path.play(rollback("x", "b1"))).outcome, Applied)

    simulate(story())


def test_a_bet_that_is_refused_when_it_is_sent_again_makes_room_in_its_round(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(Fault.LOST_REQUEST)) as path:
            path.reconfigure(on_silence=OnSilence.RESENDS, bets_per_round=1)
            await path.play(bet("b1", "60.00"))
            path.wallet.balances["op-p1"] = 5_000
            await path.drain()
            assert isinstance((await path.play(bet("b2", "1.00"))).outcome, Applied)
            (round_row,) = await path.ledger.rounds(OPERATOR, None, Page())
            assert round_row.bets == 1

    simulate(story())


def test_of_two_decisions_about_held_work_one_counts_and_the_other_is_told_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(None, Fault.LOST_REQUEST)) as path:
            await path.play(bet("b1"))
            await path.play(win("w1", "3.00"))
            path.wallet.refuse = DeclineReason.PLAYER_BLOCKED
            await path.drain()
            held = await the_held(path)
            decisions = await asyncio.gather(
                path.deliveries.held.resolve(
                    OPERATOR, held.delivery, who="anna", why="x", applied=False, version=held.version
                ),
                path.deliveries.held.redrive(OPERATOR, held.delivery, who="ben", why="y"),
                return_exceptions=True,
            )
            assert sorted(type(decision).__name__ for decision in decisions) == ["ConflictError", "DeliveryRow"]

    simulate(story())


@pytest.mark.parametrize("task", list(DeliveryTask))
def test_work_whose_movement_has_moved_on_is_put_away_unsent(tmp_path: Path, task: DeliveryTask) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            (row,) = await path.rows()
            left_over = DeliveryRow(
                operator=OPERATOR, delivery="left over", movement=row.movement, task=task, due_at=0, created_at=0
            )
            await path.ledger.commit(Change(operator=OPERATOR, deliveries=(left_over,)))
            calls = len(path.wallet.calls)
            await path.deliveries.run_once()
            assert len(path.wallet.calls) == calls
            stored = await path.ledger.delivery(OPERATOR, "left over")
            assert stored is not None
            assert (stored.state, stored.detail) == (DeliveryState.DONE, "no longer owed: applied")
            assert path.balance() == 9_900

    simulate(story())


def test_the_round_is_told_to_be_closed_with_what_is_delivered_after_its_end(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db", faults=Scripted.of(None, Fault.LOST_REQUEST)) as path:
            told: list[bool] = []

            class Listening(ModelDialect):
                def request(self, call: WalletCall, credentials: Credentials, now: datetime) -> HttpRequest:
                    assert isinstance(call, WalletMove)
                    told.append(call.context.round_closed)
                    return super().request(call, credentials, now)

            operator = evolve(path.connection.operator, dialect=Listening(ModelSettings()))
            path.connections.known = evolve(path.connection, operator=operator)
            await path.play(bet("b1"))
            await path.play(win("w1", "3.00"), closes_round=True)
            await path.drain()
            assert told == [False, True, True]
            assert path.balance() == 10_200

    simulate(story())
