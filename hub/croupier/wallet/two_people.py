"""Held work is decided by hand by two people: one proposes, another confirms.

A proposal stands in the delivery's own row: as long as work is held no process claims it, and its `owner` is free for
the person who has. Names of processes hold no spaces, so the two cannot be mistaken for each other.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import evolve, frozen

from croupier.ledger.records import DeliveryRow, DeliveryState

_PROPOSED: Final = re.compile(r"proposed (applied|undone) by (.+)", re.DOTALL)


@frozen(kw_only=True)
class Proposal:
    """What one person has proposed.

    Attributes:
        applied: Whether the movement stands at the operator.
        who: Who says so.
    """

    applied: bool
    who: str

    @property
    def decision(self) -> str:
        """In a word, as events say it."""
        return "applied" if self.applied else "undone"


def proposal_of(row: DeliveryRow) -> Proposal | None:
    """What is proposed for held work, if anything is."""
    found = _PROPOSED.fullmatch(row.owner or "")
    if found is None or row.state is not DeliveryState.HELD:
        return None
    return Proposal(applied=found[1] == "applied", who=found[2])


def with_proposal(row: DeliveryRow, proposal: Proposal) -> DeliveryRow:
    """The row's next version, with a proposal in place of any before it."""
    return evolve(row, owner=f"proposed {proposal.decision} by {proposal.who}", version=row.version + 1)
