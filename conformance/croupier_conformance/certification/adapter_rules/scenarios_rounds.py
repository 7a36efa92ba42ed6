"""Layer of scenarios: one round at a time, through the real gateway and engine, with a wallet that always answers."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from croupier.contract import (
    Capability,
    DedupeScope,
    LateOriginal,
    MovementKind,
    PeerAction,
    PeerBalance,
    PeerMove,
    PeerPlay,
    Policy,
    RepeatAnswer,
    RetryClass,
    RollbackAfterWin,
    RoundEnd,
    UnknownRollback,
    Verdict,
)
from croupier.contract.calls import Play, PlayMode
from croupier.ledger.port import Page
from croupier.ledger.records import RoundState
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.operator import OPENING
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleBrokenError, RuleNotApplicableError, Tier
from croupier_conformance.certification.stage import (
    OTHER,
    Stage,
    Told,
    bet,
    both,
    closing,
    major,
    tell_story,
    undo,
    win,
)

BETS: Final = (frozenset({Capability.BET}),)
WINS: Final = (frozenset({Capability.BET}), frozenset({Capability.WIN}))
UNDOES: Final = (frozenset({Capability.BET}), frozenset({Capability.ROLLBACK_BET}))
UNDOES_PAID: Final = (*WINS, frozenset({Capability.ROLLBACK_BET}))

_OVER: Final = (Verdict.DONE, Verdict.REFUSED)
_SEVERAL: Final = 3
"""Wins of a round that pays more than once."""


def _policy(stage: Stage, told: Told) -> Policy:
    """The declared policy of a request's operation."""
    return stage.policies.of(stage.parsed(told.request).items[0].operation)


@ADAPTER_RULES.rule(
    "repeat-is-equal",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="A repeat moves nothing and is told the same",
    expects="a second and a third copy of a bet and of a win leave the balance alone, and carry the first one's "
    "transaction id",
    needs=BETS,
)
def a_repeat_is_told_the_same(bench: AdapterBench) -> None:
    """A provider that heard nothing sends the same again, and books what it hears the second time.

    The rule sends a bet and a win three times each. It is usually broken by an adapter that makes an id from what
    differs between the copies (a time stamp, the request's own id, the resend flag), or whose answer to a repeat lacks
    what its answer to the first had.
    """
    tell_story(bench, _repeats)


async def _repeats(stage: Stage) -> None:
    seat, round_id = await stage.sit(), stage.new_round()
    placed = bet(seat, round_id, stage.new_id(), 100)
    paid = win(seat, round_id, stage.new_id(), 250, placed.moves[0].id)
    plays = [placed, paid] if stage.can_say(paid) else [placed]
    for play in plays:
        first = await stage.done(play, "a new movement")
        held, knob = stage.change(), _policy(stage, first).repeat
        for again in (play, evolve(play, resend=True)):
            if not stage.can_say(again):
                continue
            await stage.hub.clock.sleep(3)
            told = await stage.tell(again)
            told.expect(*((Verdict.DONE,) if knob is RepeatAnswer.SUCCESS else _OVER), why="a repeat of what was done")
            stage.expect_change(held, told, "a repeat moves nothing")
            if told.verdict is Verdict.DONE and told.answer.transaction != first.answer.transaction:
                told.breaks(f"the first was told transaction {first.answer.transaction}, the repeat another")
            stage.note(told, "a repeat")


@ADAPTER_RULES.rule(
    "rollback-first",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="A bet that arrives after its rollback moves nothing",
    expects="the rollback of something unknown is answered by `unknown_rollback`, the late bet by `late_original`, and "
    "the balance never changes",
    needs=UNDOES,
)
def a_rollback_that_comes_first(bench: AdapterBench) -> None:
    """A provider whose bet timed out sends the rollback at once, and the bet may still be on its way.

    The rule sends the rollback, then the bet, then both again. It is usually broken where the rollback's target and
    the bet's own key are in different namespaces, so that the bet does not find its tombstone and takes money that
    nobody gives back.
    """
    tell_story(bench, _rollback_first)


async def _rollback_first(stage: Stage) -> None:
    seat = await stage.sit()
    placed = bet(seat, stage.new_round(), stage.new_id(), 100)
    undone = undo(stage.peer, placed)
    for _ in range(2):
        rolled = await stage.tell(undone)
        accepts = _policy(stage, rolled).unknown_rollback is UnknownRollback.ACCEPT
        rolled.expect(*((Verdict.DONE,) if accepts else _OVER), why="the rollback of a bet that was never seen")
        late = await stage.tell(placed)
        takes = _policy(stage, late).late_original is LateOriginal.ACCEPT
        late.expect(Verdict.DONE if takes else Verdict.REFUSED, why="a bet that comes after its rollback")
        stage.expect_change(0, late, "a bet that was rolled back before it came moves nothing")
        stage.note(late, "a late bet")


@ADAPTER_RULES.rule(
    "rollback-once",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="A rollback gives the stake back once",
    expects="however often the rollback comes, and under whatever id, the stake comes back exactly once",
    needs=UNDOES,
)
def a_rollback_gives_back_once(bench: AdapterBench) -> None:
    """A rollback is repeated until it is answered; paying it twice is the most expensive mistake of all.

    The rule rolls a bet back three times and, where rollbacks have ids of their own, once more under another id.
    It is usually broken by an adapter that gives a rollback the bet's amount as a credit, or by an answer to the second
    rollback that the provider takes for "not yet".
    """
    tell_story(bench, _rollback_once)


async def _rollback_once(stage: Stage) -> None:
    seat = await stage.sit()
    placed = bet(seat, stage.new_round(), stage.new_id(), 700)
    stage.expect_change(-700, await stage.done(placed, "a bet"), "a bet takes its stake")
    for place, mark in enumerate(("undo", "undo", "undo", "other")):
        told = await stage.tell(undo(stage.peer, placed, mark))
        alike = place == 0 or _policy(stage, told).repeat_rollback is RepeatAnswer.SUCCESS
        told.expect(*((Verdict.DONE,) if alike else _OVER), why="a rollback" if place == 0 else "a rollback again")
        stage.expect_change(0, told, "a rollback gives the stake back once")
        stage.note(told, "a rollback")


@ADAPTER_RULES.rule(
    "rollback-after-win",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="A paid bet is rolled back only where the policy allows it",
    expects="with `rollback_after_win = allow` the stake comes back and the win stays; with `refuse` nothing moves and "
    "the provider hears a definite refusal",
    needs=UNDOES_PAID,
)
def a_paid_bet(bench: AdapterBench) -> None:
    """Whether a bet whose round was paid can still be undone is the provider's rule, and money either way.

    The rule plays a bet and its win, and then rolls the bet back. It is usually broken where the code for "it was
    paid, it stands" is one that the provider repeats for ever.
    """
    tell_story(bench, _paid)


async def _paid(stage: Stage) -> None:
    seat, round_id = await stage.sit(), stage.new_round()
    placed = bet(seat, round_id, stage.new_id(), 100)
    await stage.done(placed, "a bet")
    await stage.done(win(seat, round_id, stage.new_id(), 400, placed.moves[0].id), "a win")
    told = await stage.tell(undo(stage.peer, placed))
    allows = _policy(stage, told).rollback_after_win is RollbackAfterWin.ALLOW
    told.expect(
        Verdict.DONE if allows else Verdict.REFUSED, why=f"rollback_after_win = {'allow' if allows else 'refuse'}"
    )
    stage.expect_change(400 if allows else 300, told, "a bet that was paid")
    stage.note(told, "the rollback of a paid bet")


@ADAPTER_RULES.rule(
    "conflict-refused",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="An id that comes again with another amount is refused",
    expects="a bet and a win under a known id with another amount are refused definitely, and nothing moves",
    needs=BETS,
)
def a_known_id_with_other_content(bench: AdapterBench) -> None:
    """An id that comes with other content is a mistake of somebody; booking either is wrong, and asking again too.

    The rule sends a bet and a win, and each again under its id with another amount; a policy that ignores amounts in
    fingerprints is not asked. It is usually broken by an adapter that puts the amount into the key, or by a code for
    conflicts that the provider takes for success or repeats for ever.
    """
    tell_story(bench, _conflicts)


async def _conflicts(stage: Stage) -> None:
    seat, round_id = await stage.sit(), stage.new_round()
    placed = bet(seat, round_id, stage.new_id(), 100)
    paid = win(seat, round_id, stage.new_id(), 250, placed.moves[0].id)
    for play in [placed, paid] if stage.can_say(paid) else [placed]:
        first = await stage.done(play, "a new movement")
        if "amount" in _policy(stage, first).fingerprint_ignores:
            raise RuleNotApplicableError("the policy ignores amounts in repeats")
        held = stage.change()
        move = play.moves[0]
        told = await stage.tell(evolve(play, moves=(evolve(move, amount=move.amount + major(1)),)))
        told.expect(Verdict.REFUSED, why="a known id with another amount", hint="map `conflict` to a final code")
        stage.expect_change(held, told, "a conflict moves nothing")
        stage.note(told, "a known id with another amount")


@ADAPTER_RULES.rule(
    "zero-win-ends",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="A round that won nothing ends",
    expects="a win of zero is accepted and moves nothing, and after the round's end the hub has the round closed",
    needs=WINS,
)
def a_win_of_zero(bench: AdapterBench) -> None:
    """A loss is told by a win of zero or by the round's end alone; a refused zero leaves the round open for ever.

    The rule plays a bet and a win of zero that ends the round in the protocol's own way. It is usually broken by an
    adapter that refuses an amount of zero, or does not read the round's end.
    """
    tell_story(bench, _zero_win)


async def _zero_win(stage: Stage) -> None:
    seat, round_id = await stage.sit(), stage.new_round()
    placed = bet(seat, round_id, stage.new_id(), 100)
    await stage.done(placed, "a bet")
    flagged = not stage.peer.closes_by_call
    told = await stage.done(win(seat, round_id, stage.new_id(), 0, placed.moves[0].id, closes=flagged), "a win of zero")
    end = _policy(stage, told).round_end
    if not flagged:
        told = await stage.done(
            closing(stage.peer, seat, round_id, stage.new_id(), placed.moves[0].id), "a round's end"
        )
    stage.expect_change(-100, told, "a win of zero brings nothing")
    stage.note(told, "the end of a round that won nothing")
    rounds = await stage.hub.ledger.rounds(stage.hub.operator, None, Page(limit=10))
    if end is not RoundEnd.NEVER and [row.state for row in rounds] != [RoundState.CLOSED]:
        told.breaks("the round is still open", "say in `closes_round` or by `CloseRound` that the round ends")


@ADAPTER_RULES.rule(
    "several-wins",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="Every win of a round is paid",
    expects="three wins of one round, two of them of the same amount, are paid each once",
    needs=WINS,
)
def several_wins(bench: AdapterBench) -> None:
    """Rounds pay more than once: features, jackpots, cash-outs. Equal amounts do not make wins equal.

    The rule plays one bet and three wins; three bets and a win of each, where the policy gives a bet one win alone. It
    is usually broken by an adapter that keys wins by their round or their bet, so that the second win passes for a
    repeat of the first.
    """
    tell_story(bench, _several_wins)


async def _several_wins(stage: Stage) -> None:
    seat, round_id = await stage.sit(), stage.new_round()
    placed = bet(seat, round_id, stage.new_id(), 100)
    policy = _policy(stage, await stage.done(placed, "a bet"))
    if policy.wins_per_round is not None and policy.wins_per_round < _SEVERAL:
        raise RuleNotApplicableError("the policy allows fewer wins in a round")
    bets, one_each = [placed], policy.wins_per_bet is not None and policy.wins_per_bet < _SEVERAL
    while one_each and len(bets) < _SEVERAL:
        bets.append(bet(seat, round_id, stage.new_id(), 100))
        await stage.done(bets[-1], "a bet")
    right = -100 * len(bets)
    for place, minor in enumerate((50, 50, 300)):
        right += minor
        of = bets[place % len(bets)].moves[0].id
        told = await stage.done(win(seat, round_id, stage.new_id(), minor, of), "one more win")
        stage.expect_change(right, told, "every win is paid")
        stage.note(told, "one more win")


@ADAPTER_RULES.rule(
    "batch-by-its-mode",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="A request of several movements is done as its mode says",
    expects="of a request with a bet that cannot be paid nothing is done if it is atomic, or if the provider takes it "
    "as refused; else no more than what stands before or beside the failing movement",
    needs=(frozenset({Capability.BATCH, Capability.BET_AND_WIN}),),
)
def a_batch_with_a_failing_member(bench: AdapterBench) -> None:
    """If half of a request stands and the provider books none of it, the books differ for ever.

    The rule sends two requests, each with a bet that the player cannot pay: once with a win behind it, once behind
    another bet. What must stand follows from the mode that the adapter gives the play. It is usually broken by the
    wrong mode: a provider that takes one refusal for the whole request needs `ATOMIC`.
    """
    tell_story(bench, _failing_batches)


async def _failing_batches(stage: Stage) -> None:
    seat = await stage.sit()
    paid = both(seat, stage.new_round(), (stage.new_id(), stage.new_id()), OPENING + 100, 700)
    small = PeerMove(kind=MovementKind.BET, id=stage.new_id(), amount=major(200))
    large = PeerMove(kind=MovementKind.BET, id=stage.new_id(), amount=major(OPENING))
    two = PeerPlay(player=seat, round=stage.new_round(), moves=(small, large))
    plays = [play for play in (paid, two) if stage.can_say(play)]
    if not plays:
        raise RuleNotApplicableError("the protocol puts no two movements of one round into a request")
    for play in plays:
        held = stage.change()
        told = await stage.tell(play)
        (call,) = stage.parsed(told.request).items
        atomic = isinstance(call, Play) and (call.mode is PlayMode.ATOMIC or len(call.movements) == 1)
        wrong = "one member cannot be paid"
        told.expect(*((Verdict.REFUSED,) if atomic else tuple(Verdict)), why=wrong)
        stage.note(told, "a request with a failing member")
        if atomic or told.verdict is Verdict.REFUSED:
            stage.expect_change(held, told, "of a request that is atomic, or refused as a whole, nothing stands")
        elif stage.change() - held not in {-200, 0, 700, 500}:
            told.breaks("more moved than the members that can be paid")


@ADAPTER_RULES.rule(
    "same-id-two-players",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="One id of two players is one movement or two, as the scope of ids says",
    expects="with `dedupe_scope = provider` the second player's bet under a known id is refused and moves nothing; "
    "with `player` or `round` both bets are taken",
    needs=BETS,
)
def one_id_of_two_players(bench: AdapterBench) -> None:
    """At a table two players may carry one transaction id; elsewhere an id is unique over everything.

    The rule has two players bet under one id. It is usually broken by a scope that is too narrow, which takes a
    forged or mixed-up id for new, or too wide, which refuses honest bets of the second player.
    """
    tell_story(bench, _two_players)


async def _two_players(stage: Stage) -> None:
    one, other = await stage.sit(), await stage.sit(OTHER)
    id_, round_id = stage.new_id(), stage.new_round()
    first = await stage.done(bet(one, round_id, id_, 100), "a bet")
    told = await stage.tell(bet(other, round_id, id_, 100))
    policy = _policy(stage, first)
    ignored = policy.fingerprint_ignores
    stage.note(told, "another player's bet under the same id")
    if policy.dedupe_scope is not DedupeScope.PROVIDER:
        told.expect(Verdict.DONE, why="ids are unique by player only")
        stage.expect_change(-100, told, "each player's own bet", OTHER)
    elif "player" not in ignored:
        told.expect(Verdict.REFUSED, why="ids are unique over all players")
    if policy.dedupe_scope is DedupeScope.PROVIDER:
        stage.expect_change(0, told, "an id of another player moves nothing", OTHER)
    stage.expect_change(-100, told, "the first player's bet stands")


@ADAPTER_RULES.rule(
    "too-little-money",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="A bet that the player cannot pay is refused definitely",
    expects="the provider hears a definite refusal, the balance is unchanged, and a rollback of that bet moves nothing",
    needs=BETS,
)
def a_bet_that_cannot_be_paid(bench: AdapterBench) -> None:
    """The most frequent refusal of all, and the most frequent mistake in it: answering it as a failure.

    The rule bets one minor unit more than the player has, repeats that, and rolls it back where the protocol can. It is
    usually broken by a code that makes the provider ask again or send rollbacks for ever.
    """
    tell_story(bench, _too_little)


async def _too_little(stage: Stage) -> None:
    seat = await stage.sit()
    placed = bet(seat, stage.new_round(), stage.new_id(), OPENING + 1)
    for _ in range(2):
        told = (await stage.tell(placed)).expect(Verdict.REFUSED, why="the player cannot pay")
        stage.expect_change(0, told, "a refused bet takes nothing")
        stage.note(told, "a bet above the balance")
    undone = undo(stage.peer, placed)
    if Capability.ROLLBACK_BET in stage.peer.capabilities and stage.can_say(undone):
        rolled = await stage.tell(undone)
        policy = _policy(stage, rolled)
        accepts = policy.rollback_of_declined is UnknownRollback.ACCEPT
        final = policy.retry_class.get("target_declined", RetryClass.FINAL) is RetryClass.FINAL
        if accepts or final:
            rolled.expect(*((Verdict.DONE,) if accepts else _OVER), why="the rollback of a refused bet")
        stage.expect_change(0, rolled, "nothing was taken, so nothing comes back")


@ADAPTER_RULES.rule(
    "balance-is-the-wallets",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="Every balance that is shown is the wallet's",
    expects="whatever balance an answer carries, it is what the wallet holds at that moment, cut to the digits that "
    "the provider shows",
    needs=BETS,
)
def every_balance_is_the_wallets(bench: AdapterBench) -> None:
    """Players see the provider's balance; one that differs from the casino's is a support case each time.

    The rule asks for the balance, bets, wins, is refused, rolls back, and asks again, with odd amounts, and compares
    every balance that an answer carries. It is usually broken by a scale that is wrong in one answer, by minor units
    where major ones belong, or by a balance from before the movement.
    """
    tell_story(bench, _balances)


async def _balances(stage: Stage) -> None:
    seat, round_id = await stage.sit(), stage.new_round()
    placed = bet(seat, round_id, stage.new_id(), 1234)
    story: list[PeerAction] = [
        PeerBalance(player=seat),
        placed,
        win(seat, round_id, stage.new_id(), 707, placed.moves[0].id),
        bet(seat, stage.new_round(), stage.new_id(), OPENING * 2),
        closing(stage.peer, seat, round_id, stage.new_id(), placed.moves[0].id),
        last := bet(seat, stage.new_round(), stage.new_id(), 55),
        undo(stage.peer, last),
        PeerBalance(player=seat),
    ]
    seen = 0
    for action in story:
        if not stage.can_say(action):
            continue
        told = await stage.tell(action)
        held = major(OPENING + stage.change())
        if told.answer.balance is None:
            continue
        seen += 1
        stage.note(told, "a balance")
        if told.answer.balance != held:
            told.breaks(f"it shows {told.answer.balance}, and the wallet holds {held}", "see `Balance.display`")
    if not seen and Capability.BALANCE in stage.peer.capabilities:
        raise RuleBrokenError("no answer carried a balance that the peer understands", hint="see the peer's `answer`")
