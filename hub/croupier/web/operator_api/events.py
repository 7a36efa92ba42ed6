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
        reason: Why it was declined; `not_sent` of what the hub could not send to your wallet.
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
        type: `movement.` and the state: `applied`, `declined`, `owed`, `reversed`, ...; or `movement.contradicted`:
            your wallet had accepted it, and answered its rollback that there was nothing to undo.
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
        type: `session.launched`, `session.activated`, `session.renewed` or `session.ended`.
        timestamp: When.
        data: The session.
    """

    type: str
    timestamp: datetime
    data: SessionFacts


@frozen(kw_only=True)
class GrantFacts:
    """Free rounds.

    Attributes:
        position: The event's place.
        subject: The hub's id of the free rounds.
        player: Your id of the player; `null` if none is known.
        connection: The connection's name.
        rounds: How many there are.
        currency: The currency.
    """

    position: int
    subject: str
    player: str | None
    connection: str
    rounds: int
    currency: str


@frozen(kw_only=True)
class GrantEvent:
    """Free rounds came to a state.

    Attributes:
        type: `grant.issuing`, `grant.tried`, `grant.active`, `grant.refused`, `grant.cancelled` or `grant.finished`.
        timestamp: When.
        data: The free rounds.
    """

    type: str
    timestamp: datetime
    data: GrantFacts


@frozen(kw_only=True)
class DeliveryFacts:
    """A call that your wallet is owed.

    Attributes:
        position: The event's place.
        subject: The transaction's id, or of `late`, `proposed` and `decided` the delivery's.
        movement: The transaction's id.
        player: Your id of the player; `null` if none is known.
        connection: The connection's name.
        round: The round's id.
        task: What is owed: `send` it, `reverse` it, or `ask` what became of it.
        detail: What the last attempt met.
        who: Who decided by hand.
        why: Why.
        decision: What was decided.
        proposed_by: Who proposed it, where two are needed.
    """

    position: int
    subject: str
    movement: str
    player: str | None = None
    connection: str | None = None
    round: str | None = None
    task: str | None = None
    detail: str | None = None
    who: str | None = None
    why: str | None = None
    decision: str | None = None
    proposed_by: str | None = None


@frozen(kw_only=True)
class DeliveryEvent:
    """A call is owed to your wallet, late, waits for a person, or was decided about.

    Attributes:
        type: `delivery.owed`, `delivery.held`, `delivery.late`, `delivery.proposed` or `delivery.decided`.
        timestamp: When.
        data: The delivery.
    """

    type: str
    timestamp: datetime
    data: DeliveryFacts


@frozen(kw_only=True)
class NoticeFacts:
    """What a provider told without moving money; beside these there are fields as the provider names them.

    Attributes:
        position: The event's place.
        subject: The provider's id of what it is about.
        reference: The same.
        operation: The provider's name of the message.
        connection: The connection's name.
    """

    position: int
    subject: str
    reference: str
    operation: str
    connection: str


@frozen(kw_only=True)
class NoticeEvent:
    """A provider told something.

    Attributes:
        type: `notice.` and what it is about.
        timestamp: When.
        data: What it told.
    """

    type: str
    timestamp: datetime
    data: NoticeFacts


TOLD: Final = (
    Told(name="movement", summary="A movement came to a state.", body=MovementEvent),
    Told(name="round", summary="A round ended, or goes on.", body=RoundEvent),
    Told(name="session", summary="A session began or ended.", body=SessionEvent),
    Told(name="grant", summary="Free rounds came to a state.", body=GrantEvent),
    Told(name="delivery", summary="A call to your wallet is owed, late, held or decided about.", body=DeliveryEvent),
    Told(name="notice", summary="A provider told something without moving money.", body=NoticeEvent),
)
"""What is described; events of other kinds have `position`, `subject` and what the kind says."""
