"""Logs hold what is on the list and nothing else."""

from __future__ import annotations

import ast
import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest

import croupier
from croupier.runtime.clocks import VirtualClock
from croupier.runtime.logs import FIELDS, capture_libraries, make_log, one_line

CANARY = "canary-7f3a"


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_object_on_one_line() -> None:
    stream = io.StringIO()
    make_log(stream=stream).info("provider_call", operator="op", status=200, places=["a.py:1 f\n"])
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "provider_call",
        "level": "info",
        "operator": "op",
        "status": 200,
        "places": ["a.py:1 f\n"],
    }


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_field_that_is_not_on_the_list_shows_its_name_alone(form: str) -> None:
    stream = io.StringIO()
    fields = {"player": CANARY, "token": CANARY, "body": {"x": CANARY}, "headers": [CANARY], "address": CANARY}
    make_log(form=form, stream=stream).error("x", operator="op", **fields)
    assert CANARY not in stream.getvalue()
    for name in fields:
        assert name in stream.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        f"{CANARY}@mail.example",
        f"Bearer {CANARY}",
        f"basic {CANARY}",
        f"eyJhbGciOi.{CANARY}.sig",
        f"postgresql://user:{CANARY}@db/hub",
        f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END",
    ],
)
def test_what_looks_like_a_secret_is_masked_even_in_a_listed_field(text: str) -> None:
    stream = io.StringIO()
    make_log(stream=stream).info("x", reason=f"before {text} after")
    assert CANARY not in stream.getvalue()
    assert "before" in stream.getvalue()


def test_an_object_in_a_listed_field_shows_its_type_alone() -> None:
    stream = io.StringIO()
    make_log(stream=stream).info("x", reason={"secret": CANARY}, count=2**70)
    (line,) = lines(stream)
    assert (line["reason"], line["count"]) == ("dict", "masked")


def fail() -> None:
    raise ValueError(CANARY)


def test_an_exception_shows_its_type_and_place_and_not_its_text() -> None:
    stream = io.StringIO()
    write = make_log(stream=stream).error
    try:
        fail()
    except ValueError as error:
        write("x", exc_info=error)
        write("x", exc_info=True)
    assert CANARY not in stream.getvalue()
    assert len(lines(stream)) == 2
    for line in lines(stream):
        assert line["fault"] == "ValueError"
        assert [place.split(":")[0] for place in line["places"]] == ["test_logs.py", "test_logs.py"]


def test_events_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    log = make_log("warning", stream=stream)
    log.info("quiet")
    log.warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


async def test_a_block_is_one_line_with_its_duration() -> None:
    stream = io.StringIO()
    clock = VirtualClock()
    with one_line(make_log(stream=stream), clock, "feed_read", connection="acme") as line:
        await clock.advance(0.25)
        line["count"] = 3
    with pytest.raises(KeyError), one_line(make_log(stream=stream), clock, "feed_read"):
        raise KeyError(CANARY)
    good, bad = lines(stream)
    assert (good["duration_us"], good["count"], good["level"]) == (250_000, 3, "info")
    assert (bad["fault"], bad["level"]) == ("KeyError", "warning")
    assert CANARY not in stream.getvalue()


def test_what_libraries_tell_arrives_without_its_text() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:]
    try:
        capture_libraries(make_log(stream=stream))
        capture_libraries(make_log(stream=stream))
        logging.getLogger("some.library").error("could not use %s", CANARY)
        logging.getLogger("some.library").info(CANARY)
    finally:
        root.handlers[:] = before
        logging.captureWarnings(capture=False)
    (line,) = lines(stream)
    assert (line["event"], line["source"], line["level"]) == ("library", "some.library", "error")
    assert CANARY not in stream.getvalue()


def test_every_field_that_the_hub_writes_is_on_the_list() -> None:
    hub = Path(croupier.__file__).parent
    used = {
        f"{path.relative_to(hub)}:{node.lineno} {keyword.arg}"
        for path in hub.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"debug", "info", "warning", "error"}
        and ast.unparse(node.func.value).endswith("log")
        for keyword in node.keywords
        if keyword.arg is not None and keyword.arg not in FIELDS | {"exc_info"}
    }
    assert used == set()
