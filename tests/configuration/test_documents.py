from __future__ import annotations

from typing import Any

import pytest

from croupier.configuration.documents import Kind, OperatorDocument, read_document, write_document
from croupier.contract import SettingsError

OPERATOR = {"name": "acme", "dialect": "native", "wallet_secrets": {"key": ["new", "old"]}}
CONNECTION = {"name": "main", "adapter": "toy"}
GAME = {"title": "Book", "studio": "Toy"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (Kind.OPERATOR, OPERATOR | {"capabilities_missing": ["tombstones", "atomic_batch"], "currencies": {"GLD": 3}}),
        (Kind.OPERATOR, OPERATOR | {"limits": {"round_overdue_hours": 0}}),
        (Kind.CONNECTION, CONNECTION | {"allow_cidrs": ["10.0.0.0/8", "2001:db8::/32"], "secrets": {"k": ["v"]}}),
        (Kind.CONNECTION, CONNECTION | {"require_client_certificate": {"subject": "provider"}}),
        (Kind.KEY, {"hash": "0" * 64, "label": "first", "role": "operator", "not_after": 5}),
        (Kind.GAME, GAME | {"rtp": "96.5", "devices": ["mobile"], "features": ["megaways"]}),
        (Kind.ROUTE, {"connection": "c", "game": "g", "code": "x", "wallet_code": "17"}),
    ],
)
def test_a_document_that_is_written_reads_the_same(kind: Kind, body: dict[str, Any]) -> None:
    document = read_document(kind, body, "here")
    assert read_document(kind, write_document(document), "here") == document


@pytest.mark.parametrize(
    ("kind", "body", "where"),
    [
        (Kind.OPERATOR, OPERATOR | {"name": "Acme"}, "x.name"),
        (Kind.OPERATOR, OPERATOR | {"name": "a/b"}, "x.name"),
        (Kind.OPERATOR, OPERATOR | {"enabled": "yes"}, "x.enabled"),
        (Kind.OPERATOR, OPERATOR | {"colour": "red"}, "x.colour"),
        (Kind.OPERATOR, OPERATOR | {"wallet_secrets": {"key": ["1", "2", "3"]}}, "x.wallet_secrets.key"),
        (Kind.OPERATOR, OPERATOR | {"wallet_secrets": {"key": [""]}}, "x.wallet_secrets.key"),
        (Kind.OPERATOR, OPERATOR | {"limits": {"max_bet_minor": {"EUR": -1}}}, "x.limits.max_bet_minor.EUR"),
        (Kind.OPERATOR, OPERATOR | {"limits": {"round_overdue_hours": -1}}, "x.limits.round_overdue_hours"),
        (Kind.OPERATOR, OPERATOR | {"limits": {"round_overdue_hours": 87_601}}, "x.limits.round_overdue_hours"),
        (Kind.OPERATOR, OPERATOR | {"limits": {"round_overdue_hours": None}}, "x.limits.round_overdue_hours"),
        (Kind.OPERATOR, OPERATOR | {"currencies": {"GLD": 10}}, "x.currencies.GLD"),
        (Kind.OPERATOR, {"name": "acme"}, "x.dialect"),
        (Kind.CONNECTION, CONNECTION | {"allow_cidrs": ["10.0.0.1/8"]}, "x.allow_cidrs.0"),
        (Kind.CONNECTION, CONNECTION | {"require_client_certificate": {}}, "x.require_client_certificate"),
        (Kind.CONNECTION, CONNECTION | {"priority": True}, "x.priority"),
        (Kind.KEY, {"hash": "secret", "label": "first"}, "x.hash"),
        (Kind.GAME, GAME | {"rtp": "96,5"}, "x.rtp"),
        (Kind.GAME, GAME | {"title": " "}, "x.title"),
        (Kind.ROUTE, {"connection": "c", "game": "g"}, "x.code"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(kind: Kind, body: dict[str, Any], where: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_document(kind, body, "x")
    assert caught.value.where == where


def test_an_operator_document_does_not_show_its_secrets() -> None:
    document = read_document(Kind.OPERATOR, OPERATOR | {"wallet_secrets": {"key": ["hunter2"]}}, "x")
    assert isinstance(document, OperatorDocument)
    assert "hunter2" not in repr(document)
    assert "hunter2" not in repr(document.credentials)
