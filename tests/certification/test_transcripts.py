"""Golden conversations: the files, what is recorded into them, and how they are played back."""

from __future__ import annotations

import tomllib
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from tests.certification.broken_adapters.made import sound

from croupier.contract import (
    EPOCH,
    Applied,
    Call,
    Declined,
    DeclineReason,
    Effect,
    Headers,
    HttpRequest,
    HttpResponse,
    LaunchQuery,
    Result,
    SettingsError,
    Unknown,
    UnknownCause,
)
from croupier_conformance.certification.asks import asks
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.plain_toml import write_toml
from croupier_conformance.certification.plain_values import decode, encode
from croupier_conformance.certification.play_back import Player, differences
from croupier_conformance.certification.record import main, recorded, write
from croupier_conformance.certification.results import balance, result_of
from croupier_conformance.certification.sayings import all_heard
from croupier_conformance.certification.transcript import (
    arguments_of,
    read_request,
    read_response,
    read_transcript,
    read_transcripts,
    request_table,
    response_table,
)

SLUGS = pytest.mark.parametrize("slug", ["softswiss", "pragmatic"])

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12)
scalars = st.one_of(
    texts,
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.datetimes(EPOCH.replace(tzinfo=None), timezones=st.just(UTC)),
)
tables: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(texts, scalars, max_size=4),
    lambda inner: st.dictionaries(
        texts, st.one_of(scalars, inner, st.lists(inner, max_size=3), st.lists(scalars, max_size=3)), max_size=4
    ),
    max_leaves=6,
)


def bench(slug: str) -> AdapterBench:
    return AdapterBench(subject=sound(slug), folder=Path())


@given(tables)
def test_what_is_written_is_read_again(document: dict[str, Any]) -> None:
    assert tomllib.loads(write_toml(document)) == document


def test_bodies_stand_as_they_are_wherever_toml_allows_it() -> None:
    text = write_toml({"body": '{"a":"b"}', "page": "one\ntwo\n", "both": "'\"", "none": None})
    assert text == "body = '{\"a\":\"b\"}'\npage = '''\none\ntwo\n'''\nboth = \"'\\\"\"\n"


@given(st.binary(max_size=40), st.sampled_from(Effect))
def test_a_message_of_any_bytes_is_kept(body: bytes, effect: Effect) -> None:
    headers = Headers((("Content-Type", "text/csv"), ("X-Twice", "1"), ("X-Twice", "2")))
    request = HttpRequest("POST", "/bet?a=1", headers, body, effect)
    stored = tomllib.loads(write_toml({"request": request_table(request)}))
    assert read_request(stored["request"]) == request
    response = HttpResponse(418, headers, body)
    assert read_response(tomllib.loads(write_toml(response_table(response)))) == response


@SLUGS
def test_calls_and_their_results_are_read_as_they_were_written(slug: str) -> None:
    outcomes = (Applied(), Declined(reason=DeclineReason.OTHER, message="no"), Unknown(cause=UnknownCause.OWED))
    for said in all_heard(bench(slug)):
        for call in said.calls.items:
            assert decode(_stored(encode(call, Call)), Call, "call") == call
            for outcome in outcomes:
                result = result_of(call, outcome, balance())
                assert decode(_stored(encode(result, Result)), Result, "result") == result


@SLUGS
def test_the_arguments_of_every_flow_are_read_as_they_were_written(slug: str) -> None:
    for ask in asks(bench(slug)):
        kinds = arguments_of(ask.flow)
        assert kinds.keys() == ask.arguments.keys()
        for name, value in ask.arguments.items():
            assert decode(_stored(encode(value, kinds[name])), kinds[name], name) == value


@pytest.mark.parametrize(
    ("told", "kind", "where"),
    [
        ({"is": "Bet"}, Call, "x"),
        ({"operation": "play"}, Call, "x"),
        ({"is": "Ping", "operation": 5}, Call, "x.operation"),
        ({"is": "Ping", "colour": "red"}, Call, "x"),
        ({"is": "BalanceResult", "outcome": {"is": "Declined", "reason": "weather"}}, Result, "x.outcome.reason"),
        ({"game": "g", "currency": "EUR", "scale": {"code": "EUR", "scale": 77}}, LaunchQuery, "x.scale"),
        ({"is": "Play", "operation": "play", "movements": []}, Call, "x"),
        ({"is": "Play", "operation": "play", "movements": "bet"}, Call, "x.movements"),
    ],
)
def test_a_wrong_value_is_told_with_its_place(told: Any, kind: Any, where: str) -> None:
    with pytest.raises(SettingsError) as caught:
        decode(told, kind, "x")
    assert caught.value.where == where


@pytest.mark.parametrize("text", ["", "title = 5", 'title = "t"\nsource = "s"\ndirection = "sideways"', "= nothing"])
def test_a_file_that_is_no_transcript_is_told_by_name(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_transcript("bet", text)
    assert caught.value.where == "bet.toml"


@SLUGS
def test_what_is_recorded_now_is_what_is_stored(slug: str) -> None:
    stored = {one.name: one for one in read_transcripts(sound(slug))}
    for fresh in recorded(sound(slug)):
        assert differences(stored[fresh.name].story, fresh.story) == []


def test_recording_leaves_alone_what_somebody_reviewed(tmp_path: Path) -> None:
    first = write(sound(), tmp_path)
    assert len(first) == len({file.name for file in first}) > 10
    reviewed = first[0]
    reviewed.write_text("reviewed", "utf-8")
    assert write(sound(), tmp_path) == []
    assert reviewed.read_text("utf-8") == "reviewed"
    assert len(write(sound(), tmp_path, again=True)) == len(first)
    read = read_transcripts(evolve(sound(), transcripts=tmp_path))
    assert all(differences(one.story, Player.of(sound(), one).again()) == [] for one in read)


def test_transcripts_are_recorded_from_a_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["softswiss", "--folder", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count(".toml\n") == len(list(tmp_path.iterdir()))
    assert main(["nobody", "--folder", str(tmp_path)]) == 1
    assert "nobody" in capsys.readouterr().err


def test_a_difference_is_told_with_its_place() -> None:
    wanted = {"answer": {"status": 200, "rows": [{"a": 1}]}}
    found = {"answer": {"status": 200, "rows": [{"a": 2}]}, "more": True}
    assert differences(wanted, found) == ["answer.rows[0].a: 1 is wanted, 2 came", "more: None is wanted, True came"]


def _stored(told: Any) -> Any:
    return tomllib.loads(write_toml({"told": told}))["told"]
