"""Ids that are computed, so that the same thing has the same id whoever computes it, and whenever.

An id is a version 8 UUID over a SHA-256 of immutable ids. The text that is hashed begins with a version of its own: it
may never change for movements that exist.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from croupier.ledger.records import Key

_VARIANT: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
"""The 17th hex digit of an id, whose upper two bits a UUID gives to its variant."""


def derived_id(*parts: str) -> str:
    """A version 8 UUID over parts; parts are length-prefixed, so that no two lists of parts collide."""
    text = "croupier/1" + "".join([f"|{len(part)}:{part}" for part in parts])
    return uuid_text(sha256(text.encode()).hexdigest(), "8")


def uuid_text(digits: str, version: str) -> str:
    """A UUID of the first 32 of these hex digits; its version and variant take the place of six of their bits."""
    return f"{digits[:8]}-{digits[8:12]}-{version}{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"


def movement_id(key: Key) -> str:
    """The id of the movement with this first key: what the operator knows it by, also after a loss of the ledger."""
    return derived_id("movement", key.operator, key.scope, key.namespace, key.value)


def round_id(operator: str, connection: str, player: str, provider_round: str) -> str:
    """The id of one player's round: providers share round ids between players.

    Its first eight digits are the same for all rounds of a player, so that they lie together in an index: of all
    rounds that there ever were, those that are played now are in few places.
    """
    own = derived_id("round", operator, connection, player, provider_round)
    return sha256(player.encode()).hexdigest()[:8] + own[8:]


def rollback_id(operator: str, target: str, generation: int) -> str:
    """The id under which the operator is asked to undo a movement.

    It depends on the target alone: whoever starts the rollback, the operator sees one id and pays once.
    """
    return derived_id("rollback", operator, target, str(generation))
