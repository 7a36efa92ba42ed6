"""Platinum: several movements in one call, all or none."""

from __future__ import annotations

from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.wallet_rules.operations import NOT_ENOUGH
from croupier_conformance.certification.wallet_story import Story, wallet_rule

NEEDS = "atomic_batch"


@wallet_rule(
    "batch-is-done-in-order",
    Tier.PLATINUM,
    "A batch is done whole and in its order",
    expects="success, an id of the wallet's own for each movement, and the sum of them moved",
    needs=NEEDS,
)
def batch_is_done_in_order(story: Story) -> None:
    """A bet and its win in one call halve the time that a spin takes.

    A batch of a win, a bet of everything including that win, and a win is sent: in another order the bet could not be
    paid. Then the bet is rolled back in a batch of its own. It is usually broken by a wallet that sums up first, or
    that does bets before wins.
    """
    before = story.balance()
    first, bet, second = story.win("first", 10), story.bet("bet", before + 10), story.win("second", 4)
    reply = story.applied(story.batch("batch", first, bet, second), "a batch of a win, a bet of everything and a win")
    story.must_hold(4, "a batch of a win, a bet of everything and a win")
    ids = [reply.operator_transactions.get(move.movement.transaction) for move in (first, bet, second)]
    if reply.operator_transactions and (None in ids or len(set(ids)) != len(ids)):
        story.broken("the batch's answer has no id of the wallet's own for each movement")
    story.applied(story.batch("back", story.undo(bet)), "a batch that rolls the bet back")
    story.must_hold(before + 14, "a batch that rolls the bet back")


@wallet_rule(
    "batch-is-all-or-none",
    Tier.PLATINUM,
    "A batch with one movement that fails does nothing",
    expects="a definite refusal, the balance unchanged, and none of its movements remembered",
    needs=NEEDS,
)
def batch_is_all_or_none(story: Story) -> None:
    """A win without its bet is a gift, a bet without its win a theft.

    A batch is sent whose last bet cannot be paid; then each of its other movements alone, which must take effect as if
    it had never been asked for. It is usually broken by a loop that commits after each movement.
    """
    before = story.balance()
    bet, win, last = story.bet("bet", 7), story.win("win", 3), story.bet("too much", before + 100)
    title = "a batch whose last bet cannot be paid"
    story.refused(story.batch("batch", bet, win, last), title, NOT_ENOUGH)
    story.must_hold(before, title)
    story.applied(bet, "the bet of the refused batch, alone")
    story.must_hold(before - 7, "the bet of a refused batch, alone")
    story.applied(win, "the win of the refused batch, alone")
    story.must_hold(before - 4, "the win of a refused batch, alone")


@wallet_rule(
    "repeated-batch-moves-once",
    Tier.PLATINUM,
    "A batch that is sent again moves nothing",
    expects="success with the same ids of the wallet's own, and money moved once",
    needs=NEEDS,
)
def repeated_batch_moves_once(story: Story) -> None:
    """What counts is the id of each movement, not that of the batch.

    A batch is sent twice, then once more under another id of the batch, then its bet alone. It is usually broken by a
    wallet that remembers batches and not what is in them.
    """
    before = story.balance()
    bet, win = story.bet("bet", 7), story.win("win", 3)
    first = story.applied(story.batch("batch", bet, win), "a batch").operator_transactions
    for name in ("batch", "the same under another id"):
        again = story.applied(story.batch(name, bet, win), "the same movements again").operator_transactions
        if dict(again) != dict(first):
            story.broken("the same movements again have other ids of the wallet's own")
        story.must_hold(before - 4, "the same movements again")
    story.applied(bet, "the bet of the batch, alone")
    story.must_hold(before - 4, "the bet of a batch, alone")


@wallet_rule(
    "batch-completes-what-was-sent",
    Tier.PLATINUM,
    "A batch does what is still to be done of it",
    expects="success, and each movement done once",
    needs=NEEDS,
)
def batch_completes_what_was_sent(story: Story) -> None:
    """A bet may have been sent alone before it is sent with its win.

    A bet is sent, then a batch of the bet and a win. It is usually broken by a batch that is refused because one of
    its movements is a repeat.
    """
    before = story.balance()
    bet, win = story.bet("bet", 7), story.win("win", 3)
    story.applied(bet, "a bet")
    story.applied(story.batch("batch", bet, win), "a batch of the same bet and a win")
    story.must_hold(before - 4, "a batch of a bet that was done and a win")
