"""What goes in and out of `Configuration`: wished-for changes, and stored versions as they may be shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from croupier.configuration.documents import Kind


@frozen(kw_only=True)
class Draft:
    """A change that is wished for.

    Attributes:
        kind: What kind of thing.
        body: The whole new body. Secrets (`secrets` of a connection or sink, `wallet_secrets` of an operator) may be
            left out as a whole or by name: those that are not named stay; one given as an empty list is removed. The
            `hash` of a key stays, too, where it is left out.
        id: Which one; `None` makes a new one (the id of a route follows from connection and code).
        version: The version that the change was made on; `None` for whatever is stored now.
    """

    kind: Kind
    body: Mapping[str, Any] = field(repr=False)
    id: str | None = None
    version: int | None = None


@frozen(kw_only=True)
class Stored:
    """One version of a configured thing, as it may be shown: no secret in it.

    Attributes:
        operator: The operator's id, or `HUB_SCOPE`.
        kind: What kind of thing.
        id: Its immutable id.
        version: From 1, without gaps.
        active: Whether it is in force; `False` once deleted.
        body: Without secrets; as such it can be put back, and the stored secrets stay.
        secrets: How many values each secret has.
        at: When it was changed (UTC milliseconds).
        who: Who changed it.
        why: Why.
        unchanged: Whether it answers a put that said what is stored already, so that nothing was stored.
    """

    operator: str
    kind: Kind
    id: str
    version: int
    active: bool
    body: Mapping[str, Any]
    at: int
    who: str
    why: str
    secrets: Mapping[str, int] = field(factory=dict)
    unchanged: bool = False


@frozen(kw_only=True)
class NewKey:
    """A new bearer key: the only time that it is shown.

    Attributes:
        stored: Its row.
        bearer: The key, to be sent as `Authorization: Bearer ...`.
    """

    stored: Stored
    bearer: str = field(repr=False)
