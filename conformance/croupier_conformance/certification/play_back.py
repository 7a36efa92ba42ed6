"""Plays a transcript: what an adapter makes of it now, in the same shape as the file has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from croupier.contract import (
    Adapter,
    Calls,
    Credentials,
    CroupierError,
    HttpRequest,
    HttpResponse,
    ProviderRefusedError,
    Result,
)
from croupier.registry import structure
from croupier_conformance.certification.plain_values import decode, encode
from croupier_conformance.certification.subject import AdapterSubject
from croupier_conformance.certification.transcript import (
    NONCE,
    Direction,
    Transcript,
    arguments_of,
    calls_table,
    read_request,
    read_response,
    read_results,
    request_table,
    response_table,
    results_table,
    value_of,
)

Resulting = Callable[[Calls], Sequence[Result]]
"""What the hub says came of calls."""


@frozen(kw_only=True)
class Player:
    """An adapter with what a transcript hands it.

    Attributes:
        adapter: With the transcript's settings.
        credentials: The transcript's secrets.
        transcript: The transcript: its time counts.
    """

    adapter: Adapter
    credentials: Credentials
    transcript: Transcript

    @classmethod
    def of(cls, subject: AdapterSubject, transcript: Transcript) -> Player:
        """A player for a transcript.

        Raises:
            SettingsError: Its settings are none of this adapter's.
        """
        settings = subject.settings
        if transcript.settings:
            raw = {**subject.settings_raw, **transcript.settings}
            settings = structure(raw, subject.spec.settings, where="settings")
        secrets = {**subject.secrets, **transcript.secrets}
        credentials = Credentials({name: (value,) for name, value in secrets.items()})
        return cls(adapter=subject.spec.create(settings), credentials=credentials, transcript=transcript)

    def again(self) -> Mapping[str, Any]:
        """The story as it would be written now, from the same request, results and replies.

        Raises:
            SettingsError: The file's values are none of the contract's.
        """
        story = self.transcript.story
        if self.transcript.direction is Direction.INBOUND:
            results = read_results(story.get("results", ()))
            return self.inbound(read_request(story["request"]), lambda _calls: results)
        ask = story["ask"]
        replies = iter([read_response(one["reply"]) for one in story.get("exchanges", ())])
        kinds = arguments_of(ask["flow"])
        arguments = {name: decode(ask[name], kinds[name], f"ask.{name}") for name in kinds if name in ask}
        return self.outbound(ask["flow"], arguments, lambda _request: next(replies))

    def inbound(self, request: HttpRequest, resulting: Resulting) -> dict[str, Any]:
        """What becomes of a request, as a story."""
        now, told = self.transcript.at, {"request": request_table(request)}
        understood: dict[str, Any] = {"verified": False}
        try:
            verified = self.adapter.verify(request, self.credentials, now)
            understood = {"verified": True}
            calls = self.adapter.parse(verified)
        except CroupierError as error:
            answer = self.adapter.render_error(request, error)
            return told | {"understood": understood | {"error": error.code}, "answer": response_table(answer)}
        results = tuple(resulting(calls))
        if len(results) != len(calls.items):
            return told | {"understood": understood | calls_table(calls)}  # another story than the file's
        answer = self.adapter.render(calls, results, self.credentials, now, NONCE)
        return told | {
            "understood": understood | calls_table(calls),
            "results": results_table(results),
            "answer": response_table(answer),
        }

    def outbound(
        self, flow: str, arguments: Mapping[str, Any], answer: Callable[[HttpRequest], HttpResponse]
    ) -> dict[str, Any]:
        """How the hub's call goes, as a story."""
        kinds = arguments_of(flow)
        told: dict[str, Any] = {"ask": {"flow": flow} | {name: encode(arguments[name], kinds[name]) for name in kinds}}
        exchanges: list[Mapping[str, Any]] = []
        more = {"nonce": NONCE} if flow in {"launch", "issue_free_rounds"} else {}
        going = getattr(self.adapter, flow)(**arguments, credentials=self.credentials, now=self.transcript.at, **more)
        outcome: dict[str, Any] = {}
        try:
            request = next(going)
            while True:
                reply = answer(request)
                exchanges.append({"request": request_table(request), "reply": response_table(reply)})
                request = going.send(reply)
        except StopIteration as end:
            outcome = {"value": encode(end.value, value_of(flow))}
        except CroupierError as error:
            outcome = {"error": error.code}
            if isinstance(error, ProviderRefusedError):
                outcome["provider_code"] = error.provider_code
        return told | {"exchanges": exchanges} | {name: one for name, one in outcome.items() if one is not None}


def differences(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Where two stories differ, as lines."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        lines = []
        for name in dict.fromkeys([*wanted, *found]):
            lines += differences(wanted.get(name), found.get(name), f"{path}.{name}" if path else str(name))
        return lines
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [
            line
            for place, pair in enumerate(zip(wanted, found, strict=True))
            for line in differences(*pair, f"{path}[{place}]")
        ]
    return [] if wanted == found else [f"{path}: {wanted!r} is wanted, {found!r} came"]
