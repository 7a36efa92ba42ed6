"""The trace of a request: W3C Trace Context, continued from the caller or started here."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from croupier.contract import Headers
from croupier.wallet.ports import Ids

_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MAX_TRACESTATE: Final = 512


@frozen(kw_only=True)
class TraceContext:
    """Where a piece of work belongs, across systems.

    Attributes:
        trace: The trace id, 32 hex digits: it ties every message of one request together.
        span: The id of the hub's own part, 16 hex digits.
        parent: The caller's part, where it told one.
        flags: The two hex digits of the trace flags (`01`: the caller records it).
        state: The `tracestate` field as received, at most 512 characters, or empty.
    """

    trace: str
    span: str
    parent: str | None = None
    flags: str = "00"
    state: str = ""

    @property
    def traceparent(self) -> str:
        """The header value for what the hub calls in its turn."""
        return f"00-{self.trace}-{self.span}-{self.flags}"


def continue_trace(headers: Headers, ids: Ids) -> TraceContext:
    """Continue the caller's trace, or start one where the caller told none that is valid.

    As W3C Trace Context (sections 3.2 and 3.3) says: version `ff`, ids of zeros only, a repeated field and, in
    version `00`, anything behind the flags make the field invalid; then `tracestate` is dropped too.
    """
    span = ids.nonce()[:16]
    told = _told(headers)
    if told is None:
        return TraceContext(trace=_new_trace(ids), span=span)
    trace, parent, flags = told
    state = ",".join(value.strip() for value in headers.all("tracestate"))
    return TraceContext(
        trace=trace, span=span, parent=parent, flags=flags, state=state if len(state) <= _MAX_TRACESTATE else ""
    )


def trace_of(headers: Headers, ids: Ids) -> str:
    """The id of the caller's trace, or a new one: for work that tells nobody else of its own part."""
    told = _told(headers)
    return told[0] if told else _new_trace(ids)


def _new_trace(ids: Ids) -> str:
    return ids.new_id().replace("-", "")


def _told(headers: Headers) -> tuple[str, str, str] | None:
    """Trace, parent and flags as the caller told them, if they are valid."""
    given = headers.all("traceparent")
    found = _TRACEPARENT.fullmatch(given[0].strip()) if len(given) == 1 else None
    if found is None:
        return None
    version, trace, parent, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest) or not trace.strip("0") or not parent.strip("0"):
        return None
    return trace, parent, flags
