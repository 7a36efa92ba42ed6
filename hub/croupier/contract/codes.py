"""Tables of a protocol's answers: codes that know their text, and which code says which refusal.

Example:
    >>> class Code(WireCode):
    ...     NO_MONEY = 1, "not enough money"
    ...     REFUSED = 2, "refused"
    >>> Code.NO_MONEY == 1, Code.NO_MONEY.text
    (True, 'not enough money')
    >>> by_reason({Code.NO_MONEY: "insufficient_funds", Code.REFUSED: "bet_limit loss_limit"})[DeclineReason.BET_LIMIT]
    <Code.REFUSED: 2>
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Self, TypeVar

from croupier.contract.errors import CroupierError
from croupier.contract.outcomes import DeclineReason

CodeT = TypeVar("CodeT")


class WireCode(IntEnum):
    """A number that a protocol answers with; a member is written `NAME = number, "text"`.

    Attributes:
        text: What goes with the number, for people.
    """

    text: str

    def __new__(cls, number: int, text: str = "") -> Self:
        """Make a member that is its number and knows its text."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.text = text
        return member


def by_reason(table: Mapping[CodeT, str]) -> dict[DeclineReason, CodeT]:
    """A table of decline reasons, written the short way round: a code, and the reasons that it stands for.

    Args:
        table: Code to the values of `DeclineReason`, parted by white space.

    Raises:
        ValueError: A word is no decline reason, or stands twice.
    """
    codes: dict[DeclineReason, CodeT] = {}
    for code, words in table.items():
        for word in words.split():
            reason = DeclineReason(word)
            if reason in codes:
                raise ValueError(f"{word} stands twice")
            codes[reason] = code
    return codes


def by_error(table: Mapping[type[CroupierError], CodeT], error: CroupierError, otherwise: CodeT) -> CodeT:
    """The code of an error: the first of the table whose kind it is, so that a narrower kind stands before a wider."""
    for kind, code in table.items():
        if isinstance(error, kind):
            return code
    return otherwise
