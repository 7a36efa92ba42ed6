"""Layer of scenarios: a wallet that says nothing, copies that arrive at once, a hub that dies, a bad network."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Final

from croupier.contract import Capability, MovementKind, OnSilence, PeerPlay, PeerPlayer, Verdict
from croupier.ledger.records import MovementState
from croupier_conformance.books import Account, Entry, compare
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.operator import OPENING
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleBrokenError, Tier
from croupier_conformance.certification.stage import (
    NAME,
    OTHER,
    PLAYER,
    SCALE,
    Stage,
    Told,
    bet,
    named,
    tell_story,
    undo,
    win,
)
from croupier_conformance.drivers import Habits, ProviderDriver, Seat

BETS: Final = (frozenset({Capability.BET}),)
WINS: Final = (frozenset({Capability.BET}), frozenset({Capability.WIN}))
UNDOES: Final = (frozenset({Capability.BET}), frozenset({Capability.ROLLBACK_BET}))

COPIES: Final = 5
"""So many of one message arrive at once."""
WHOLE: Final = 100
"""From so many examples on, the hub dies everywhere; with fewer, in some places."""
DEATHS: Final = range(1, 9)
"""After which effects of a message the hub dies: one message has up to six, and one more is after its answer."""
SOME_DEATHS: Final = (2, 3, 4)
"""Around the wallet's call, where money is."""
ROUND_SECONDS: Final = 120
"""So much of the story's time may a round take, all its lost messages and late answers included."""


@ADAPTER_RULES.rule(
    "silent-wallet-bet",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="A bet whose outcome nobody knows is neither success nor a refusal",
    expects="while the wallet is silent the provider hears that it must ask again or cancel; when it has done so, the "
    "wallet holds what the provider's book holds",
    needs=BETS,
)
def a_bet_without_an_outcome(bench: AdapterBench) -> None:
    """A wallet that does not answer may have taken the money, and only the provider's way with silence ends that well.

    The rule bets while the wallet does nothing, and while it does what it is asked and its answers are lost; then the
    provider does what its peer says that it does on silence. It is usually broken by an adapter that renders an unknown
    outcome as a refusal: the provider sends no rollback, and the stake is gone.
    """
    tell_story(bench, _silent_bets)


async def _silent_bets(stage: Stage) -> None:
    seat = await stage.sit()
    right = 0
    for fault in ("silent", "mute"):
        placed = bet(seat, stage.new_round(), stage.new_id(), 100)
        setattr(stage.operator, fault, True)
        told = await stage.tell(placed)
        stage.note(told, "a bet while the wallet is silent")
        told.expect(Verdict.RETRY, why="the wallet has not answered", hint="render Unknown so that the provider acts")
        setattr(stage.operator, fault, False)
        right += -100 if await _acts_on_silence(stage, placed) else 0
        await stage.hub.drain()
        stage.expect_change(right, told, "after the wallet came back, it holds what the provider's book holds")


async def _acts_on_silence(stage: Stage, placed: PeerPlay) -> bool:
    """Do as the provider does with a bet that got no answer; whether its book holds the bet then."""
    match stage.peer.bet_on_silence:
        case OnSilence.CANCELS:
            told = await stage.until_definite(undo(stage.peer, placed))
            told.expect(Verdict.DONE, Verdict.REFUSED, why="a rollback is answered definitely in the end")
            return False
        case OnSilence.RESENDS:
            told = await stage.until_definite(placed)
            told.expect(Verdict.DONE, Verdict.REFUSED, why="a bet that is sent again is answered in the end")
            return told.verdict is Verdict.DONE
        case OnSilence.NEITHER:
            await stage.hub.drain()
            return False


@ADAPTER_RULES.rule(
    "silent-wallet-win",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="A win that the wallet did not answer is paid in the end, once",
    expects="while the wallet is silent the provider hears that it must ask again; the win is paid once, and then the "
    "provider hears success",
    needs=WINS,
)
def a_win_without_an_outcome(bench: AdapterBench) -> None:
    """What a player has won is owed until it is paid, for days if need be.

    The rule sends a win while the wallet does nothing, and another while its answers are lost; lets a while pass, and
    asks again. It is usually broken by an adapter that answers an owed win as refused, which ends the provider's
    attempts, or as done, which books what may yet be refused.
    """
    tell_story(bench, _silent_wins)


async def _silent_wins(stage: Stage) -> None:
    seat = await stage.sit()
    right = 0
    for fault in ("silent", "mute"):
        round_id = stage.new_round()
        placed = bet(seat, round_id, stage.new_id(), 100)
        await stage.done(placed, "a bet")
        paid = win(seat, round_id, stage.new_id(), 250, placed.moves[0].id)
        setattr(stage.operator, fault, True)
        told = (await stage.tell(paid)).expect(Verdict.RETRY, why="the wallet has not answered")
        stage.note(told, "a win while the wallet is silent")
        await stage.hub.clock.sleep(900)
        setattr(stage.operator, fault, False)
        await stage.hub.drain()
        again = await stage.until_definite(paid)
        again.expect(Verdict.DONE, why="the win has been paid")
        right += 150
        stage.expect_change(right, again, "a win is paid once")


@ADAPTER_RULES.rule(
    "silent-wallet-rollback",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="A rollback that the wallet did not answer gives the stake back in the end, once",
    expects="while the wallet is silent the provider hears that it must ask again; the stake comes back once, and then "
    "the provider hears success",
    needs=UNDOES,
)
def a_rollback_without_an_outcome(bench: AdapterBench) -> None:
    """Rollbacks come when something is wrong, so they meet silent wallets more often than anything else does.

    The rule rolls a bet back while the wallet does nothing, and another while its answers are lost, and asks again
    until there is an answer. It is usually broken like `silent-wallet-win`.
    """
    tell_story(bench, _silent_rollbacks)


async def _silent_rollbacks(stage: Stage) -> None:
    seat = await stage.sit()
    for fault in ("silent", "mute"):
        placed = bet(seat, stage.new_round(), stage.new_id(), 100)
        await stage.done(placed, "a bet")
        setattr(stage.operator, fault, True)
        told = (await stage.tell(undo(stage.peer, placed))).expect(Verdict.RETRY, why="the wallet has not answered")
        stage.note(told, "a rollback while the wallet is silent")
        setattr(stage.operator, fault, False)
        again = await stage.until_definite(undo(stage.peer, placed))
        again.expect(Verdict.DONE, why="the stake has been given back")
        await stage.hub.drain()
        stage.expect_change(0, again, "the stake comes back once")


@ADAPTER_RULES.rule(
    "copies-at-once",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="Copies that arrive at once are one movement",
    expects="of several copies at once one moves money; every copy is answered with success and the same transaction "
    "id, or told to ask again",
    needs=BETS,
)
def copies_at_once(bench: AdapterBench) -> None:
    """Load balancers and impatient clients send a request twice in the same millisecond.

    The rule sends five copies of a bet, of a win and of a rollback at once. It is usually broken by an adapter whose
    copies are not equal to each other, or that refuses a copy which is still being worked on: a provider that hears a
    refusal books nothing, though the money moved.
    """
    tell_story(bench, _copies)


async def _copies(stage: Stage) -> None:
    seat, round_id = await stage.sit(), stage.new_round()
    placed = bet(seat, round_id, stage.new_id(), 100)
    paid = win(seat, round_id, stage.new_id(), 250, placed.moves[0].id)
    other = bet(seat, stage.new_round(), stage.new_id(), 70)
    plays = [(placed, -100), (paid, 250), (other, -70), (undo(stage.peer, other), 70)]
    can = {MovementKind.BET: Capability.BET, MovementKind.WIN: Capability.WIN}
    right = 0
    for play, change in plays:
        if can.get(play.moves[0].kind, Capability.ROLLBACK_BET) not in stage.peer.capabilities:
            continue
        right += change
        copies = await asyncio.gather(*(stage.tell(play) for _ in range(COPIES)))
        last = await stage.until_definite(play)
        stage.note(last, "the last of several copies")
        last.expect(Verdict.DONE, why="one copy was done")
        for told in copies:
            told.expect(Verdict.DONE, Verdict.RETRY, why="a copy of what is being done")
            if told.verdict is Verdict.DONE and told.answer.transaction != last.answer.transaction:
                told.breaks("two copies of one message were told two transaction ids")
        stage.expect_change(right, last, f"{named(play)}: five copies are one movement")


@ADAPTER_RULES.rule(
    "hub-dies",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="A hub that dies between any two effects of a round loses and doubles nothing",
    expects="wherever the hub dies, the provider goes on by its own rules, and in the end the wallet holds what the "
    "provider's book holds",
    needs=BETS,
)
def a_hub_that_dies(bench: AdapterBench) -> None:
    """Processes die between the wallet's answer and the provider's, and that is where money is lost.

    The rule plays a bet, its win and a rollback, each with the hub killed after its first, second, third effect and so
    on, one death a message; another process starts on the same ledger, and the provider goes on as its peer says. It is
    usually broken by an adapter that makes ids anew for each copy, whose refusals are not final, or whose peer takes a
    proxy's error page for an answer.
    """
    tell_story(bench, _deaths)


async def _deaths(stage: Stage) -> None:
    seat = await stage.sit()
    right = 0
    for after in DEATHS if stage.bench.examples >= WHOLE else SOME_DEATHS:
        right += await _round_with_deaths(stage, seat, after)
        await stage.hub.drain()
        if stage.change() != right:
            raise RuleBrokenError(
                f"with a death after effect {after} of each message the wallet holds {stage.change()} minor units more"
                f" than at the beginning, and by the provider's book {right} is right",
                hint="run the rule alone; the exchanges show what the provider heard",
            )


async def _round_with_deaths(stage: Stage, seat: PeerPlayer, after: int) -> int:
    """A bet and its win, and a bet and its rollback; what the provider's book comes to."""
    round_id, book = stage.new_round(), 0
    placed = bet(seat, round_id, stage.new_id(), 100)
    told = await _told_to_the_dying(stage, placed, after)
    stands = (
        told.verdict is Verdict.DONE if told.verdict is not Verdict.RETRY else await _acts_on_silence(stage, placed)
    )
    if stands:
        book -= 100
        paid = win(seat, round_id, stage.new_id(), 250, placed.moves[0].id)
        if stage.can_say(paid):
            await _told_to_the_dying(stage, paid, after)
            told = (await stage.until_definite(paid)).expect(Verdict.DONE, why="a win is paid in the end")
            book += 250
    if Capability.ROLLBACK_BET in stage.peer.capabilities:
        other = bet(seat, stage.new_round(), stage.new_id(), 70)
        await stage.done(other, "a bet")
        await _told_to_the_dying(stage, undo(stage.peer, other), after)
        told = await stage.until_definite(undo(stage.peer, other))
        told.expect(Verdict.DONE, why="a rollback is done in the end")
    stage.note(told, f"the last message of a round with deaths after effect {after}")
    return book


async def _told_to_the_dying(stage: Stage, play: PeerPlay, after: int) -> Told:
    """Send one message to a process that dies after so many effects, and start another if it did."""
    life = stage.hub.process.life
    life.last = life.steps + after
    told = await stage.tell(play)
    life.last = None
    if life.is_over:
        await stage.hub.kill()
        told.expect(Verdict.RETRY, why="the hub died, and what stands before it answered with a page of 502")
    return told


@ADAPTER_RULES.rule(
    "three-books",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="After rounds over a bad network the books of provider, hub and operator are equal",
    expects="with lost, late, doubled and reordered messages on both sides the three books agree transaction by "
    "transaction, every balance too, and no win or rollback was refused",
    needs=WINS,
)
def three_books(bench: AdapterBench) -> None:
    """Everything at once, for as long as there are examples for: what no single rule thought of.

    Two players play rounds of all kinds through a network that loses, delays, doubles and reorders three messages of
    ten, to the hub and behind it; the provider keeps its book by its own protocol's answers. It is usually broken by
    what `silent-wallet-*` or `any-order` would show more plainly, so look there first.
    """
    tell_story(bench, _three_books)


async def _three_books(stage: Stage) -> None:
    hub, seed = stage.hub, stage.bench.seed
    provider = hub.providers[NAME]
    driver = ProviderDriver(
        name=NAME,
        peer=provider.peer,
        credentials=provider.credentials,
        send=lambda request: hub.send(NAME, request),
        seed=str(seed),
        habits=Habits(scale=SCALE, too_much=OPENING * 50),
        now=hub.clock.now,
    )
    players = (PLAYER, OTHER)
    seats = [Seat(label=who, player=await stage.sit(who), dice=Random(f"{seed}/{who}")) for who in players]
    hub.trouble(wallet=0.3, providers=0.3)
    rounds = max(10, stage.bench.examples)
    try:
        async with asyncio.timeout(rounds * ROUND_SECONDS):
            await asyncio.gather(*(driver.play(seat, rounds) for seat in seats))
    except TimeoutError:
        raise RuleBrokenError(
            f"{driver.tally['rounds']} of {rounds * len(seats)} rounds were played; then a message was sent again for "
            "hours of the story's time and never answered definitely",
            came_back=f"{dict(driver.tally)}",
            hint="run silent-wallet-bet, silent-wallet-win and silent-wallet-rollback; they are plainer",
        ) from None
    await hub.drain()
    accounts = [Account(player=who, opening=OPENING, balance=stage.operator.balances[who]) for who in players]
    found = compare(driver.book.values(), await _hub_book(stage, players), _operator_book(stage), accounts)
    lost = {word: driver.tally[word] for word in ("unpaid", "not undone") if driver.tally[word]}
    if found.difference or lost:
        told = "\n".join(difference.what for difference in found.differences[:20])
        raise RuleBrokenError(
            f"of {found.transactions} transactions {len(found.differences)} differ, by {found.difference} minor units"
            + "".join(f"; {count} {word}" for word, count in lost.items()),
            came_back=told,
            hint="run silent-wallet-bet, silent-wallet-win and any-order; they are plainer",
        )


async def _hub_book(stage: Stage, players: Sequence[str]) -> list[Entry]:
    ledger, operator = stage.hub.ledger, stage.hub.operator
    known = {who: await ledger.player_by_operator_id(operator, who) for who in players}
    names = {row.player: who for who, row in known.items() if row is not None}
    return [
        Entry(
            transaction=row.movement,
            player=names.get(row.player, row.player),
            kind="bet" if row.direction == "debit" else "win",
            amount=row.amount,
            provider=NAME,
            reference=row.reference,
        )
        for row in await stage.hub.rows()
        if row.state is MovementState.APPLIED and row.direction != "reversal"
    ]


def _operator_book(stage: Stage) -> list[Entry]:
    return [
        Entry(transaction=move.transaction, player=move.player, kind=move.operation, amount=abs(move.change))
        for move in stage.operator.standing()
    ]
