"""Gold: the hub gives up waiting, and asks again or takes back."""

from __future__ import annotations

from statistics import median
from typing import Final

from croupier.contract import WalletCapability, WalletMove
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.wallet_story import Story, wallet_rule

HANG_UPS: Final = (0.0001, 0.005)
"""So many seconds a call is waited for that is given up on purpose; and nearly as long as the wallet needs."""


@wallet_rule(
    "given-up-call-moves-once",
    Tier.GOLD,
    "A call whose answer nobody waited for is done once",
    expects="success when it is asked for again, and money moved once",
)
def given_up_call_moves_once(story: Story) -> None:
    """Most time-outs come after the wallet has committed: the money moved, and only the answer is lost.

    A bet is sent and the connection closed before the answer, after three different waits; then the bet is sent again.
    The same is done with a win. It is usually broken by a repeat that is recognised from a cache of answers, which is
    written when the answer is: the lost one never was. Recognise it by the movement's row.
    """
    for number, seconds in enumerate(_hang_ups(story)):
        before = story.balance()
        for move, left in ((story.bet(f"bet {number}", 7), before - 7), (story.win(f"win {number}", 7), before)):
            word = move.movement.operation.value
            _give_up(story, move, seconds)
            story.applied(move, f"the {word} again, whose answer was lost")
            story.settle()
            story.must_hold(left, f"a {word} whose answer was lost, and its repeat")
            story.applied(move, f"the {word} once more")
            story.must_hold(left, f"a {word} whose answer was lost, and two repeats")


@wallet_rule(
    "given-up-bet-is-taken-back",
    Tier.GOLD,
    "A bet whose answer nobody waited for can be taken back",
    expects="success for the rollback, and nothing taken in the end",
)
def given_up_bet_is_taken_back(story: Story) -> None:
    """What the hub does with a bet that got no answer is, for most providers, to take it back.

    A bet is sent and the connection closed before the answer, after three different waits; then it is rolled back at
    once. Where the wallet declares no tombstones, the rollback is repeated under another id when the bet can no longer
    arrive. It is usually broken by work that goes on after the client left and does not look at what happened
    meanwhile.
    """
    for number, seconds in enumerate(_hang_ups(story)):
        before, bet = story.balance(), story.bet(f"bet {number}", 7)
        _give_up(story, bet, seconds)
        story.applied(story.undo(bet), "the rollback of a bet whose answer was lost")
        story.settle()
        if WalletCapability.TOMBSTONES not in story.subject.capabilities:
            story.applied(story.undo(bet, "a later rollback"), "a later rollback")
        story.must_hold(before, "the rollback of a bet whose answer was lost")


def _hang_ups(story: Story) -> tuple[float, ...]:
    """Before the wallet can have done it, early, and just before its answer is here."""
    story.balance()
    return (*HANG_UPS, median(story.bench.seconds) * 0.9)


def _give_up(story: Story, move: WalletMove, seconds: float) -> None:
    """Send a movement and leave; before it a question, so that a connection is open."""
    story.balance()
    story.post(move, story.written(move), f"a {move.movement.operation.value}, given up after {seconds} s", seconds)
