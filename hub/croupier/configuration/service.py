"""Changing the configuration: checked before it is stored, an event with who and why, and live at once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import evolve, frozen

from croupier.configuration.changes import Draft, NewKey, Stored
from croupier.configuration.checks import Surroundings, check_new_id, check_put, new_id
from croupier.configuration.directory import Directory, Fault, LiveKey, LiveOperator
from croupier.configuration.documents import (
    HUB_SCOPE,
    ApiKeyDocument,
    ConnectionDocument,
    Document,
    Kind,
    OperatorDocument,
    Role,
    read_document,
    write_document,
)
from croupier.configuration.resolve import Entry, Packages, path_of, resolve_operator
from croupier.configuration.rows import is_current, open_row, rewrapped_body, sealed_body, shown, with_kept_values
from croupier.configuration.secretbox import SecretBox
from croupier.contract import ConflictError, DeclinedError, FixRequestError, NotFoundError
from croupier.ledger.port import Change, Ledger, Refused
from croupier.ledger.records import ConfigurationRow, Event
from croupier.wallet.parties import Connection, Route
from croupier.wallet.ports import Clock, Ids

__all__ = ["Configuration", "Draft", "NewKey", "Stored"]

_ATTEMPTS: Final = 3
"""How often a change that names no version is made again on a newer state."""

_KINDS: Final = frozenset(kind.value for kind in Kind)

KEY_PREFIX: Final = "croupier_"
"""What every bearer key begins with, so that scanners for leaked secrets can find it."""


@frozen
class _Step:
    """One row to store and what it says; or no row, where nothing changes."""

    entry: Entry
    row: ConfigurationRow
    event: Event | None


_Steps = Callable[[Surroundings], Sequence[_Step]]


class Configuration:
    """Everything configured. One instance a process; `load` first.

    It answers as `Games` and `Connections` of `croupier.wallet.parties`.

    Args:
        ledger: Where it is stored.
        packages: The registry.
        box: Seals and opens secrets.
        clock: The time of changes.
        ids: New ids and bearer keys.

    Attributes:
        directory: The live values now; read the attribute anew for each request.
        on_change: Told, after each change that this instance has stored.
        on_resolve: Given each new directory, whoever made the change.
    """

    def __init__(self, ledger: Ledger, packages: Packages, box: SecretBox, clock: Clock, ids: Ids) -> None:
        self.on_change: Callable[[], None] | None = None
        self.on_resolve: Callable[[Directory], None] | None = None
        self.directory = Directory()
        self._ledger = ledger
        self._packages = packages
        self._box = box
        self._clock = clock
        self._ids = ids
        self._rows: dict[tuple[str, Kind, str], ConfigurationRow] = {}
        self._scopes: dict[str, dict[tuple[Kind, str], Entry]] = {}
        self._resolved: dict[str, tuple[LiveOperator, tuple[Fault, ...]]] = {}
        self._lock = asyncio.Lock()
        self._versions = -1

    # --- reading

    async def load(self) -> Directory:
        """Read everything from the ledger and resolve all of it anew, as after a rescan of packages."""
        async with self._lock:
            versions = await self._ledger.configuration_versions()
            self._take(await self._ledger.configuration())
            self._versions = versions
            self._resolve(self._scopes)
        return self.directory

    async def catch_up(self) -> Directory:
        """Take over what other processes changed; cheap where nothing was."""
        async with self._lock:
            await self._catch_up()
        return self.directory

    def route(self, connection: str, code: str) -> Route | None:
        """`Directory.route` of the directory now, for rooms that hold on to what answers."""
        return self.directory.route(connection, code)

    def connection(self, operator: str, connection: str) -> Connection | None:
        """`Directory.connection` of the directory now, for rooms that hold on to what answers."""
        return self.directory.connection(operator, connection)

    def knows(self, operator: str, kind: Kind, id: str) -> bool:
        """Whether there is, or was, a thing of this id."""
        return (operator, kind, id) in self._rows

    def get(self, operator: str, kind: Kind, id: str) -> Stored:
        """The newest version of one thing, deleted or not.

        Raises:
            NotFoundError: There is none.
        """
        row = self._rows.get((operator, kind, id))
        if row is None:
            raise NotFoundError(f"there is no such {kind.value}")
        return shown(row)

    def list(self, operator: str | None, kind: Kind) -> Sequence[Stored]:
        """The newest version of every thing of a kind that is in force, by id; `None` for every operator."""
        found = [
            row
            for (scope, of_kind, _), row in self._rows.items()
            if of_kind is kind and row.active and operator in {None, scope}
        ]
        return [shown(row) for row in sorted(found, key=lambda row: (row.operator, row.name))]

    async def history(self, operator: str, kind: Kind, id: str) -> Sequence[Stored]:
        """Every version of one thing, oldest first; empty for one that never was."""
        return [shown(row) for row in await self._ledger.configuration_history(operator, kind.value, id)]

    # --- changing

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
        """Create or replace one thing. What changes nothing stores nothing.

        Args:
            operator: The operator's id, or `HUB_SCOPE` for an administrator's key; `None` makes a new operator.
            kind: What kind of thing.
            body: The whole new body; see `Draft` on secrets.
            who: Who changes it.
            why: Why.
            id: Which one; `None` makes a new one. An id that is not known yet is accepted, so that what was lost can
                be restored under its old id.
            version: The version that the change was made on; `None` for whatever is stored now.

        Raises:
            SettingsError: The body is wrong; `where` is the path. Nothing is stored.
            PackageError: The adapter or dialect it names cannot be used. Nothing is stored.
            NotFoundError: There is no such operator.
            ConflictError: It was changed since `version`, or its name is taken.
            FixRequestError: `who` or `why` is empty.
        """
        if kind is Kind.OPERATOR:
            operator = operator or id or self._ids.new_id()
        if operator is None:
            raise FixRequestError("expected the operator that it belongs to", where="operator")
        which = operator if kind is Kind.OPERATOR else id
        draft = Draft(kind=kind, body=body, id=which, version=version)
        (stored,) = await self.put_all(operator, [draft], who=who, why=why)
        return stored

    async def put_all(self, operator: str, drafts: Sequence[Draft], *, who: str, why: str) -> tuple[Stored, ...]:
        """Several changes of one operator, all or none; a later one may refer to an earlier. Raises as `put` does."""

        def steps(around: Surroundings) -> Sequence[_Step]:
            return [self._put_step(around, draft, who, why) for draft in drafts]

        return await self._store(operator, steps, who, why, again=all(draft.version is None for draft in drafts))

    async def delete(
        self, operator: str, kind: Kind, id: str, *, who: str, why: str, version: int | None = None
    ) -> Stored:
        """Take a thing out of force; its versions stay, and a put with its id brings it back.

        An operator or connection must be disabled first: a disabled one refuses bets and still takes wins and
        rollbacks, the address of a deleted one is gone. What is owed to the operator is delivered all the same.

        Raises:
            NotFoundError: There is no such thing, or it is deleted already.
            DeclinedError: It is an operator or connection that is still enabled.
            ConflictError: It was changed since `version`.
            FixRequestError: `who` or `why` is empty.
        """

        def steps(around: Surroundings) -> Sequence[_Step]:
            entry, row = around.own.get((kind, id)), self._rows.get((operator, kind, id))
            if entry is None or row is None or not entry.active:
                raise NotFoundError(f"there is no such {kind.value}")
            _check_version(row, version)
            document = entry.document
            if isinstance(document, OperatorDocument | ConnectionDocument) and document.enabled:
                raise DeclinedError(f"the {kind.value} is still enabled", hint="disable it first")
            deleted = evolve(row, version=row.version + 1, active=False, at=around.now, who=who, why=why)
            return [_Step(evolve(entry, active=False), deleted, _event(deleted, "deleted"))]

        (stored,) = await self._store(operator, steps, who, why, again=version is None)
        return stored

    async def create_key(
        self, operator: str, *, role: Role, label: str, who: str, why: str, not_after: int | None = None
    ) -> NewKey:
        """Make a bearer key. Two of an operator may be valid at once; of the hub's administrators any number.

        Args:
            operator: The operator's id, or `HUB_SCOPE` for `Role.ADMIN`.
            role: What its holder may do.
            label: What tells it from the holder's other key.
            who: Who makes it.
            why: Why.
            not_after: When it stops being valid (UTC milliseconds), or `None`.

        Raises:
            FixRequestError: `not_after` has passed, so that the key would never be valid.
            ConflictError: Two are valid already.
            NotFoundError: There is no such operator.
            SettingsError: Label or role is wrong.
        """
        if not_after is not None and not_after <= self._clock.now_ms():
            raise FixRequestError("expected a time to come: this one has passed", where="not_after")
        bearer = KEY_PREFIX + self._ids.token()
        body = {"hash": key_hash(bearer), "label": label, "role": role.value, "not_after": not_after}
        return NewKey(stored=await self.put(operator, Kind.KEY, body, who=who, why=why), bearer=bearer)

    async def rewrap(self, *, who: str, why: str) -> int:
        """Seal every secret in force under the current key; returns how many things were stored anew.

        Earlier versions stay sealed under their old key: the hub needs it no more.

        Raises:
            FixConfigurationError: A secret cannot be opened; what was done before it stays.
        """
        done = 0
        for operator in sorted(self._scopes):

            def steps(around: Surroundings) -> Sequence[_Step]:
                old = [
                    (entry, self._rows[around.scope, entry.kind, entry.id])
                    for entry in around.own.values()
                    if not is_current(self._rows[around.scope, entry.kind, entry.id], self._box)
                ]
                rows = [
                    evolve(
                        row,
                        version=row.version + 1,
                        body=rewrapped_body(row, self._box),
                        at=around.now,
                        who=who,
                        why=why,
                    )
                    for _, row in old
                ]
                return [_Step(entry, row, _event(row, "rewrapped")) for (entry, _), row in zip(old, rows, strict=True)]

            done += len(await self._store(operator, steps, who, why, again=True))
        return done

    # --- inside

    def _put_step(self, around: Surroundings, draft: Draft, who: str, why: str) -> _Step:
        kind = draft.kind
        if kind is Kind.OPERATOR and draft.id is None:
            raise FixRequestError("expected the operator's id", where="id")
        which = draft.id or new_id(around.scope, kind, draft.body, self._ids)
        before = around.own.get((kind, which))
        row = self._rows.get((around.scope, kind, which))
        if draft.id is None and before is not None and before.active:
            raise ConflictError(f"there is such a {kind.value} already", where=f"{kind.plural}.{which}")
        _check_version(row, draft.version)
        body = with_kept_values(kind, draft.body, before.document if before else None)
        document = read_document(kind, body, path_of(kind, which, body))
        if before is None:
            check_new_id(around, kind, which, document)
        check_put(around, which, document, self._packages)
        entry = Entry(operator=around.scope, kind=kind, id=which, active=True, document=document)
        around.own[kind, which] = entry
        if row is not None and before == entry:
            return _Step(entry, row, None)
        new = ConfigurationRow(
            operator=around.scope,
            kind=kind.value,
            name=which,
            version=row.version + 1 if row else 1,
            body=sealed_body(around.scope, kind, which, document, self._box),
            at=around.now,
            who=who,
            why=why,
        )
        event = _event(new, "changed" if row else "created")
        return _Step(entry, new, evolve(event, body={**event.body, "fields": _changed(before, document)}))

    async def _store(self, operator: str, steps: _Steps, who: str, why: str, *, again: bool) -> tuple[Stored, ...]:
        for name, value in (("who", who), ("why", why)):
            if not value.strip():
                raise FixRequestError("expected text: every change says who made it and why", where=name)
        async with self._lock:
            for _ in range(_ATTEMPTS):
                made = steps(self._around(operator))
                changed = [step for step in made if step.event is not None]
                if not changed:
                    return _told(made)
                answer = await self._ledger.commit(
                    Change(
                        operator=operator,
                        configuration=tuple(step.row for step in changed),
                        events=tuple(step.event for step in changed if step.event is not None),
                    )
                )
                if not isinstance(answer, Refused):
                    self._resolve(self._take(step.row for step in changed))
                    if self.on_change is not None:
                        self.on_change()
                    return _told(made)
                await self._catch_up()
                if not again:
                    break
        raise ConflictError("it was changed by somebody else in the meantime", hint="read it again")

    def _around(self, scope: str) -> Surroundings:
        entries = [entry for own in self._scopes.values() for entry in own.values()]
        return Surroundings(
            scope=scope,
            own=dict(self._scopes.get(scope, {})),
            operators={entry.id: entry for entry in entries if entry.kind is Kind.OPERATOR},
            keys=tuple(entry for entry in entries if entry.kind is Kind.KEY),
            now=self._clock.now_ms(),
        )

    async def _catch_up(self) -> None:
        versions = await self._ledger.configuration_versions()
        if versions != self._versions:
            changed = self._take(await self._ledger.configuration())
            self._versions = versions  # what is stored from here on raises the count again
            self._resolve(changed)

    def _take(self, rows: Iterable[ConfigurationRow]) -> set[str]:
        """Read the rows that are new; returns whose they are."""
        changed = set()
        for row in rows:
            if row.kind not in _KINDS:
                continue  # people's decisions on rounds, or what a newer release knows
            key = (row.operator, Kind(row.kind), row.name)
            known = self._rows.get(key)
            if known is None or known.version < row.version:
                self._rows[key] = row
                self._scopes.setdefault(row.operator, {})[key[1:]] = open_row(row, self._box)
                changed.add(row.operator)
        return changed

    def _resolve(self, scopes: Iterable[str]) -> None:
        """Resolve some scopes anew and replace the directory."""
        for scope in scopes:
            if scope != HUB_SCOPE:
                self._resolved[scope] = resolve_operator(scope, self._scopes[scope].values(), self._packages)
        keys = {
            entry.document.hash: LiveKey(id=entry.id, scope=scope, document=entry.document)
            for scope, own in self._scopes.items()
            for entry in own.values()
            if entry.active and isinstance(entry.document, ApiKeyDocument)
        }
        self.directory = Directory(
            operators={scope: live for scope, (live, _) in self._resolved.items()},
            keys=keys,
            faults=tuple(fault for _, faults in self._resolved.values() for fault in faults),
        )
        if self.on_resolve is not None:
            self.on_resolve(self.directory)


def key_hash(bearer: str) -> str:
    """The hash under which a bearer key is stored and looked up: SHA-256, small hex."""
    return hashlib.sha256(bearer.encode()).hexdigest()


def _told(made: Sequence[_Step]) -> tuple[Stored, ...]:
    return tuple(evolve(shown(step.row), unchanged=step.event is None) for step in made)


def _check_version(row: ConfigurationRow | None, version: int | None) -> None:
    stored = row.version if row else 0
    if version is not None and version != stored:
        raise ConflictError(f"it was changed since: version {stored} is stored", where="version", hint="read it again")


def _changed(before: Entry | None, document: Document) -> Sequence[str]:
    old = write_document(before.document) if before and before.document else {}
    return sorted(name for name, value in write_document(document).items() if old.get(name) != value)


def _event(row: ConfigurationRow, action: str) -> Event:
    body: dict[str, Any] = {
        "kind": row.kind,
        "id": row.name,
        "version": row.version,
        "action": action,
        "who": row.who,
        "why": row.why,
    }
    if "name" in row.body:
        body["name"] = row.body["name"]
    return Event(kind="configuration.changed", subject=row.name, at=row.at, body=body)
