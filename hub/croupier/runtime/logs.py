"""Structured logs: one event a line, and only fields that are known to be harmless.

A field is written if its name is on the list below, else its name alone is (in `withheld`): what a log must not hold
cannot get in by a new line of code. Texts of exceptions are never written, because nobody knows what they hold; the
type and the places in the code are.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePath
from traceback import extract_tb
from types import TracebackType
from typing import Any, Final, Protocol, TextIO

import orjson

from croupier.runtime.log_output import HeldOutput

FIELDS: Final = frozenset(
    "event level timestamp"
    " trace span delivery movement round case exchange position epoch"  # the hub's own random ids and counters
    " configured configured_name"  # the id and name of an operator, a connection, a sink
    " operator connection adapter dialect operation kind api route method verdict outcome reason status code problem"
    " caller"  # the id of a key, never the key
    " request_bytes response_bytes duration_us wallet_us"
    " attempt attempts age_ms wait_ms due_in_ms left count owed held late size limit"
    " fault places source line slot pid"
    " owner version distribution package slug state host port database format listener tier".split()
)
"""Every field that may be written. Not on it, on purpose: players, sessions, tokens, addresses, bodies, headers."""

Render = Callable[[dict[str, Any]], str]
_LEVELS: Final = ("debug", "info", "warning", "error")
_MAX_TEXT: Final = 300
_LARGEST: Final = 2**63 - 1
_MASKED: Final = re.compile(
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # e-mail addresses
    r"|eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"  # JSON web tokens
    r"|(?i:bearer|basic)\s+\S+"  # credentials of a header
    r"|-----BEGIN [^-]+-----.*"  # keys
    r"|(?<=://)[^/\s@]+@",  # credentials of a URL
    re.DOTALL,
)


class Log(Protocol):
    """A structured log: an event's name, and fields."""

    def debug(self, event: str, **fields: Any) -> Any:
        """What helps to find a fault."""

    def info(self, event: str, **fields: Any) -> Any:
        """What happens all the time."""

    def warning(self, event: str, **fields: Any) -> Any:
        """What somebody may want to look into."""

    def error(self, event: str, **fields: Any) -> Any:
        """What must be looked into."""


def make_log(level: str = "info", form: str = "json", stream: TextIO | None = None, hold_seconds: float = 0.0) -> Log:
    """A log that writes to a stream.

    Args:
        level: The lowest level that is written: `debug`, `info`, `warning` or `error`.
        form: `json` has one object a line; `console` is for people.
        stream: Where to; standard error by default.
        hold_seconds: How long lines below `warning` may wait for others to be written with them.
    """
    target = stream or sys.stderr
    return _Lines(HeldOutput(target, hold_seconds), _console(target) if form == "console" else _json, level)


class _Lines:
    """The lines of a log."""

    def __init__(self, output: HeldOutput, render: Render, lowest: str) -> None:
        self._output = output
        self._render = render
        self._written = frozenset(_LEVELS[_LEVELS.index(lowest) :])

    def debug(self, event: str, **fields: Any) -> None:
        if "debug" in self._written:
            self._output.debug(self._render(redact("debug", event, fields)))

    def info(self, event: str, **fields: Any) -> None:
        if "info" in self._written:
            self._output.info(self._render(redact("info", event, fields)))

    def warning(self, event: str, **fields: Any) -> None:
        if "warning" in self._written:
            self._output.warning(self._render(redact("warning", event, fields)))

    def error(self, event: str, **fields: Any) -> None:
        self._output.error(self._render(redact("error", event, fields)))


def redact(level: str, event: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Keep the fields that are on the list, and say what happened, when it was and how grave."""
    if "exc_info" in fields:
        fields.update(_fault(fields.pop("exc_info")))
    for name in _unlisted(tuple(fields)):
        del fields[name]
        fields.setdefault("withheld", []).append(name)
    for name, value in fields.items():
        kind = type(value)
        if kind is str:
            if not value.isalnum() or len(value) > _MAX_TEXT:  # no pattern fits letters and digits alone
                fields[name] = _masked(value)
        elif kind is int:
            if not -_LARGEST <= value <= _LARGEST:
                fields[name] = "masked"
        elif value is not None:
            fields[name] = _harmless(value)
    fields["event"] = _masked(event)
    fields["level"] = level
    fields["timestamp"] = _now()
    return fields


@lru_cache(maxsize=512)
def _unlisted(names: tuple[str, ...]) -> tuple[str, ...]:
    """The fields of an event that are not on the list, in order; a place in the code has always the same ones."""
    return tuple(sorted(name for name in names if name not in FIELDS))


@lru_cache(maxsize=2048)
def _masked(text: str) -> str:
    return _MASKED.sub("***", text)[:_MAX_TEXT]


def capture_libraries(log: Log) -> None:
    """Let what libraries tell by `logging` go to the log: who, where and how grave, without their text."""
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _Bridge):
            root.removeHandler(handler)
    root.addHandler(_Bridge(log))
    logging.captureWarnings(capture=True)


class _Bridge(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        write = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        write("library", source=record.name, line=record.lineno, exc_info=record.exc_info)


class _Second:
    """The text of the second that was last written."""

    number = -1
    text = ""


def _now() -> str:
    """The wall clock in UTC, to the microsecond."""
    microseconds = time.time_ns() // 1_000
    second, rest = divmod(microseconds, 1_000_000)
    if second != _Second.number:
        _Second.text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        _Second.number = second
    return f"{_Second.text}.{rest:06d}Z"


def _console(target: TextIO) -> Render:
    import structlog

    render = structlog.dev.ConsoleRenderer(colors=target.isatty(), timestamp_key="timestamp")
    return lambda event: render(None, event["level"], event)


def _json(event: dict[str, Any]) -> str:
    try:
        return orjson.dumps(event).decode()
    except TypeError:  # half a character, which UTF-8 has no bytes for
        return json.dumps(event)


def _fault(info: Any) -> dict[str, Any]:
    match info:
        case None | False | (None, None, None):
            return {}
        case BaseException():
            return _describe(type(info), info.__traceback__)
        case (kind, _, trace):
            return _describe(kind, trace)
        case _:
            kind, _, trace = sys.exc_info()
            return _describe(kind, trace) if kind else {}


def _describe(kind: type[BaseException], trace: TracebackType | None) -> dict[str, Any]:
    frames = extract_tb(trace)[-8:]
    return {
        "fault": kind.__name__,
        "places": [f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _harmless(value: Any) -> Any:
    match value:
        case None | bool() | float():
            return value
        case int():
            return value if -_LARGEST <= value <= _LARGEST else "masked"
        case str():
            return _masked(value)
        case list() | tuple():
            return [_harmless(item) for item in value[:20]]
        case _:
            return type(value).__name__
