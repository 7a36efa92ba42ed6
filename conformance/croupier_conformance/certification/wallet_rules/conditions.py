"""Gold: bets and wins with conditions, where the protocol carries them."""

from __future__ import annotations

from attrs import evolve

from croupier.contract import CroupierError, Money, WalletMove
from croupier_conformance.certification.rule import RuleNotApplicableError, Tier
from croupier_conformance.certification.wallet_rules.operations import NOT_ENOUGH
from croupier_conformance.certification.wallet_story import Story, wallet_rule


@wallet_rule(
    "take-all-takes-everything",
    Tier.GOLD,
    "A bet of everything takes everything, and tells how much",
    expects="the balance taken whole, its amount told, the same for a repeat, and all of it given back",
)
def take_all_takes_everything(story: Story) -> None:
    """Table games move the whole balance to the table, and only the wallet knows how much that is.

    A bet is sent that takes all and at least one minor unit; it is repeated and rolled back. Before it comes one whose
    least amount is more than the balance, which is refused. It is usually broken by a wallet that takes the least
    amount, or by a repeat that tells what is left by then. It is not checked where the protocol cannot ask for it.
    """
    before = story.balance()
    too_much = _carried(story, story.bet_of_everything("too much", before + 1))
    story.refused(too_much, "a bet of everything, and more than the balance at least", NOT_ENOUGH)
    story.must_hold(before, "a bet of everything that was refused")
    bet = story.bet_of_everything("everything", 1)
    for title in ("a bet of everything", "the same bet of everything again"):
        amount = story.applied(bet, title).amounts.get(bet.movement.transaction)
        if amount != before:
            story.broken(f"{title}: the answer tells {amount} minor units, expected {before}")
        story.must_hold(0, title)
    undo = story.undo(bet)
    whole = evolve(undo, movement=evolve(undo.movement, amount=Money(before, bet.player.currency)))
    story.applied(whole, "the rollback of a bet of everything")
    story.must_hold(before, "the rollback of a bet of everything")


@wallet_rule(
    "required-funds-are-held",
    Tier.GOLD,
    "A movement that needs more than its amount needs it",
    expects="a refusal with insufficient_funds where the player holds less than is required, and success otherwise",
)
def required_funds_are_held(story: Story) -> None:
    """Where a stake and its win come as one difference, the player must still have been able to pay the stake.

    A bet and a win of two minor units are sent that need one more than the balance, and then exactly the balance. It is
    usually broken by a wallet that looks at the amount alone. It is not checked where the protocol has no such field.
    """
    held = story.balance()
    for word, change in (("bet", -2), ("win", 2)):
        for name, required in (("refused", held + 1), ("done", held)):
            move = story.bet(f"{word} {name}", 2) if word == "bet" else story.win(f"{word} {name}", 2)
            call = _carried(story, evolve(move, movement=evolve(move.movement, funds_required=required)))
            title = f"a {word} of 2 that needs {required} of {held} minor units"
            if required > held:
                story.refused(call, title, NOT_ENOUGH)
            else:
                story.applied(call, title)
                held += change
            story.must_hold(held, title)


def _carried(story: Story, move: WalletMove) -> WalletMove:
    """The movement, if the protocol can carry it."""
    try:
        story.written(move)
    except CroupierError:
        raise RuleNotApplicableError("this protocol cannot carry it") from None
    return move
