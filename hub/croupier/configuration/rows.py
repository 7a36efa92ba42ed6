"""Between rows of the ledger and documents: secrets sealed on the way in, opened or left out on the way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve

from croupier.configuration.changes import Stored
from croupier.configuration.documents import (
    SECRETS_FIELD,
    ApiKeyDocument,
    ConnectionDocument,
    Document,
    Kind,
    OperatorDocument,
    SinkDocument,
    known_part,
    read_document,
    write_document,
)
from croupier.configuration.resolve import Entry, path_of
from croupier.configuration.secretbox import Place, SecretBox
from croupier.contract import CroupierError
from croupier.ledger.records import ConfigurationRow


def open_row(row: ConfigurationRow, box: SecretBox) -> Entry:
    """What a row says. Never raises for what is stored: a row that cannot be read carries the reason."""
    kind = Kind(row.kind)
    body = known_part(kind, row.body)
    error: CroupierError | None = None
    document: Document | None = None
    field = SECRETS_FIELD.get(kind)
    if field is not None:
        try:
            body[field] = _each(row, field, box.open)
        except CroupierError as problem:
            error = problem
            body.pop(field, None)
    try:
        document = read_document(kind, body, path_of(kind, row.name, body))
    except CroupierError as problem:
        error = error or problem
    return Entry(operator=row.operator, kind=kind, id=row.name, active=row.active, document=document, error=error)


def sealed_body(operator: str, kind: Kind, id: str, document: Document, box: SecretBox) -> dict[str, Any]:
    """The body of a document as it is stored."""
    body = write_document(document)
    field = SECRETS_FIELD.get(kind)
    if field is not None:
        whole = Place(operator=operator, kind=kind.value, id=id, field=field)
        body[field] = {
            name: [box.seal(value, _part(whole, name, at)) for at, value in enumerate(values)]
            for name, values in body[field].items()
        }
    return body


def is_current(row: ConfigurationRow, box: SecretBox) -> bool:
    """Whether every secret of a row is under the current key."""
    field = SECRETS_FIELD.get(Kind(row.kind))
    return field is None or all(
        box.is_current(value) for values in row.body.get(field, {}).values() for value in values
    )


def rewrapped_body(row: ConfigurationRow, box: SecretBox) -> dict[str, Any]:
    """The body of a row with every secret under the current key.

    Raises:
        FixConfigurationError: A secret cannot be opened.
    """
    body = dict(row.body)
    field = SECRETS_FIELD.get(Kind(row.kind))
    if field is not None and field in body:
        body[field] = _each(row, field, box.rewrap)
    return body


def shown(row: ConfigurationRow) -> Stored:
    """A row as it may be shown."""
    kind = Kind(row.kind)
    hidden = {SECRETS_FIELD.get(kind), "hash" if kind is Kind.KEY else None}
    secrets = row.body.get(SECRETS_FIELD.get(kind, ""), {})
    return Stored(
        operator=row.operator,
        kind=kind,
        id=row.name,
        version=row.version,
        active=row.active,
        body={name: value for name, value in row.body.items() if name not in hidden},
        at=row.at,
        who=row.who,
        why=row.why,
        secrets={name: len(values) for name, values in secrets.items()},
    )


def with_kept_values(kind: Kind, body: Mapping[str, Any], before: Document | None) -> dict[str, Any]:
    """A new body with what it leaves out and is never shown: secrets that are not named, the hash of a key."""
    merged = dict(body)
    match before:
        case OperatorDocument() | ConnectionDocument() | SinkDocument():
            kept = before.wallet_secrets if isinstance(before, OperatorDocument) else before.secrets
            given = merged.get(SECRETS_FIELD[kind], {})
            if isinstance(given, Mapping):
                merged[SECRETS_FIELD[kind]] = {name: list(values) for name, values in kept.items()} | dict(given)
        case ApiKeyDocument():
            merged.setdefault("hash", before.hash)
        case _:
            pass
    field = SECRETS_FIELD.get(kind)
    if field is not None and isinstance(merged.get(field), Mapping):
        merged[field] = {name: values for name, values in merged[field].items() if values != []}
    return merged


def _each(row: ConfigurationRow, field: str, change: Callable[[str, Place], str]) -> dict[str, list[str]]:
    whole = Place(operator=row.operator, kind=row.kind, id=row.name, field=field)
    return {
        name: [change(value, _part(whole, name, at)) for at, value in enumerate(values)]
        for name, values in row.body.get(field, {}).items()
    }


def _part(whole: Place, name: str, at: int) -> Place:
    return evolve(whole, field=f"{whole.field}.{name}.{at}")
