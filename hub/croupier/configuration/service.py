"""Changing the configuration: checked before it is stored, an event with who and why, and live at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import field, frozen

from croupier.configuration.directory import Directory
from croupier.configuration.documents import Kind, Role
from croupier.contract import Adapter, Dialect


class Packages(Protocol):
    """What is asked of the registry."""

    def configure_adapter(self, slug: str, settings: Mapping[str, Any]) -> Adapter:
        """An adapter with a connection's settings.

        Raises:
            PackageError: There is no such adapter that works.
            SettingsError: A setting is wrong.
        """

    def configure_dialect(self, slug: str, settings: Mapping[str, Any]) -> Dialect:
        """A dialect with an operator's settings; raises as `configure_adapter` does."""


@frozen(kw_only=True)
class Draft:
    """A change that is wished for.

    Attributes:
        kind: What kind of thing.
        body: The whole new body. Secrets (`secrets` of a connection, `wallet_secrets` of an operator) may be left
            out as a whole or by name: those that are not named stay; one given as an empty list is removed.
        id: Which one; `None` makes a new one (a route's id follows from connection and code).
        version: The version that the change was made on; `None` for whatever is stored now.
    """

    kind: Kind
    body: Mapping[str, Any]
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


@frozen(kw_only=True)
class NewKey:
    """A new bearer key: the only time that it is shown.

    Attributes:
        stored: Its row.
        bearer: The key, to be sent as `Authorization: Bearer ...`.
    """

    stored: Stored
    bearer: str = field(repr=False)


class Configuration:
    """Everything configured. One instance a process; `load` first.

    Attributes:
        directory: The live values now; read the attribute anew for each request.
    """

    directory: Directory

    async def load(self) -> Directory:
        """Read everything from the ledger and replace the directory; also after a change by another process."""
        raise NotImplementedError

    async def put(
        self,
        operator: str | None,
        kind: Kind,
        body: Mapping[str, Any],
        *,
        who: str,
        why: str,
        id: str | None = None,
        version: int | None = None,
    ) -> Stored:
        """Create (`id=None`) or replace one thing; `operator` is its id, `None` for a new operator.

        Raises:
            SettingsError: The body is wrong; `where` is the path. Nothing is stored.
            PackageError: The adapter or dialect it names cannot be used. Nothing is stored.
            NotFoundError: There is no such operator.
            ConflictError: It was changed since `version`.
        """
        raise NotImplementedError

    async def put_all(self, operator: str, drafts: Sequence[Draft], *, who: str, why: str) -> tuple[Stored, ...]:
        """Several changes of one operator, all or none; raises as `put` does."""
        raise NotImplementedError

    async def delete(
        self, operator: str, kind: Kind, id: str, *, who: str, why: str, version: int | None = None
    ) -> Stored:
        """Take a thing out of force; its versions stay. Raises as `put` does."""
        raise NotImplementedError

    async def create_key(
        self, operator: str, *, role: Role, label: str, who: str, why: str, not_after: int | None = None
    ) -> NewKey:
        """Make a bearer key; at most two of a holder are valid at once. `operator` is `HUB_SCOPE` for admins."""
        raise NotImplementedError

    def get(self, operator: str, kind: Kind, id: str) -> Stored:
        """The newest version of one thing, deleted or not; `NotFoundError` if there is none."""
        raise NotImplementedError

    def list(self, operator: str | None, kind: Kind) -> Sequence[Stored]:
        """The newest version of every thing of a kind that is in force, by id; `None` for every operator."""
        raise NotImplementedError

    async def history(self, operator: str, kind: Kind, id: str) -> Sequence[Stored]:
        """Every version of one thing, oldest first."""
        raise NotImplementedError
