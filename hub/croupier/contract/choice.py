"""How the contract's words are made: the kinds, directions and reasons that every movement is told by."""

from __future__ import annotations

from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING


class Choice(Enum):
    """An `Enum` whose members' values and hashes cost no Python code of `Enum`'s own: a bet asks for dozens of them."""

    __hash__ = object.__hash__

    if not TYPE_CHECKING:
        value = property(attrgetter("_value_"))
