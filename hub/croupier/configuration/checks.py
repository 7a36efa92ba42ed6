"""What must hold before a change is stored, beyond the shape of its body."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from croupier.configuration.documents import (
    HUB_SCOPE,
    VALID_AT_ONCE,
    ApiKeyDocument,
    ConnectionDocument,
    Document,
    GameDocument,
    Kind,
    OperatorDocument,
    Role,
    RouteDocument,
    SinkDocument,
)
from croupier.configuration.resolve import Entry, Packages, path_of, resolve_adapter, resolve_party, resolve_sink
from croupier.contract import ConflictError, Currencies, NotFoundError, PackageError, SettingsError
from croupier.wallet.ports import Ids

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_GAME_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_ROUTES: Final = uuid.UUID("6d1f4c0e-9a53-5b0d-8e43-2f1f0c7b9a11")


@frozen(kw_only=True)
class Surroundings:
    """What a change is judged against.

    Attributes:
        scope: The operator's id, or `HUB_SCOPE`.
        own: Everything of that scope, by kind and id, as it will be after the changes before this one.
        operators: Every operator.
        keys: Every key.
        now: The time (UTC milliseconds).
    """

    scope: str
    own: dict[tuple[Kind, str], Entry]
    operators: Mapping[str, Entry]
    keys: tuple[Entry, ...]
    now: int

    def active(self, kind: Kind, id: str) -> Document | None:
        """The document of something of this scope that is in force."""
        entry = self.own.get((kind, id))
        return entry.document if entry and entry.active else None


def new_id(scope: str, kind: Kind, body: Mapping[str, Any], ids: Ids) -> str:
    """The id of a new thing: random, but for an operator (its scope), a game and a route.

    Of a game it is made of studio and title, of a route it follows from connection and code: taking over a list twice
    makes nothing twice.
    """
    match kind:
        case Kind.OPERATOR:
            return scope
        case Kind.ROUTE:
            return route_id(str(body.get("connection", "")), str(body.get("code", "")))
        case Kind.GAME:
            return game_id(str(body.get("studio", "")), str(body.get("title", "")), "") or ids.new_id()
        case Kind.CONNECTION | Kind.KEY | Kind.SINK:
            return ids.new_id()


def route_id(connection: str, code: str) -> str:
    """The id of the route of a provider's code in a connection."""
    return str(uuid.uuid5(_ROUTES, f"{connection}/{code}"))


def game_id(studio: str, title: str, code: str) -> str:
    """The id of a game: `studio--title`, each in small letters and digits joined by `-`.

    A title without any letter or digit of ASCII is replaced by the provider's code; empty if that has none either.
    """
    maker, name = slug(studio), slug(title) or slug(code)
    return f"{maker}--{name}"[:128].rstrip("-") if maker and name else ""


def slug(text: str) -> str:
    """Small letters and digits of ASCII, everything between them as one `-`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("'", "").replace("’", "")).strip("-")


def check_new_id(around: Surroundings, kind: Kind, id: str, document: Document) -> None:
    """Refuse an id that a thing of this kind cannot have.

    Raises:
        SettingsError: It cannot.
    """
    where = f"{path_of(kind, id, document)}.id"
    match document:
        case GameDocument():
            if not _GAME_ID.fullmatch(id):
                raise SettingsError("expected small letters, digits, '.', '_' and '-'", where=where)
        case RouteDocument():
            if id != route_id(document.connection, document.code):
                raise SettingsError("the id of a route follows from its connection and code: leave it out", where=where)
        case _:
            if not _UUID.fullmatch(id) or (kind is Kind.OPERATOR and id != around.scope):
                raise SettingsError("expected a UUID in small letters", where=where)


def check_put(around: Surroundings, id: str, document: Document, packages: Packages) -> None:
    """Refuse a document that would not work.

    Raises:
        SettingsError: A value is wrong.
        PackageError: The adapter or dialect cannot be used.
        ConflictError: A name, a key or a place is taken.
        NotFoundError: There is no such operator.
    """
    if not isinstance(document, OperatorDocument):
        _check_scope(around, document)
    match document:
        case OperatorDocument():
            _check_operator(around, id, document, packages)
        case ConnectionDocument():
            _check_connection(around, id, document, packages)
        case ApiKeyDocument():
            _check_key(around, id, document)
        case RouteDocument():
            _check_route(around, id, document)
        case SinkDocument():
            _check_sink(around, id, document, packages)
        case GameDocument():
            pass


def _check_scope(around: Surroundings, document: Document) -> None:
    if around.scope == HUB_SCOPE:
        if not isinstance(document, ApiKeyDocument):
            raise NotFoundError("there is no such operator", where="operator")
    elif around.active(Kind.OPERATOR, around.scope) is None:
        raise NotFoundError("there is no such operator", where="operator")


def _check_operator(around: Surroundings, id: str, document: OperatorDocument, packages: Packages) -> None:
    where = path_of(Kind.OPERATOR, id, document)
    _check_name(id, document.name, where, [entry for entry in around.operators.values() if entry.active])
    before = _before(around, Kind.OPERATOR, id)
    if isinstance(before, OperatorDocument):
        old, new = Currencies(before.currencies), Currencies(document.currencies)
        scales = {code: new.get(code).scale for code in new.codes()}
        for code in old.codes():
            if scales.get(code) != old.get(code).scale:
                raise SettingsError(
                    f"the scale stays {old.get(code).scale}: stored amounts are counted in it",
                    where=f"{where}.currencies.{code}",
                )
    try:
        resolve_party(id, document, packages)
    except PackageError:
        untouched = isinstance(before, OperatorDocument) and (before.dialect, before.wallet) == (
            document.dialect,
            document.wallet,
        )
        if not untouched:
            raise


def _check_connection(around: Surroundings, id: str, document: ConnectionDocument, packages: Packages) -> None:
    where = path_of(Kind.CONNECTION, id, document)
    others = [entry for (kind, _), entry in around.own.items() if kind is Kind.CONNECTION and entry.active]
    _check_name(id, document.name, where, others)
    before = _before(around, Kind.CONNECTION, id)
    if isinstance(before, ConnectionDocument) and before.adapter != document.adapter:
        raise SettingsError(
            f"the adapter stays {before.adapter!r}",
            where=f"{where}.adapter",
            hint="make a new connection: the ids of another provider mean other things",
        )
    owner = around.active(Kind.OPERATOR, around.scope)
    if not isinstance(owner, OperatorDocument):
        raise NotFoundError("there is no such operator", where="operator")
    try:
        resolve_adapter(id, document, owner, packages)
    except PackageError:
        if not isinstance(before, ConnectionDocument) or before.settings != document.settings:
            raise


def _check_key(around: Surroundings, id: str, document: ApiKeyDocument) -> None:
    where = path_of(Kind.KEY, id, document)
    if (document.role is Role.ADMIN) != (around.scope == HUB_SCOPE):
        raise SettingsError("keys of administrators, and no others, belong to the hub", where=f"{where}.role")
    before = _before(around, Kind.KEY, id)
    if isinstance(before, ApiKeyDocument) and (before.hash, before.role) != (document.hash, document.role):
        raise SettingsError("a key stays what it is", where=f"{where}.hash", hint="make a new one")
    valid = 1 if document.not_after is None or document.not_after > around.now else 0
    for entry in around.keys:
        other = entry.document
        if entry.id == id or not isinstance(other, ApiKeyDocument):
            continue
        if other.hash == document.hash:
            raise ConflictError("this key is in use", where=f"{where}.hash")
        if entry.operator == around.scope and entry.active:
            valid += 1 if other.not_after is None or other.not_after > around.now else 0
    if around.scope != HUB_SCOPE and valid > VALID_AT_ONCE:
        raise ConflictError(
            f"{VALID_AT_ONCE} keys are valid already", where=where, hint="let one expire, or delete it, first"
        )


def _check_route(around: Surroundings, id: str, document: RouteDocument) -> None:
    where = path_of(Kind.ROUTE, id, document)
    before = _before(around, Kind.ROUTE, id)
    if isinstance(before, RouteDocument) and (before.connection, before.code) != (document.connection, document.code):
        raise SettingsError("connection and code of a route stay", where=where, hint="make a new route")
    if around.active(Kind.CONNECTION, document.connection) is None:
        raise SettingsError("the operator has no such connection", where=f"{where}.connection")
    if around.active(Kind.GAME, document.game) is None:
        raise SettingsError("the operator has no such game", where=f"{where}.game")


def _check_sink(around: Surroundings, id: str, document: SinkDocument, packages: Packages) -> None:
    where = path_of(Kind.SINK, id, document)
    others = [entry for (kind, _), entry in around.own.items() if kind is Kind.SINK and entry.active]
    _check_name(id, document.name, where, others)
    before = _before(around, Kind.SINK, id)
    if isinstance(before, SinkDocument) and before.sink != document.sink:
        raise SettingsError(f"the sink stays {before.sink!r}", where=f"{where}.sink", hint="make a new one")
    try:
        resolve_sink(id, document, packages)
    except PackageError:
        if not isinstance(before, SinkDocument) or before.settings != document.settings:
            raise


def _before(around: Surroundings, kind: Kind, id: str) -> Document | None:
    entry = around.own.get((kind, id))
    return entry.document if entry else None


def _check_name(id: str, name: str, where: str, others: list[Entry]) -> None:
    if _UUID.fullmatch(name):
        raise SettingsError("a name must not look like an id", where=f"{where}.name")
    for other in others:
        if other.id != id and getattr(other.document, "name", None) == name:
            raise ConflictError("the name is taken", where=f"{where}.name")
