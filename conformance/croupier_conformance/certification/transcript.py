"""Golden conversations: files beside the certification file that say, byte for byte, what was asked and answered.

A file is one conversation, in TOML, in the direction of its first message.

```toml
title = "A bet and its win in one play"
source = "reference/protocols/softswiss.md, Auth (EXACT)"   # whose document it is taken from
published = true                     # it stands in the source; else it was recorded, and reviewed beside it
direction = "inbound"                # the provider asks
at = 2026-01-01T12:00:00Z            # the time that verify and render are handed
secrets = { auth_token = "test" }    # where they differ from the certification file's
settings = { }                       # the same

[request]                            # what arrives
method = "POST"
url = "/play"
headers = [["X-REQUEST-SIGN", "5b6d..."]]
body = '{"user_id":"421"}'           # or body_base64

[understood]                         # what parse makes of it; or verified and error
verified = true                      # whether the proof holds
error = "malformed"                  # the code of the error that is raised, if one is

[[understood.calls]]                 # the calls, as they are in croupier.contract, without what is by default
is = "Play"

[[results]]                          # what the hub says came of each call
is = "PlayResult"

[answer]                             # the bytes that go back: render, or render_error
status = 200
body = '{"balance":100}'
```

`direction = "outbound"`: the hub asks. `[ask]` names the adapter's `flow` and its arguments, `[[exchanges]]` have
each a `request` and the `reply` that was given, and then there is `value`, what the flow returned, or `error`.
"""

from __future__ import annotations

import base64
import binascii
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum, unique
from typing import Any, Final, get_args, get_type_hints

from attrs import field, frozen

from croupier.contract import (
    Adapter,
    Call,
    Calls,
    Effect,
    Headers,
    HttpRequest,
    HttpResponse,
    Result,
    SettingsError,
)
from croupier_conformance.certification.bench import NOW
from croupier_conformance.certification.plain_toml import write_toml
from croupier_conformance.certification.plain_values import decode, encode
from croupier_conformance.certification.subject import AdapterSubject

NONCE: Final = "nonce-1"
"""The nonce of every transcript."""

_GIVEN: Final = frozenset({"self", "credentials", "now", "nonce", "return"})


@unique
class Direction(Enum):
    """Who asks first."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


@frozen(kw_only=True)
class Transcript:
    """One conversation as it is stored. Values stand as the file has them: see `plain_values`.

    Attributes:
        name: The file's, without its ending.
        title: What it is about.
        source: Where it is taken from.
        direction: Who asks first.
        published: Whether the request stands in the source, and was not made by the adapter or its peer.
        at: The time.
        secrets: What differs from the certification file's secrets.
        settings: What differs from its settings.
        story: All else: what was asked, understood, and answered.
    """

    name: str
    title: str
    source: str
    direction: Direction
    story: Mapping[str, Any]
    published: bool = False
    at: datetime = NOW
    secrets: Mapping[str, str] = field(factory=dict)
    settings: Mapping[str, Any] = field(factory=dict)

    def text(self) -> str:
        """As it stands in its file."""
        head = {
            "title": self.title,
            "source": self.source,
            "published": self.published or None,
            "direction": self.direction.value,
            "at": self.at,
            "secrets": dict(self.secrets) or None,
            "settings": dict(self.settings) or None,
        }
        return write_toml({**head, **self.story})


def read_transcripts(subject: AdapterSubject) -> Iterator[Transcript]:
    """Every transcript of a subject, by name.

    Raises:
        SettingsError: A file is no transcript; `where` is the file.
    """
    folder = subject.transcripts
    if folder is None or not folder.is_dir():
        return
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".toml"):
            yield read_transcript(file.name.removesuffix(".toml"), file.read_text(encoding="utf-8"))


def read_transcript(name: str, text: str) -> Transcript:
    """A transcript of its text.

    Raises:
        SettingsError: It is none.
    """
    try:
        told = tomllib.loads(text)
        at = told.pop("at", NOW)
        return Transcript(
            name=name,
            title=str(told.pop("title")),
            source=str(told.pop("source")),
            direction=Direction(told.pop("direction")),
            published=bool(told.pop("published", False)),
            at=at.astimezone(UTC),
            secrets=told.pop("secrets", {}),
            settings=told.pop("settings", {}),
            story=told,
        )
    except (tomllib.TOMLDecodeError, KeyError, ValueError, AttributeError) as error:
        raise SettingsError(f"it is no transcript: {type(error).__name__}: {error}", where=f"{name}.toml") from None


def calls_table(calls: Calls) -> dict[str, Any]:
    """Calls, and what their answer echoes, as a table."""
    told: dict[str, Any] = {"calls": [encode(call, Call) for call in calls.items]}
    return told | ({"echo": dict(calls.echo)} if calls.echo else {})


def results_table(results: Iterable[Result]) -> list[Any]:
    """Results as a list of tables."""
    return [encode(result, Result) for result in results]


def read_results(told: Iterable[Any]) -> tuple[Result, ...]:
    """Results of their tables.

    Raises:
        SettingsError: They are none.
    """
    return tuple([decode(one, Result, f"results[{place}]") for place, one in enumerate(told)])


def arguments_of(flow: str) -> Mapping[str, Any]:
    """What the hub decides of a flow's arguments: name to type.

    Raises:
        SettingsError: The contract has no such flow.
    """
    method = getattr(Adapter, flow, None)
    if method is None:
        raise SettingsError("there is no such flow", where=f"ask.flow: {flow}")
    return {name: kind for name, kind in get_type_hints(method).items() if name not in _GIVEN}


def value_of(flow: str) -> Any:
    """The type that a flow returns."""
    return get_args(get_type_hints(getattr(Adapter, flow))["return"])[-1]


def request_table(request: HttpRequest) -> dict[str, Any]:
    """A request as a table; its effect only where it is the hub's own."""
    head: dict[str, Any] = {"method": request.method, "url": request.url}
    if request.effect is not Effect.ONCE:
        head["effect"] = request.effect.value
    return head | _message(request.headers, request.body)


def response_table(response: HttpResponse) -> dict[str, Any]:
    """A response as a table."""
    return {"status": response.status} | _message(response.headers, response.body)


def read_request(told: Mapping[str, Any]) -> HttpRequest:
    """A request of its table."""
    effect = Effect(told.get("effect", Effect.ONCE.value))
    return HttpRequest(told["method"], told["url"], _headers(told), _body(told), effect)


def read_response(told: Mapping[str, Any]) -> HttpResponse:
    """A response of its table."""
    return HttpResponse(told["status"], _headers(told), _body(told))


def _message(headers: Headers, body: bytes) -> dict[str, Any]:
    told: dict[str, Any] = {"headers": [list(item) for item in headers]}
    if not body:
        return told
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return told | {"body_base64": base64.b64encode(body).decode("ascii")}
    # TOML readers turn line ends of two characters into one.
    return told | ({"body": text} if "\r" not in text else {"body_base64": base64.b64encode(body).decode("ascii")})


def _headers(told: Mapping[str, Any]) -> Headers:
    return Headers(tuple([(name, value) for name, value in told.get("headers", ())]))


def _body(told: Mapping[str, Any]) -> bytes:
    if "body_base64" in told:
        try:
            return base64.b64decode(told["body_base64"], validate=True)
        except binascii.Error:
            raise SettingsError("it is no base64", where="body_base64") from None
    return str(told.get("body", "")).encode()
