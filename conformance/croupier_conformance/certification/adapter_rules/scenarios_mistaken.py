"""Layer of mistakes: mixed-up ids, parties that are switched off, and wallets that answer nonsense.

Most of these rules came from planted defects that no other rule noticed (`make mutants`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from attrs import evolve

from croupier.configuration.documents import Kind
from croupier.contract import (
    Capability,
    Credentials,
    CroupierError,
    DeclineReason,
    DedupeScope,
    MalformedRequestError,
    PeerBalance,
    PeerPlayer,
    Policy,
    Verdict,
    minor_to_decimal,
)
from croupier.ledger.records import MovementState
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.operator import CURRENCY, OPENING
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleNotApplicableError, Tier
from croupier_conformance.certification.stage import NAME, OTHER, SCALE, Stage, Told, bet, tell_story, undo, win

BETS: Final = (frozenset({Capability.BET}),)
UNDOES: Final = (frozenset({Capability.BET}), frozenset({Capability.ROLLBACK_BET}))
UNDOES_WINS: Final = (*UNDOES, frozenset({Capability.WIN}), frozenset({Capability.ROLLBACK_WIN}))

LIMIT: Final = 5_000
"""The operator's largest bet in a story, in minor units."""

OPEN: Final = frozenset({MovementState.INTENT, MovementState.FENCED, MovementState.OWED, MovementState.REVERSING})
"""States in which something must still happen."""

GARBLED: Final = (b"<html>It works!</html>", b"", b'{"status":"ok"', b'{"status":"ok","balance":"much"}', b"[]")
"""Answers that are none; the wallet has done what it was asked all the same."""


def _policy(stage: Stage, told: Told) -> Policy:
    return stage.policies.of(stage.parsed(told.request).items[0].operation)


@ADAPTER_RULES.rule(
    "ids-are-exact",
    layer=Layer.MISTAKES,
    tier=Tier.SILVER,
    title="Ids that differ in one letter, or in its case, are two movements",
    expects="bets and wins whose ids differ by the case of letters, or in the last letter alone, all move money, and "
    "so do long ones that begin alike, as far as they are taken at all",
    needs=BETS,
)
def ids_are_exact(bench: AdapterBench) -> None:
    """An id is a row of bytes: two of them are one movement if every byte is equal, and never else.

    The rule bets under an id, under the same id in capitals, under one that differs in its last letter, and under two
    that go on where the first ends, and wins likewise. It is usually broken by a column that compares without case, by
    an id that is cut to fit one, or by `lower()` before a comparison that was meant for a signature.
    """
    tell_story(bench, _exact)


async def _exact(stage: Stage) -> None:
    seat, right = await stage.sit(), 0
    id_ = "ab" + stage.new_id()[2:]
    others = (id_.upper(), id_[:-1] + ("0" if id_[-1] != "0" else "1"))
    longer = tuple(f"{id_}-{'longer-than-a-column' * 2}-{number}" for number in (1, 2))
    for one in (id_, *others, *longer):
        round_id = stage.new_round()
        placed = bet(seat, round_id, one, 100)
        paid = win(seat, round_id, f"w{one[1:]}", 30, one)
        for play, capability, change in ((placed, Capability.BET, -100), (paid, Capability.WIN, 30)):
            if capability not in stage.peer.capabilities:
                continue
            try:
                told = await stage.tell(play)
            except MalformedRequestError:
                raise RuleNotApplicableError("the protocol's ids have no letters") from None
            if one in longer and told.verdict is not Verdict.DONE:
                stage.expect_change(right, told, "an id that is too long for the protocol moves nothing")
                return
            right += change
            told.expect(Verdict.DONE, why="an id that was never used")
            stage.expect_change(right, told, "each id is a movement of its own")
            stage.note(told, "an id that is almost another")


@ADAPTER_RULES.rule(
    "forgery-moves-nothing",
    layer=Layer.MISTAKES,
    tier=Tier.SILVER,
    title="Through the whole hub, what is not proven moves nothing",
    expects="a bet and a win that are signed with another secret are not answered with success, and nothing moves",
    needs=BETS,
)
def a_forgery(bench: AdapterBench) -> None:
    """That an adapter can tell a forgery is worth nothing if the forged request is answered all the same.

    The rule sends a bet and a win that are signed with another secret through the hub. It is usually broken by an
    answer to forgeries that the provider takes for success, in protocols that always answer 200.
    """
    tell_story(bench, _forged)


async def _forged(stage: Stage) -> None:
    seat, round_id = await stage.sit(), stage.new_round()
    placed = bet(seat, round_id, stage.new_id(), 100)
    await stage.done(placed, "an honest bet")
    wrong = Credentials({name: (f"{value}-other",) for name, value in stage.bench.subject.secrets.items()})
    forged = [bet(seat, stage.new_round(), stage.new_id(), 50)]
    if Capability.WIN in stage.peer.capabilities:
        forged.append(win(seat, round_id, stage.new_id(), 900, placed.moves[0].id))
    for play in forged:
        try:
            request = stage.peer.request(play, wrong, stage.hub.clock.now())
        except (CroupierError, ValueError):
            raise RuleNotApplicableError("no second secret can be made up") from None
        told = (await stage.pass_on(play, request)).expect(Verdict.REFUSED, Verdict.RETRY, why="it is not proven")
        stage.note(told, "a request that is signed with another secret")
        stage.expect_change(-100, told, "what is not proven moves nothing")


@ADAPTER_RULES.rule(
    "conflict-of-rounds-refused",
    layer=Layer.MISTAKES,
    tier=Tier.SILVER,
    title="An id that comes again in another round is no repeat",
    expects="with `dedupe_scope = round` it is another movement; else it is refused definitely and nothing moves",
    needs=BETS,
)
def a_known_id_in_another_round(bench: AdapterBench) -> None:
    """A provider that hears success believes that this round's stake was taken; it was another round's.

    The rule sends a bet, and its id again in another round. It is usually broken by an adapter that does not hand over
    the round, or whose keys hold it though the provider's ids are unique everywhere.
    """
    tell_story(bench, _other_round)


async def _other_round(stage: Stage) -> None:
    seat = await stage.sit()
    placed = bet(seat, stage.new_round(), stage.new_id(), 100)
    policy = _policy(stage, await stage.done(placed, "a bet"))
    if "round" in policy.fingerprint_ignores:
        raise RuleNotApplicableError("the policy ignores rounds in repeats")
    told = await stage.tell(evolve(placed, round=stage.new_round()))
    stage.note(told, "a known id in another round")
    apart = policy.dedupe_scope is DedupeScope.ROUND
    told.expect(Verdict.DONE if apart else Verdict.REFUSED, why="a known id in another round")
    stage.expect_change(-200 if apart else -100, told, "a known id in another round")


@ADAPTER_RULES.rule(
    "rollback-is-the-players-own",
    layer=Layer.MISTAKES,
    tier=Tier.SILVER,
    title="A rollback that names another player's bet moves nothing",
    expects="a rollback of the first player's bet in the second player's name changes neither balance",
    needs=UNDOES,
)
def a_rollback_of_another_players_bet(bench: AdapterBench) -> None:
    """Ids get mixed up; then the one player's stake must not become the other player's money.

    The rule bets as one player and rolls that bet back as another. What the provider hears is its policy's business;
    that no money moves is not. It is usually broken by an adapter that reads the player of bets and not of rollbacks.
    """
    tell_story(bench, _of_another)


async def _of_another(stage: Stage) -> None:
    seat, other = await stage.sit(), await stage.sit(OTHER)
    placed = bet(seat, stage.new_round(), stage.new_id(), 100)
    await stage.done(placed, "a bet")
    told = await stage.tell(evolve(undo(stage.peer, placed), player=other))
    stage.note(told, "the rollback of another player's bet")
    await stage.hub.drain(hours=1)
    stage.expect_change(-100, told, "another player's rollback leaves the bet alone")
    stage.expect_change(0, told, "another player's bet is nobody else's money", OTHER)


@ADAPTER_RULES.rule(
    "win-is-taken-back",
    layer=Layer.MISTAKES,
    tier=Tier.SILVER,
    title="The rollback of a win takes the win back, once",
    expects="the balance is what it was before the win, and the provider hears success",
    needs=UNDOES_WINS,
)
def the_rollback_of_a_win(bench: AdapterBench) -> None:
    """A win that is rolled back goes the other way than a bet; a hub that mixes them up pays twice.

    The rule plays a bet and a win, and rolls the win back twice. It is usually broken by an adapter that names the
    wrong movement as what is undone.
    """
    tell_story(bench, _win_taken_back)


async def _win_taken_back(stage: Stage) -> None:
    seat, round_id = await stage.sit(), stage.new_round()
    placed = bet(seat, round_id, stage.new_id(), 100)
    paid = win(seat, round_id, stage.new_id(), 250, placed.moves[0].id)
    undone = undo(stage.peer, paid)
    stage.needs_words_for(undone)
    await stage.done(placed, "a bet")
    policy = _policy(stage, await stage.done(paid, "a win"))
    if not policy.rollback_of_win:
        raise RuleNotApplicableError("the policy lets no win be rolled back")
    for _ in range(2):
        told = (await stage.tell(undone)).expect(Verdict.DONE, why="the rollback of a win")
        stage.note(told, "the rollback of a win")
        stage.expect_change(-100, told, "a win that was rolled back")


@ADAPTER_RULES.rule(
    "wallet-keeps-the-money",
    layer=Layer.MISTAKES,
    tier=Tier.SILVER,
    title="A rollback that the wallet refuses is not told as done",
    expects="while the wallet refuses rollbacks the provider hears a refusal, or that it must ask again",
    needs=UNDOES,
)
def a_wallet_that_gives_nothing_back(bench: AdapterBench) -> None:
    """A provider that hears success takes the bet out of its books, and the player's stake is gone.

    The rule lets the wallet refuse the rollback of a bet that stands. It is usually broken by an adapter that answers
    every rollback with success, because rollbacks of unknown bets need that.
    """
    tell_story(bench, _kept)


async def _kept(stage: Stage) -> None:
    seat = await stage.sit()
    placed = bet(seat, stage.new_round(), stage.new_id(), 100)
    await stage.done(placed, "a bet")
    stage.operator.keeps = DeclineReason.OPERATION_NOT_ALLOWED
    told = await stage.tell(undo(stage.peer, placed))
    stage.note(told, "a rollback that the wallet refuses")
    told.expect(Verdict.REFUSED, Verdict.RETRY, why="the wallet has kept the money")
    stage.expect_change(-100, told, "a refused rollback moves nothing")


@ADAPTER_RULES.rule(
    "wallet-answers-nonsense",
    layer=Layer.MISTAKES,
    tier=Tier.SILVER,
    title="An answer of the wallet that cannot be read is no answer",
    expects="the provider hears that it must ask again or cancel, and in the end the wallet holds what its book holds",
    needs=BETS,
)
def a_wallet_that_answers_nonsense(bench: AdapterBench) -> None:
    """An error page with HTTP 200 says neither yes nor no; the stake may be gone.

    The rule bets while the wallet does what it is asked and answers with a page, nothing, half an answer, or one of the
    wrong form, and wins while it answers with a page and does nothing. It is usually broken like `silent-wallet-bet`.
    """
    tell_story(bench, _nonsense)


async def _nonsense(stage: Stage) -> None:
    seat = await stage.sit()
    for garbled in GARBLED:
        placed = bet(seat, stage.new_round(), stage.new_id(), 100)
        held = stage.change()
        stage.operator.garbled = garbled
        told = await stage.tell(placed)
        stage.note(told, "a bet while the wallet answers nonsense")
        stage.operator.garbled = None
        told.expect(Verdict.RETRY, why="nobody knows what the wallet did")
        if Capability.ROLLBACK_BET in stage.peer.capabilities:
            (await stage.until_definite(undo(stage.peer, placed))).expect(
                Verdict.DONE, Verdict.REFUSED, why="a rollback is answered definitely in the end"
            )
            await stage.hub.drain()
            stage.expect_change(held, told, "what was called off is given back")
    if Capability.WIN in stage.peer.capabilities:
        await _nonsense_about_a_win(stage, seat)


async def _nonsense_about_a_win(stage: Stage, seat: PeerPlayer) -> None:
    """A win whose answer was nonsense, and which the wallet has not paid."""
    placed = bet(seat, stage.new_round(), stage.new_id(), 100)
    await stage.done(placed, "a bet")
    held = stage.change()
    paid = win(seat, placed.round, stage.new_id(), 250, placed.moves[0].id)
    stage.operator.garbled, stage.operator.silent = GARBLED[0], True
    told = (await stage.tell(paid)).expect(Verdict.RETRY, why="nobody knows what the wallet did")
    stage.note(told, "a win while the wallet answers nonsense")
    stage.operator.garbled, stage.operator.silent = None, False
    await stage.hub.drain()
    told = (await stage.until_definite(paid)).expect(Verdict.DONE, why="a win is owed")
    stage.expect_change(held + 250, told, "a win is paid once")


@ADAPTER_RULES.rule(
    "stake-comes-back-once",
    layer=Layer.MISTAKES,
    tier=Tier.SILVER,
    title="However often a bet is called off, the wallet is asked to give back once",
    expects="with a wallet that knows rollbacks by their own id alone, repeats, second ids and lost answers give the "
    "stake back once",
    needs=UNDOES,
)
def a_wallet_that_knows_rollbacks_by_id(bench: AdapterBench) -> None:
    """Many wallets know a rollback again by its id and do not ask what became of the bet.

    The rule rolls a bet back, again, and under a second id, and another one while answers are lost. It is usually
    broken by an adapter whose repeats are not equal to each other.
    """
    tell_story(bench, _once)


async def _once(stage: Stage) -> None:
    seat = await stage.sit()
    stage.operator.knows_rollbacks_by_id = True
    for lost in (False, True):
        placed = bet(seat, stage.new_round(), stage.new_id(), 100)
        await stage.done(placed, "a bet")
        stage.operator.mute = lost
        await stage.tell(undo(stage.peer, placed))
        await stage.hub.clock.sleep(60)
        stage.operator.mute = False
        await stage.until_definite(undo(stage.peer, placed))
        told = await stage.until_definite(undo(stage.peer, placed, "another"))
        stage.note(told, "a bet that is called off again")
        await stage.hub.drain()
        stage.expect_change(0, told, "the stake comes back once")
        still_open = [row.movement for row in await stage.hub.rows() if row.state in OPEN]
        if still_open:
            told.breaks(f"the hub never comes to an end with {len(still_open)} movements")


@ADAPTER_RULES.rule(
    "operator-disabled",
    layer=Layer.MISTAKES,
    tier=Tier.SILVER,
    title="Of an operator that is switched off no bet is taken, and what is owed is paid",
    expects="a new bet is refused definitely; the win of an older bet is paid",
    needs=BETS,
)
def a_disabled_operator(bench: AdapterBench) -> None:
    """An operator loses its licence on a day on which rounds are open.

    The rule switches the operator off between a bet and its win. It is usually broken like `game-disabled`.
    """

    async def disable(stage: Stage) -> None:
        await stage.hub.put(Kind.OPERATOR, stage.hub.operator, enabled=False)

    tell_story(bench, _switched_off(disable))


@ADAPTER_RULES.rule(
    "connection-disabled",
    layer=Layer.MISTAKES,
    tier=Tier.SILVER,
    title="On a connection that is switched off no bet is taken, and what is owed is paid",
    expects="a new bet is refused definitely; the win of an older bet is paid",
    needs=BETS,
)
def a_disabled_connection(bench: AdapterBench) -> None:
    """A provider is switched off while its rounds are open.

    The rule switches the connection off between a bet and its win. It is usually broken like `game-disabled`.
    """

    async def disable(stage: Stage) -> None:
        await stage.hub.put(Kind.CONNECTION, stage.hub.connections[NAME], enabled=False)

    tell_story(bench, _switched_off(disable))


def _switched_off(disable: Callable[[Stage], Awaitable[None]]) -> Callable[[Stage], Awaitable[None]]:
    async def story(stage: Stage) -> None:
        seat, round_id = await stage.sit(), stage.new_round()
        placed = bet(seat, round_id, stage.new_id(), 100)
        await stage.done(placed, "a bet before")
        await disable(stage)
        told = await stage.tell(bet(seat, stage.new_round(), stage.new_id(), 70))
        stage.note(told, "a bet after it was switched off")
        told.expect(Verdict.REFUSED, why="it is switched off")
        stage.expect_change(-100, told, "a refused bet takes nothing")
        paid = win(seat, round_id, stage.new_id(), 250, placed.moves[0].id)
        if Capability.WIN in stage.peer.capabilities and stage.can_say(paid):
            told = (await stage.tell(paid)).expect(Verdict.DONE, why="a win is owed")
            stage.expect_change(150, told, "a win is paid")

    return story


@ADAPTER_RULES.rule(
    "bet-limit",
    layer=Layer.MISTAKES,
    tier=Tier.SILVER,
    title="A bet above the operator's limit is refused, and one at the limit taken",
    expects="one minor unit above the limit is refused definitely and moves nothing",
    needs=BETS,
)
def a_bet_above_the_limit(bench: AdapterBench) -> None:
    """Limits are law in many places, and a provider's own limits are not the operator's.

    The rule sets the operator's largest bet and bets that and one minor unit more. It is usually broken by a code that
    makes the provider ask again.
    """
    tell_story(bench, _limited)


async def _limited(stage: Stage) -> None:
    seat = await stage.sit()
    await stage.hub.put(Kind.OPERATOR, stage.hub.operator, limits={"max_bet_minor": {CURRENCY: LIMIT}})
    told = await stage.tell(bet(seat, stage.new_round(), stage.new_id(), LIMIT + 1))
    stage.note(told, "a bet above the limit")
    told.expect(Verdict.REFUSED, why="it is above the operator's limit")
    stage.expect_change(0, told, "a refused bet takes nothing")
    told = await stage.done(bet(seat, stage.new_round(), stage.new_id(), LIMIT), "a bet at the limit")
    stage.expect_change(-LIMIT, told, "a bet at the limit is taken")


@ADAPTER_RULES.rule(
    "everything-may-be-staked",
    layer=Layer.MISTAKES,
    tier=Tier.SILVER,
    title="A player may stake all that he has",
    expects="a bet of the whole balance is done, and is told as done",
    needs=BETS,
)
def a_bet_of_everything(bench: AdapterBench) -> None:
    """A balance of zero is a balance; taken for none, it makes a bet that was taken look like a failure.

    The rule bets the whole balance. It is usually broken by `if not balance`.
    """
    tell_story(bench, _everything)


async def _everything(stage: Stage) -> None:
    seat = await stage.sit()
    told = await stage.done(bet(seat, stage.new_round(), stage.new_id(), OPENING), "a bet of the whole balance")
    stage.note(told, "a bet of the whole balance")
    stage.expect_change(-OPENING, told, "a bet of the whole balance is taken")


@ADAPTER_RULES.rule(
    "thousands-are-thousands",
    layer=Layer.MISTAKES,
    tier=Tier.SILVER,
    title="Where the provider counts in thousands, bets and balances do",
    expects="with a currency of ratio 1000 a bet of 0.1 takes 100, and a balance of 1000 is told as 1",
    needs=BETS,
)
def a_currency_in_thousands(bench: AdapterBench) -> None:
    """Providers count some currencies in thousands; a balance that is not scaled shows a thousandfold of the money.

    The rule gives the connection a currency of ratio 1000, asks for the balance and bets. It is usually broken by an
    adapter that writes the cash amount instead of asking the balance for its number.
    """
    # A code that every peer knows: what it is called does not matter here.
    thousands = {"code": "USD", "currency": CURRENCY, "ratio": "1000"}
    tell_story(bench, _thousands, policy={"currencies": [thousands]})


async def _thousands(stage: Stage) -> None:
    seat = await stage.sit()
    asked = PeerBalance(player=seat)
    if stage.can_say(asked):
        told = await stage.done(asked, "the balance")
        stage.note(told, "a balance in thousands")
        if told.answer.balance is not None and told.answer.balance * 1000 != minor_to_decimal(OPENING, SCALE):
            told.breaks(f"the balance is told as {told.answer.balance}, and is a thousandth of the wallet's")
    told = await stage.done(bet(seat, stage.new_round(), stage.new_id(), 10), "a bet in thousands")
    stage.note(told, "a bet in thousands")
    stage.expect_change(-10_000, told, "a tenth of a thousand is a hundred")


@ADAPTER_RULES.rule(
    "below-zero-is-refused",
    layer=Layer.MISTAKES,
    tier=Tier.SILVER,
    title="A bet or a win below zero moves nothing",
    expects="a bet and a win of a negative amount are refused, or answered as malformed, and nothing moves",
    needs=BETS,
)
def an_amount_below_zero(bench: AdapterBench) -> None:
    """A bet of -5 that takes 5, or pays them, has emptied wallets.

    The rule bets and wins amounts below zero, where the peer can write them. It is usually broken by a reader that
    drops the sign.
    """
    tell_story(bench, _below_zero)


async def _below_zero(stage: Stage) -> None:
    seat, round_id = await stage.sit(), stage.new_round()
    placed = bet(seat, round_id, stage.new_id(), 100)
    await stage.done(placed, "a bet")
    plays = [bet(seat, stage.new_round(), stage.new_id(), -50)]
    if Capability.WIN in stage.peer.capabilities:
        plays.append(win(seat, round_id, stage.new_id(), -50, placed.moves[0].id))
    for play in plays:
        try:
            request = stage.peer.request(play, stage.bench.credentials, stage.hub.clock.now())
        except (CroupierError, ValueError):
            raise RuleNotApplicableError("the peer writes no amounts below zero") from None
        told = (await stage.pass_on(play, request)).expect(Verdict.REFUSED, Verdict.RETRY, why="it is below zero")
        stage.note(told, "an amount below zero")
        stage.expect_change(-100, told, "an amount below zero moves nothing")
