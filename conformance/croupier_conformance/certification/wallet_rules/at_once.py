"""Gold: many at the same moment."""

from __future__ import annotations

from collections.abc import Sequence

from croupier.contract import (
    LateOriginal,
    WalletApplied,
    WalletCall,
    WalletCapability,
    WalletRefused,
    WalletReply,
)
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.wallet_rules.operations import NOT_ENOUGH
from croupier_conformance.certification.wallet_story import Story, told, wallet_rule

COPIES = 20


@wallet_rule(
    "copies-at-once-move-once",
    Tier.GOLD,
    "Copies at the same moment move money once",
    expects="every copy is answered with success, with one id of the wallet's own, and money moves once",
)
def copies_at_once_move_once(story: Story) -> None:
    """Providers send the same bet on two lines when one is slow.

    Twenty copies of a bet are sent at once, then of a win. It is usually broken by a look for the id and an insert
    after it, without a unique index between: both copies find nothing. Catch the index's error and answer as for a
    repeat. A copy may be answered late, never with a fault.
    """
    before = story.balance()
    for move, left in ((story.bet("bet", 7), before - 7), (story.win("win", 7), before)):
        title = f"{COPIES} copies of a {move.movement.operation.value} at once"
        replies = _all_applied(story, [move] * COPIES, title)
        story.must_hold(left, title)
        ids = {reply.operator_transactions.get(move.movement.transaction) for reply in replies}
        if len(ids) > 1:
            story.broken(f"{title}: they were answered with {len(ids)} ids of the wallet's own")


@wallet_rule(
    "rollbacks-at-once-pay-once",
    Tier.GOLD,
    "Rollbacks at the same moment pay once",
    expects="every copy is answered with success, and the bet is given back once",
)
def rollbacks_at_once_pay_once(story: Story) -> None:
    """The provider and the hub may both want a bet back.

    A bet is rolled back twenty times at once, under two ids. It is usually broken by a look at the bet's state and a
    payment after it: lock the bet's row, or make the change of its state the condition of the payment.
    """
    before, bet = story.balance(), story.bet("bet", 7)
    story.applied(bet, "a bet")
    undos = [story.undo(bet, "one rollback"), story.undo(bet, "another rollback")]
    title = f"{COPIES} rollbacks of one bet at once, under two ids"
    _all_applied(story, undos * (COPIES // 2), title)
    story.must_hold(before, title)


@wallet_rule(
    "hot-player-loses-nothing",
    Tier.GOLD,
    "A hundred bets at once are all counted",
    expects="every bet is applied, and the balance is lower by exactly their sum",
)
def hot_player_loses_nothing(story: Story) -> None:
    """Some games send dozens of bets of one player in a second.

    A hundred bets of one minor unit are sent at once, with a win among every ten. It is usually broken by a balance
    that is read, changed in memory and written back: two at once, and one is lost. Let the database add
    (`balance = balance - ?`), or lock the row. Answering with a fault is no way out: the hub would roll back.
    """
    before, count = story.balance(), story.subject.hot
    bets: list[WalletCall] = [story.bet(f"bet {number}", 1) for number in range(count)]
    wins: list[WalletCall] = [story.win(f"win {number}", 1) for number in range(count // 10)]
    title = f"{len(bets)} bets and {len(wins)} wins at once"
    _all_applied(story, [*bets, *wins], title)
    story.must_hold(before - len(bets) + len(wins), title, hint="An update was lost.")


@wallet_rule(
    "bets-at-once-never-overspend",
    Tier.GOLD,
    "Bets at the same moment never take more than there is",
    expects="one bet of more than half the balance is applied, the others are refused",
)
def bets_at_once_never_overspend(story: Story) -> None:
    """The last coin is spent once.

    Ten different bets are sent at once, each of more than half of the balance. It is usually broken by a look at the
    balance that is not part of the change: two bets see the same money. Make it one statement
    (`... where balance >= ?`) or lock the row. The test player needs to be free of bet limits.
    """
    before = story.balance()
    bets = [story.bet(f"bet {number}", before // 2 + 1) for number in range(10)]
    title = "10 bets at once, each of more than half the balance"
    replies = story.at_once(bets, title)
    applied = [bet for bet, reply in zip(bets, replies, strict=True) if isinstance(reply, WalletApplied)]
    for reply in replies:
        if not isinstance(reply, WalletApplied) and not (
            isinstance(reply, WalletRefused) and reply.reason in NOT_ENOUGH
        ):
            story.broken(f"{title}: one {told(reply)}")
    if len(applied) != 1:
        story.broken(f"{title}: {len(applied)} were applied, expected 1", "The test player may have no limits.")
    story.must_hold(before - (before // 2 + 1), title)
    story.applied(story.undo(applied[0]), "the rollback of the bet that was applied")
    story.must_hold(before, "the rollback of the bet that was applied")


@wallet_rule(
    "bet-and-rollback-at-once-agree",
    Tier.GOLD,
    "A bet and its rollback at the same moment leave one of the two outcomes",
    expects="definite answers that fit the balance, and nothing taken after a last rollback",
)
def bet_and_rollback_at_once_agree(story: Story) -> None:
    """The hub rolls a bet back when its answer is late; the bet may arrive at the same moment.

    A bet and its rollback are sent at once, ten times. The bet was either taken or given back, and a rollback that says
    it moved something did; where tombstones are declared, no bet is taken whose rollback found nothing. Then a rollback
    under another id is sent, as the hub does: after it nothing may be missing. It is usually broken by a rollback that
    looks for the bet and answers before the bet is written.
    """
    before, buried = story.balance(), WalletCapability.TOMBSTONES in story.subject.capabilities
    for number in range(10):
        bet = story.bet(f"bet {number}", 7)
        undo = story.undo(bet)
        taken, given = story.at_once([bet, undo], "a bet and its rollback at once")
        if not isinstance(taken, WalletApplied | WalletRefused) or not isinstance(given, WalletApplied):
            story.broken(f"of a bet and its rollback at once the bet {told(taken)}, the rollback {told(given)}")
        stands = isinstance(taken, WalletApplied) and given.nothing_moved
        if stands and buried and story.subject.dialect.spec.late_original is LateOriginal.ACCEPT:
            stands = False
        if stands and buried:
            story.broken("the bet was taken although its rollback had found nothing: there was no tombstone")
        story.must_hold(before - 7 if stands else before, "a bet and its rollback at once")
        story.applied(story.undo(bet, "a later rollback"), "a later rollback")
        story.must_hold(before, "a later rollback of a bet")


def _all_applied(story: Story, calls: Sequence[WalletCall], title: str) -> Sequence[WalletApplied]:
    replies: Sequence[WalletReply] = story.at_once(calls, title)
    applied = [reply for reply in replies if isinstance(reply, WalletApplied)]
    if len(applied) != len(replies):
        other = next(reply for reply in replies if not isinstance(reply, WalletApplied))
        story.broken(f"{title}: {len(replies) - len(applied)} were not answered as done; the first {told(other)}")
    return applied
