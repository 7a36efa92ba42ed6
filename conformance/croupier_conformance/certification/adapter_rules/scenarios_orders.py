"""Layer of scenarios: any order of messages, each any number of times, against an independent model of money."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from random import Random
from typing import Final

from attrs import evolve

from croupier.contract import (
    Capability,
    CroupierError,
    MovementKind,
    PeerAction,
    PeerAnswer,
    PeerCloseRound,
    PeerPlay,
    PeerPlayer,
    PlayMode,
    Verdict,
)
from croupier.contract.calls import Play
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.oracle import Expected, Oracle
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleBrokenError, Tier
from croupier_conformance.certification.stage import (
    SCALE,
    Stage,
    Told,
    bet,
    both,
    closing,
    named,
    tell_story,
    undo,
    win,
)

LONGEST: Final = 6
"""Messages in one order."""
WHOLE: Final = 100
"""From so many examples on, every order is told; with fewer, some of them."""
PLAIN: Final = "BWRC"
"""A bet, its win, the bet's rollback, the round's end."""
MORE: Final = "VDEZXY"
"""The win's rollback, a second bet and its rollback, a second win, a bet and win in one, and their rollback."""


@ADAPTER_RULES.rule(
    "any-order",
    layer=Layer.SCENARIOS,
    tier=Tier.SILVER,
    title="Whatever the order and however often repeated, messages move what the declared policy says",
    expects="for every message the verdict and the change of the balance that the declared policy gives: what was "
    "answered as done stands, what was refused moved nothing, and nothing moves twice",
    needs=(frozenset({Capability.BET}),),
)
def any_order(bench: AdapterBench) -> None:
    """Networks repeat and reorder, so every order of a round's messages comes up some day.

    The rule tells a bet, its win, the bet's rollback and the round's end in every order of up to six messages, each up
    to twice, to a whole hub with this adapter and a model wallet; every shorter order is the beginning of a longer one.
    Then it draws orders with second bets, second wins, rollbacks of wins and bets with their wins in one request, as
    far as the protocol has them. After each message the peer's understanding of the answer and the wallet's balance
    are compared with a small model of money that knows the adapter's declared policy and nothing of the engine.

    It is usually broken by a policy that does not say what the adapter's answers mean: a knob that is declared one way
    while the code table or the peer has it the other way; by two movements that share one key, or one movement with
    two; or by a refusal that the provider takes for success.
    """
    tell_story(bench, _every_order)


async def _every_order(stage: Stage) -> None:
    seat = await stage.sit()
    words = _words(stage, seat, "probe")
    alphabet = "".join(letter for letter in PLAIN + MORE if letter in words)
    plain = "".join(letter for letter in PLAIN if letter in words)
    for order in _orders(plain, alphabet, stage.bench.examples, Random(stage.bench.seed)):
        await _tell(stage, seat, order)


def _orders(plain: str, alphabet: str, examples: int, dice: Random) -> Iterator[str]:
    """Every plain order that is no beginning of another, as many as there is time for; then drawn ones."""
    length = min(LONGEST, 2 * len(plain))
    every = ["".join(order) for order in product(plain, repeat=length) if all(order.count(one) <= 2 for one in plain)]
    room = len(every) if examples >= WHOLE else examples * 8
    yield from every if len(every) <= room else dice.sample(every, room)
    if len(alphabet) > len(plain):
        for _ in range(examples * 2):
            yield "".join(dice.choices(alphabet, k=LONGEST))


async def _tell(stage: Stage, seat: PeerPlayer, order: str) -> None:
    """Tell one order in a round of its own, and hold every answer against the model."""
    oracle = Oracle(scale=SCALE, rollback_key_is_target=stage.peer.rollback_key_is_target)
    words = _words(stage, seat, stage.new_round())
    before, first = stage.change(), dict[str, PeerAnswer]()
    for place, letter in enumerate(order):
        told = await stage.tell(words[letter])
        expected = _expected(stage, oracle, told)
        before += expected.change
        heard = told.verdict in expected.verdicts
        alike = letter not in first or not expected.repeat or _same(first[letter], told.answer)
        if not heard or not alike or stage.change() != before:
            raise _wrong(stage, told, expected, [words[one] for one in order[: place + 1]], before, alike=alike)
        if told.verdict is Verdict.DONE:
            first.setdefault(letter, told.answer)


def _same(one: PeerAnswer, other: PeerAnswer) -> bool:
    """Whether a repeat was told the same; its balance may be newer, and a protocol may have a word for repeats."""
    return one.transaction == other.transaction or one.verdict is not other.verdict


def _wrong(
    stage: Stage, told: Told, expected: Expected, story: Sequence[PeerAction], right: int, *, alike: bool
) -> RuleBrokenError:
    wanted = " or ".join(sorted(verdict.value for verdict in expected.verdicts))
    found = f"the peer understands {told.verdict.value}, and the balance changed by {stage.change()} in all"
    if not alike:
        found = f"the repeat was told another transaction id than the first message: {told.answer.transaction}"
    return RuleBrokenError(
        f"after {' -> '.join(map(named, story))}: expected {wanted} ({expected.why}) and a change of {right} minor"
        f" units over all orders so far; {found}",
        sent=told.request.body.decode("utf-8", "backslashreplace"),
        came_back=told.came_back,
        hint="compare the adapter's Policies with the provider's document, operation by operation",
    )


def _expected(stage: Stage, oracle: Oracle, told: Told) -> Expected:
    action = told.action
    if isinstance(action, PeerCloseRound):
        return oracle.ends(action.round)
    assert isinstance(action, PeerPlay)  # the words hold nothing else
    try:
        call = stage.parsed(told.request).items[0]
    except CroupierError as error:
        told.breaks(f"the adapter cannot read it: {error}")
    policy = stage.policies.of(call.operation)
    settles = isinstance(call, Play) and any(
        item.target is not None and item.kind is not MovementKind.ROLLBACK for item in call.movements
    )
    return oracle.told(action, policy, names_bet=settles)


def _words(stage: Stage, seat: PeerPlayer, round: str) -> Mapping[str, PeerAction]:
    """What can be said of one round, by letter."""
    peer, ids = stage.peer, [stage.new_id() for _ in range(7)]
    first, prize = bet(seat, round, ids[0], 100), win(seat, round, ids[1], 250, ids[0])
    second, more = bet(seat, round, ids[2], 70), win(seat, round, ids[3], 30, ids[0])
    one = both(seat, round, (ids[4], ids[5]), 40, 90)
    can = peer.capabilities
    words: dict[str, tuple[PeerAction, bool]] = {
        "B": (first, True),
        "W": (prize, Capability.WIN in can),
        "R": (undo(peer, first), Capability.ROLLBACK_BET in can),
        "C": (closing(peer, seat, round, ids[6], ids[0]), Capability.CLOSE_ROUND in can or not peer.closes_by_call),
        "V": (undo(peer, prize), Capability.ROLLBACK_WIN in can),
        "D": (second, True),
        "E": (undo(peer, second), Capability.ROLLBACK_BET in can),
        "Z": (more, Capability.WIN in can),
        "X": (one, peer.combines and _is_atomic(stage, one)),
        "Y": (undo(peer, one), peer.combines and Capability.ROLLBACK_WIN in can),
    }
    return {letter: action for letter, (action, has) in words.items() if has and stage.can_say(action)}


def _is_atomic(stage: Stage, play: PeerPlay) -> bool:
    if not stage.can_say(play):
        return False
    request = stage.peer.request(play, stage.bench.credentials, stage.hub.clock.now())
    (call,) = stage.parsed(evolve(request)).items
    return isinstance(call, Play) and call.mode is PlayMode.ATOMIC
