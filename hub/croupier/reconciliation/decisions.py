"""How cases end, in words that the ledger keeps."""

from __future__ import annotations

from typing import Final

from croupier.contract.choice import Choice


class Decision(Choice):
    """How a case ends."""

    EXPLAINED = "explained"
    """Two people have said why no record of the hub's is wrong: the same is not told again."""
    ADJUSTED = "adjusted"
    """Two people have decided that the hub's book is to be read as the other one from now on."""
    HEALED = "healed"
    """Held work that stands in the operator's log was settled as applied, by its ids alone."""
    GONE = "gone"
    """A later comparison has met the transaction in both books, and they agree."""


BY_PEOPLE: Final = frozenset({Decision.EXPLAINED.value, Decision.ADJUSTED.value})
"""What people have decided stays; what was found out by comparing is opened again if the same is found again."""
