"""Structured logs: one event a line, and only fields that are known to be harmless.

A field is written if its name is on the list below, else its name alone is (in `withheld`): what a log must not hold
cannot get in by a new line of code. Texts of exceptions are never written, because nobody knows what they hold; the
type and the places in the code are.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import PurePath
from traceback import extract_tb
from types import TracebackType
from typing import Any, Final, Protocol, TextIO

from croupier.wallet.ports import Clock

FIELDS: Final = frozenset(
    "event level timestamp"
    " trace span delivery movement round exchange position epoch"  # the hub's own random ids and counters
    " operator connection adapter dialect operation kind api route method verdict outcome reason status code problem"
    " caller"  # the id of a key, never the key
    " request_bytes response_bytes duration_us wallet_us"
    " attempt attempts age_ms wait_ms due_in_ms left count owed held late size limit"
    " fault places source line slot pid"
    " owner version distribution package slug state host port database format listener tier".split()
)
"""Every field that may be written. Not on it, on purpose: players, sessions, tokens, addresses, bodies, headers."""

_MAX_TEXT: Final = 300
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


def make_log(level: str = "info", form: str = "json", stream: TextIO | None = None) -> Log:
    """A log that writes to a stream.

    Args:
        level: The lowest level that is written: `debug`, `info`, `warning` or `error`.
        form: `json` has one object a line; `console` is for people.
        stream: Where to; standard error by default.
    """
    import structlog

    target = stream or sys.stderr
    render: Any
    if form == "console":
        render = structlog.dev.ConsoleRenderer(colors=target.isatty(), timestamp_key="timestamp")
    else:
        render = _json
    log: Log = structlog.wrap_logger(
        structlog.WriteLogger(target),
        processors=[structlog.processors.add_log_level, _stamp, redact, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return log


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Keep the fields that are on the list; a processor for structlog."""
    fault = _fault(event.pop("exc_info", None))
    kept = {name: _harmless(value) for name, value in {**event, **fault}.items() if name in FIELDS}
    withheld = sorted(str(name) for name in event if name not in FIELDS)
    return {**kept, "withheld": withheld} if withheld else kept


@contextmanager
def one_line(log: Log, clock: Clock, event: str, **fields: Any) -> Iterator[dict[str, Any]]:
    """Write one line when the block ends, with its duration, however it ends.

    Example:
        ```python
        with one_line(log, clock, "feed_read", connection="acme") as line:
            line["count"] = len(await read())
        ```
    """
    started = clock.monotonic()
    line = dict(fields)
    try:
        yield line
    except BaseException as error:
        line["fault"] = type(error).__name__
        raise
    finally:
        line["duration_us"] = round((clock.monotonic() - started) * 1_000_000)
        (log.warning if "fault" in line else log.info)(event, **line)


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


def _stamp(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["timestamp"] = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return event


def _json(_logger: object, _method: str, event: Mapping[str, Any]) -> str:
    import orjson

    return orjson.dumps(dict(event)).decode()


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
            return value if abs(value) < 2**63 else "masked"
        case str():
            return _MASKED.sub("***", value)[:_MAX_TEXT]
        case list() | tuple():
            return [_harmless(item) for item in value[:20]]
        case _:
            return type(value).__name__
