"""Row 32: a difference is healed or settled by two people. Whoever dies meanwhile, it is so once or not yet."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from attrs import evolve

from croupier.contract import DeclineReason
from croupier.contract.errors import ConflictError, ForbiddenError
from croupier.ledger.records import CaseState, DeliveryState, MovementRow, MovementState
from croupier.reconciliation.compare import Side, Standing
from croupier.reconciliation.desk import CaseDesk
from croupier.reconciliation.findings import Finding, player_mark
from croupier.reconciliation.healing import Healer
from croupier.reconciliation.hub_book import OPERATOR_BOOK, entry_of
from croupier.wallet.alarms import unheard
from croupier_conformance.money_path import OPERATOR, bet, win
from croupier_conformance.network import Fault, Faults, Scripted

SAID: Final = {"why": "seen in their book"}


def desk_of(hub: Any, process: Any) -> CaseDesk:
    """What a process of the hub does about cases; every operator's log is believed."""
    held = process.deliveries.held
    return CaseDesk(process.ledger, hub.clock, unheard, Healer(process.ledger, held, hub.clock, lambda: {OPERATOR}))


async def finding_of(hub: Any, row: MovementRow, **theirs: Any) -> Finding:
    """What a comparison finds if the operator's log says this of a movement."""
    player = await hub.ledger.player(OPERATOR, row.player)
    ours = entry_of(row, OPERATOR_BOOK, player_mark(OPERATOR, OPERATOR_BOOK, row.movement, player.operator_player))
    log = evolve(ours, movement="", **{"state": Standing.APPLIED, **theirs})
    entries = {Side.HUB: (ours,), Side.OPERATOR: (log,)}
    return Finding(operator=OPERATOR, book=OPERATOR_BOOK, reference=row.movement, entries=entries)


async def paid_by_hand(hub: Any, name: str) -> MovementRow:
    """A win that never reached the wallet and then was refused, and which the operator has booked all the same."""
    await hub.process.play(bet(f"b-{name}", "1.00"), round=name)
    hub.path.network.faults = Scripted.of(Fault.LOST_REQUEST)
    await hub.process.play(win(f"w-{name}", "3.00"), round=name)
    hub.path.network.faults = Faults()
    hub.wallet.refuse = DeclineReason.PLAYER_BLOCKED
    await hub.drain()
    hub.wallet.refuse = None
    row = await hub.row(f"w-{name}")
    assert row.state is MovementState.HELD
    player = (await hub.ledger.player(OPERATOR, row.player)).operator_player
    hub.wallet.balances[player] += row.amount
    hub.wallet.applied[row.movement] = (player, row.amount)
    assert isinstance(row, MovementRow)
    return row


async def told(hub: Any, kind: str, subject: str) -> int:
    """How many events of a kind there are about something."""
    events = [stored.event for stored in await hub.ledger.events_after(OPERATOR, 0, 100_000)]
    return sum(event.kind == kind and event.subject == subject for event in events)


async def dies_under(hub: Any, after: int, work: Any) -> bool:
    """Let a process that dies after so many effects do a piece of work, and start another; whether it died."""
    process = await hub.dying(after)
    under_way = asyncio.ensure_future(work(desk_of(hub, process)))
    await process.life.unless_over(under_way)
    dead = process.life.is_over
    under_way.cancel()
    await hub.start()
    return bool(dead)


def test_wherever_the_process_dies_under_a_healing_the_work_and_its_case_are_settled_together_or_not_yet(
    tell_both: Any,
) -> None:
    async def dies(hub: Any, after: int) -> bool:
        row = await paid_by_hand(hub, f"r{after}")
        finding = await finding_of(hub, row)
        calls = len(hub.wallet.calls)
        dead = await dies_under(hub, after, lambda desk: desk.record(finding, who="cron"))
        case, state = await hub.ledger.case(OPERATOR, finding.case), (await hub.row(row.reference)).state
        assert (case is None, state) in {(True, MovementState.HELD), (False, MovementState.APPLIED)}
        again = await desk_of(hub, hub.process).record(finding, who="cron")
        assert again.outcome.value == ("healed" if case is None else "outdated")
        settled = await hub.ledger.case(OPERATOR, finding.case)
        assert (settled.state, settled.decision) == (CaseState.SETTLED, "healed")
        (work,) = await hub.ledger.deliveries_of(OPERATOR, row.movement)
        assert work.state is DeliveryState.DONE
        assert await told(hub, "delivery.decided", work.delivery) == await told(hub, "case.settled", finding.case) == 1
        await hub.drain()
        assert len(hub.wallet.calls) == calls
        await hub.check()
        return dead

    async def story(hub: Any) -> None:
        after = 0
        while await dies(hub, after):
            after += 1
        assert after >= 5

    tell_both(story)


def test_wherever_the_process_dies_under_a_confirmation_the_case_has_its_adjustment_or_is_open(tell_both: Any) -> None:
    async def dies(hub: Any, after: int) -> bool:
        await hub.process.play(bet(f"b-{after}", "1.00"), round=f"r{after}")
        row = await hub.row(f"b-{after}")
        finding = await finding_of(hub, row, amount=1_000)
        await desk_of(hub, hub.process).record(finding, who="cron")
        await desk_of(hub, hub.process).adjust(OPERATOR, finding.case, who="ann", **SAID)
        dead = await dies_under(hub, after, lambda desk: desk.adjust(OPERATOR, finding.case, who="ben", **SAID))
        made = await hub.ledger.adjustments_of(OPERATOR, OPERATOR_BOOK, [row.movement])
        left = await hub.ledger.case(OPERATOR, finding.case)
        assert (left.state, len(made)) in {(CaseState.OPEN, 0), (CaseState.SETTLED, 1)}
        for who, refusal in (("ann", ForbiddenError if not made else ConflictError), ("ben", ConflictError)):
            try:
                await desk_of(hub, hub.process).adjust(OPERATOR, finding.case, who=who, **SAID)
            except refusal:
                continue
            assert (who, made) == ("ben", [])
        (one,) = await hub.ledger.adjustments_of(OPERATOR, OPERATOR_BOOK, [row.movement])
        assert (one.amount, one.before["amount"], one.proposed_by, one.who) == (1_000, 100, "ann", "ben")
        assert await told(hub, "case.settled", finding.case) == 1
        assert await hub.row(row.reference) == row
        await hub.check()
        return dead

    async def story(hub: Any) -> None:
        after = 0
        while await dies(hub, after):
            after += 1
        assert after >= 3

    tell_both(story)
