"""What adapters share: fields taken apart, answers to the hub, tables of codes, moments."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from croupier.contract import (
    EPOCH,
    AmountError,
    Applied,
    AuthenticationError,
    Balance,
    BalanceResult,
    Capability,
    CroupierError,
    Currency,
    Declined,
    DeclineReason,
    Fields,
    FixRequestError,
    HttpResponse,
    MalformedRequestError,
    Money,
    NoticeResult,
    ProviderRefusedError,
    RetryLaterError,
    SettingsError,
    Told,
    Unknown,
    UnknownCause,
    UpstreamError,
    WireCode,
    balance_of,
    by_error,
    by_reason,
    check_base_address,
    check_path,
    epoch_ms,
    epoch_seconds,
    from_epoch_ms,
    is_address,
    is_host,
    outcome_of,
    read_moment,
    refuse_status,
    told_by,
    told_rows,
)

MESSAGE = {
    "player": "p-1",
    "empty": "",
    "null": None,
    "number": 5,
    "below": -5,
    "exact": Decimal("0.10"),
    "text": "10.50",
    "flag": True,
    "off": False,
    "list": [{"id": "a"}, {"id": 7}],
    "amounts": ["1.5", 2],
    "at": 1500,
    "url": "https://games.example/1",
}
FIELDS, TOLD = Fields(MESSAGE, "body"), Told(MESSAGE, "body")


def test_what_is_there_is_read_exactly() -> None:
    assert (FIELDS.text("player"), FIELDS.optional_text("null"), FIELDS.optional_text("none")) == ("p-1", None, None)
    assert (FIELDS.code("number"), FIELDS.code("player")) == ("5", "p-1")
    assert (FIELDS.flag("flag"), FIELDS.flag("off"), FIELDS.flag("none")) == (True, False, False)
    amounts = [FIELDS.steps("number"), FIELDS.amount("exact"), FIELDS.amount("text"), FIELDS.signed_amount("below")]
    assert [amount.value for amount in amounts] == [5, Decimal("0.10"), Decimal("10.50"), -5]
    assert FIELDS.optional_amount("none") is None
    assert [amount.value for amount in FIELDS.amounts("amounts", currency="EUR")] == [Decimal("1.5"), 2]
    assert [item.code("id") for item in FIELDS.objects("list")] == ["a", "7"]
    assert (FIELDS.optional_objects("none"), FIELDS.amounts("none")) == ((), ())
    assert FIELDS.optional_moment("at") == Fields({"at": "1500"}).optional_moment("at") == from_epoch_ms(1500)
    assert FIELDS.named(("player", "empty", "number", "none")) == {"player": "p-1"}
    assert Fields.of_form({"a": "", "b": "1"}).values == {"b": "1"}


WRONG: list[tuple[str, Callable[[Fields], Any]]] = [
    ("body.none", lambda fields: fields.text("none")),
    ("body.empty", lambda fields: fields.text("empty")),
    ("body.empty", lambda fields: fields.optional_text("empty")),
    ("body.number", lambda fields: fields.text("number")),
    ("body.player", lambda fields: fields.text("player", 2)),
    ("body.flag", lambda fields: fields.code("flag")),
    ("body.number", lambda fields: fields.flag("number")),
    ("body.text", lambda fields: fields.steps("text")),
    ("body.flag", lambda fields: fields.steps("flag")),
    ("body.below", lambda fields: fields.steps("below")),
    ("body.none", lambda fields: fields.steps("none")),
    ("body.below", lambda fields: fields.amount("below")),
    ("body.none", lambda fields: fields.amount("none")),
    ("body.none", lambda fields: fields.items("none")),
    ("body.text", lambda fields: fields.optional_objects("text")),
    ("body.amounts[0]", lambda fields: fields.objects("amounts")),
    ("body.list[0].none", lambda fields: fields.objects("list")[0].text("none")),
    ("body.text", lambda fields: fields.optional_moment("text")),
    ("body.below", lambda fields: fields.optional_moment("below")),
]


@pytest.mark.parametrize(("where", "read"), WRONG)
def test_what_is_wrong_is_named_by_its_place(where: str, read: Callable[[Fields], Any]) -> None:
    with pytest.raises(MalformedRequestError) as asked:
        read(FIELDS)
    with pytest.raises(UpstreamError) as told:
        read(TOLD)
    assert asked.value.where == told.value.where == where


@pytest.mark.parametrize("name", ["player", "flag", "list"])
def test_what_is_no_amount_is_an_amount_error_of_its_place(name: str) -> None:
    with pytest.raises(AmountError) as asked:
        FIELDS.amount(name)
    with pytest.raises(UpstreamError) as told:
        TOLD.amount(name)
    assert asked.value.where == told.value.where == f"body.{name}"


def test_a_catalogues_words_are_read_leniently() -> None:
    assert (TOLD.word("player"), TOLD.word("number"), TOLD.word("exact")) == ("p-1", "5", "0.10")
    assert (TOLD.word("empty"), TOLD.word("flag"), TOLD.word("list"), TOLD.word("none")) == (None, None, None, None)
    assert (TOLD.words("amounts"), TOLD.words("player")) == (("1.5",), ())
    assert TOLD.address("url") == "https://games.example/1"
    with pytest.raises(UpstreamError):
        TOLD.address("player")


@pytest.mark.parametrize("text", ["", "games.example", "ftp://games.example", "https://", "http://[", "javascript:x"])
def test_what_is_no_web_address_is_known(text: str) -> None:
    assert not is_address(text)


@pytest.mark.parametrize("text", ["https://wallet.example", "http://127.0.0.1:8080/gcp/", "https://[::1]/wallet"])
def test_an_address_below_which_paths_can_lie_is_taken(text: str) -> None:
    check_base_address(text, "settings.url")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wallet.example",
        "/wallet",
        "ftp://wallet.example",
        "https://",
        "https://wallet.example/?a=1",
        "https://wallet.example/?",
        "https://wallet.example/#a",
        "https://name:word@wallet.example",
        "https://@wallet.example",
        "https://[::1",
        "https://wallet.example:99999",
        "https://wallet.example:x",
        "https://wallet.example/a b",
        "https://wallet.example/\n",
    ],
)
def test_what_is_no_such_address_is_told_by_the_settings_path_and_not_shown(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_base_address(text, "settings.url")
    assert caught.value.where == "settings.url"
    assert "word" not in str(caught.value)


def test_a_path_begins_with_a_slash_and_has_no_query() -> None:
    check_path("/wallet/bet", "paths.bet")
    for text in ("", "bet", "/bet?a=1", "/bet#a", "/b et", "/bet\n"):
        with pytest.raises(SettingsError) as caught:
            check_path(text, "paths.bet")
        assert caught.value.where == "paths.bet"


def test_a_host_is_a_host_alone() -> None:
    assert all(is_host(text) for text in ("games.example", "games.example:8443"))
    assert not any(is_host(text) for text in ("", "https://games.example", "games.example/1", "games.example?a", "["))


def test_an_answer_is_its_json_object_or_an_upstream_error() -> None:
    assert told_by(HttpResponse.json('{"a": 1}', 500)).code("a") == "1"
    for body in ("", "[]", "<html>", '{"a": 1, "a": 2}'):
        with pytest.raises(UpstreamError, match="HTTP 502"):
            told_by(HttpResponse.json(body, 502))


def test_a_status_tells_a_refusal_from_a_failure() -> None:
    refuse_status(HttpResponse(200), "x")
    for status in (201, 302, 408, 429, 500, 503):
        with pytest.raises(UpstreamError):
            refuse_status(HttpResponse(status), "x")
    with pytest.raises(ProviderRefusedError) as refused:
        refuse_status(HttpResponse(403), "x")
    assert refused.value.provider_code == "403"


def test_rows_are_read_by_the_names_of_their_columns() -> None:
    (row,) = told_rows('b,a,c\r\n"1,5",null,\r\n', ("a", "b"), "log", ("", "null"))
    assert (row.text("b"), row.word("a"), row.word("c")) == ("1,5", None, None)
    assert told_rows("", ("a",), "log") == ()
    for text in ("b\n1\n", "a,b\n1\n", 'a\n"1\n'):
        with pytest.raises(UpstreamError):
            told_rows(text, ("a",), "log")


class Code(WireCode):
    LOW = 1, "too low"
    HIGH = 2, "too high"


def test_codes_know_their_texts_and_are_found_by_reason_and_error() -> None:
    assert (Code.LOW, Code.LOW.text, Code(2).text) == (1, "too low", "too high")
    table = by_reason({Code.LOW: "insufficient_funds", Code.HIGH: "bet_limit loss_limit"})
    assert table == {
        DeclineReason.INSUFFICIENT_FUNDS: Code.LOW,
        DeclineReason.BET_LIMIT: Code.HIGH,
        DeclineReason.LOSS_LIMIT: Code.HIGH,
    }
    errors: dict[type[CroupierError], str] = {AuthenticationError: "who", FixRequestError: "what"}
    found = [by_error(errors, kind("x"), "later") for kind in (AuthenticationError, AmountError, RetryLaterError)]
    assert found == ["who", "what", "later"]


def test_a_reason_that_is_none_or_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="no_money"):
        by_reason({1: "no_money"})
    with pytest.raises(ValueError, match="twice"):
        by_reason({1: "bet_limit", 2: "bet_limit"})


def test_capabilities_are_named_by_their_values() -> None:
    assert Capability.of("bet win") == {Capability.BET, Capability.WIN}
    with pytest.raises(ValueError, match="bett"):
        Capability.of("bett")


def test_a_request_is_as_good_as_its_worst_result() -> None:
    money = Balance(Money(5, Currency("EUR", 2)))
    applied, noted = BalanceResult(outcome=Applied(), balance=money), NoticeResult(outcome=Applied(transaction="n"))
    declined = NoticeResult(outcome=Declined(reason=DeclineReason.OTHER))
    unknown = BalanceResult(outcome=Unknown(cause=UnknownCause.OWED))
    assert outcome_of([noted, applied]) == noted.outcome
    assert outcome_of([applied, unknown, declined]) == unknown.outcome
    assert (balance_of([noted, applied]), balance_of([noted, unknown])) == (money, None)
    with pytest.raises(ValueError, match="at least one"):
        outcome_of([])


def test_moments_are_read_and_written() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert read_moment("2026-01-02 03:04:05.999+02:00") == moment
    assert read_moment("02/01/2026", "%d/%m/%Y") == moment.replace(hour=0, minute=0, second=0)
    assert read_moment(str(epoch_ms(moment))) == moment
    assert from_epoch_ms(epoch_ms(moment)) == moment
    assert epoch_seconds(moment) == 1767323045
    assert [read_moment(text) for text in (None, "", "soon", "9" * 15)] == [None] * 4
    assert from_epoch_ms(0) == EPOCH
