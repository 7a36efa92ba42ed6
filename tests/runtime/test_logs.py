"""Logs hold what is on the list and nothing else."""

from __future__ import annotations

import ast
import asyncio
import io
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import croupier
from croupier.runtime.logs import FIELDS, capture_libraries, make_log
from croupier.wallet import alarms

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


def test_a_field_that_is_withheld_does_not_hide_the_others() -> None:
    stream = io.StringIO()
    log = make_log(stream=stream)
    for _ in range(2):
        log.info("x", player=CANARY, operator="op", token=CANARY)
    for line in lines(stream):
        assert (line["operator"], line["withheld"]) == ("op", ["player", "token"])


def test_every_alarm_says_what_it_is_about() -> None:
    for kind in (alarms.LATE, alarms.CONTRADICTED, alarms.OVERDUE, alarms.CASE):
        assert kind.partition(".")[0] in FIELDS, kind


def test_half_a_character_costs_no_line() -> None:
    stream = io.StringIO()
    make_log(stream=stream).info("x", operation="half \udcff", count=1)
    (line,) = lines(stream)
    assert line["count"] == 1


def test_a_time_is_told_to_the_microsecond() -> None:
    stream = io.StringIO()
    before = datetime.now(UTC)
    make_log(stream=stream).info("x")
    (line,) = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["timestamp"])
    assert before <= datetime.fromisoformat(line["timestamp"]) <= datetime.now(UTC)


# --- lines that are held back -----------------------------------------------------------------------------------------


async def test_held_lines_are_written_together_after_their_time() -> None:
    stream = io.StringIO()
    log = make_log(stream=stream, hold_seconds=0.05)
    for count in range(3):
        log.info("x", count=count)
    assert stream.getvalue() == ""
    await asyncio.sleep(0.1)
    assert [line["count"] for line in lines(stream)] == [0, 1, 2]
    log.info("x", count=3)
    await asyncio.sleep(0.1)
    assert len(lines(stream)) == 4


@pytest.mark.parametrize("level", ["warning", "error"])
async def test_a_grave_line_is_written_at_once_with_those_before_it(level: str) -> None:
    stream = io.StringIO()
    log = make_log(stream=stream, hold_seconds=60)
    log.info("x")
    getattr(log, level)("y")
    assert [line["event"] for line in lines(stream)] == ["x", "y"]


async def test_no_more_is_held_than_a_limit() -> None:
    stream = io.StringIO()
    log = make_log(stream=stream, hold_seconds=60)
    for _ in range(1_000):
        log.info("x", operation="o" * 200)
    assert 800 < len(lines(stream)) < 1_000


def test_without_an_event_loop_nothing_is_held() -> None:
    stream = io.StringIO()
    log = make_log(stream=stream, hold_seconds=60)
    log.info("x")
    assert len(lines(stream)) == 1


def test_a_second_event_loop_does_not_wait_for_the_first() -> None:
    stream = io.StringIO()
    log = make_log(stream=stream, hold_seconds=0.05)

    async def tell(seconds: float) -> None:
        log.info("x")
        await asyncio.sleep(seconds)

    asyncio.run(tell(0))
    asyncio.run(tell(0.2))
    assert len(lines(stream)) == 2


async def test_a_stream_that_takes_nothing_does_not_stop_the_work() -> None:
    stream = io.StringIO()
    log = make_log(stream=stream, hold_seconds=60)
    log.info("x")
    stream.close()
    log.error("y")


def refuse(*_asked: object) -> int:
    raise PermissionError


def socket_pair() -> tuple[int, int]:
    reads, writes = socket.socketpair()
    return reads.detach(), writes.detach()


@pytest.mark.parametrize("told", [1_000, 100_000])
@pytest.mark.parametrize("kind", ["pipe", "pipe of another user", "socket"])
def test_a_reader_who_stands_still_does_not_stop_the_work_and_finds_what_was_told_meanwhile(
    kind: str, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, writes = socket_pair() if kind == "socket" else os.pipe()
    if kind == "pipe of another user":
        monkeypatch.setattr(os, "open", refuse)
    found: list[dict[str, Any]] = []
    with os.fdopen(writes, "w", encoding="utf-8") as stream, os.fdopen(reads, encoding="utf-8") as reader:

        def read() -> None:
            while not found or found[-1]["event"] != "end":
                found.append(json.loads(reader.readline()))

        async def tell() -> None:
            log = make_log(stream=stream, hold_seconds=0.01)
            for count in range(told):
                log.info("x", count=count, operation="o" * 200)
            reading = asyncio.create_task(asyncio.to_thread(read))
            while not reading.done():
                log.error("end")
                await asyncio.sleep(0.02)
            await reading

        telling = threading.Thread(target=asyncio.run, args=[tell()], daemon=True)
        telling.start()
        telling.join(20)
        stood_still = telling.is_alive()
    assert not stood_still
    counts = [line["count"] for line in found if line["event"] == "x"]
    assert counts == list(range(len(counts)))
    assert (len(counts) == told) is (told == 1_000)


PROGRAM = """
import asyncio, os, sys
from croupier.runtime.logs import make_log

async def main():
    log = make_log(hold_seconds=60)
    log.info("held")
    {end}

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("end", "status", "events"),
    [
        ("", 0, ["held"]),
        ("sys.exit(3)", 3, ["held"]),
        ("raise RuntimeError('crashed')", 1, ["held"]),
        ("log.error('grave'); os.kill(os.getpid(), 9)", -9, ["held", "grave"]),
        ("child = os.fork(); child and os.waitpid(child, 0)", 0, ["held"]),
    ],
    ids=["end", "exit", "crash", "killed after an error", "fork"],
)
def test_what_is_held_is_written_once_when_a_process_ends(end: str, status: int, events: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end)], capture_output=True, text=True, timeout=60, check=False
    )
    written = [json.loads(line)["event"] for line in done.stderr.splitlines() if line.startswith("{")]
    assert (done.returncode, written) == (status, events)


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
