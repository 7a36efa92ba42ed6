"""Gold: amounts are integers, however small and however large."""

from __future__ import annotations

from typing import Final

from croupier.contract import MAX_MINOR
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.wallet_rules.operations import NOT_ENOUGH
from croupier_conformance.certification.wallet_story import Story, wallet_rule

BEYOND_A_DOUBLE: Final = 2**53 + 1
"""The first whole number that a double-precision float cannot hold, in minor units."""


@wallet_rule(
    "smallest-units-add-up",
    Tier.GOLD,
    "The smallest unit is kept, however often it moves",
    expects="the balance exact to the minor unit after every one of thirty movements",
)
def smallest_units_add_up(story: Story) -> None:
    """One cent lost in a thousand bets is found by an auditor, years later.

    Thirty bets and wins of one, two and three minor units are sent, and the balance is read after each. It is usually
    broken by money that is kept as a floating point number, or by amounts rounded to fewer digits than the currency
    has.
    """
    held = story.balance()
    for number in range(10):
        for name, minor in (("bet", 3), ("win", 1), ("win again", 2)):
            move = story.bet(f"{name} {number}", minor) if name == "bet" else story.win(f"{name} {number}", minor)
            story.applied(move, f"a {name} of {minor} minor units")
            held += -minor if name == "bet" else minor
            story.must_hold(held, f"a {name} of {minor} minor units")


@wallet_rule(
    "large-amounts-are-exact",
    Tier.GOLD,
    "A very large amount is kept to the last digit",
    expects="a win of 2^53 + 1 minor units is paid and taken back exactly",
)
def large_amounts_are_exact(story: Story) -> None:
    """Jackpots in small currencies, and eight digits after the point, need more than a double can hold.

    A win of 9007199254740993 minor units is sent and rolled back (of fewer digits, where the protocol has no room for
    so many). It is usually broken by floating point numbers,
    by 32-bit columns, and by JSON parsers that read numbers as doubles.
    """
    before, large = story.balance(), story.largest(BEYOND_A_DOUBLE)
    win, title = story.win("win", large), f"a win of {large} minor units"
    story.applied(win, title)
    story.must_hold(before + large, title)
    story.applied(story.undo(win), "its rollback")
    story.must_hold(before, f"the rollback of {title}")


@wallet_rule(
    "largest-bet-is-refused",
    Tier.GOLD,
    "The largest bet there can be is refused as too large",
    expects="a definite refusal with insufficient_funds, and the balance unchanged",
)
def largest_bet_is_refused(story: Story) -> None:
    """Nothing may wrap round at the end of 64 bits.

    A bet of 2^63 - 1 minor units is sent (of fewer digits, where the protocol has no room for so many). It is usually
    broken by an overflow, which makes a bet a win, or by a fault of the database where a refusal is due.
    """
    before, largest = story.balance(), story.largest(MAX_MINOR)
    title = f"a bet of {largest} minor units"
    story.refused(story.bet("bet", largest), title, NOT_ENOUGH)
    story.must_hold(before, title)
