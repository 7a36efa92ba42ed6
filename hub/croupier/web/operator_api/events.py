"""Events as an operator's sink is sent them: `croupier.sinks.telling` writes them, these classes describe them.

A field that does not apply is left out. There may be more fields than these: pass over those that you do not know.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from attrs import frozen

from croupier.web.openapi import Told
from croupier.web.operator_api.messages import Amount


@frozen(kw_only=True)
class MovementFacts:
    """A movement of a player's balance.

    Attributes:
        position: The event's place: it rises, and tells an event that came before from one that did not.
        subject: The transaction's id, which your wallet was called with.
        player: Your id of the player; `null` if none is known.
        amount: What moves.
        kind: What it is (`bet`, `win`, `rollback`, ...).
        direction: `debit`, `credit` or `reversal`.
        connection: The connection's name.
        round: The round's id.
        game: The game's id.
        target: The transaction that it undoes or settles.
        reason: Why it was declined.
    """

    position: int
    subject: str
    player: str | None
    amount: Amount | None = None
    kind: str | None = None
    direction: str | None = None
    connection: str | None = None
    round: str | None = None
    game: str | None = None
    target: str | None = None
    reason: str | None = None


@frozen(kw_only=True)
class MovementEvent:
    """A movement came to a state.

    Attributes:
        type: `movement.` and the state: `applied`, `declined`, `owed`, `reversed`, ...
        timestamp: When it came to it.
        data: The movement.
    """

    type: str
    timestamp: datetime
    data: MovementFacts


@frozen(kw_only=True)
class RoundFacts:
    """A round.

    Attributes:
        position: The event's place.
        subject: The round's id.
        player: Your id of the player; `null` if none is known.
        connection: The connection's name.
        game: The game's id.
        currency: The currency of its movements.
        provider_round: The provider's id.
    """

    position: int
    subject: str
    player: str | None
    connection: str
    currency: str
    provider_round: str
    game: str | None = None


@frozen(kw_only=True)
class RoundEvent:
    """A round ended, or goes on.

    Attributes:
        type: `round.closed`, or `round.reopened` by a bet that came after all.
        timestamp: When.
        data: The round.
    """

    type: str
    timestamp: datetime
    data: RoundFacts


@frozen(kw_only=True)
class SessionFacts:
    """A session.

    Attributes:
        position: The event's place.
        subject: The session's id.
        player: Your id of the player; `null` for play money.
        connection: The connection's name.
        game: The game's id.
        currency: The currency.
        demo: Whether it is play money.
    """

    position: int
    subject: str
    player: str | None
    connection: str
    game: str
    currency: str
    demo: bool


@frozen(kw_only=True)
class SessionEvent:
    """A session began or ended.

    Attributes:
        type: `session.launched`, `session.activated` or `session.ended`.
        timestamp: When.
        data: The session.
    """

    type: str
    timestamp: datetime
    data: SessionFacts


TOLD: Final = (
    Told(name="movement", summary="A movement came to a state.", body=MovementEvent),
    Told(name="round", summary="A round ended, or goes on.", body=RoundEvent),
    Told(name="session", summary="A session began or ended.", body=SessionEvent),
)
"""What is described; events of other kinds have `position`, `subject` and what the kind says."""
