"""Layer of flows: the same errands to a provider that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from attrs import frozen

from croupier.contract import (
    Effect,
    Headers,
    HttpRequest,
    HttpResponse,
    TransportError,
    TransportProblem,
)
from croupier_conformance.certification.adapter_rules.flows import is_of_the_contract, where_it_fails
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.errands import ERRANDS, Errand, Run, declared
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, Tier

OUTBOUND: Final = (frozenset(ERRANDS),)
PLACES: Final = 3
"""Of a flow of many requests, so many of the first meet faults."""

_PAGE: Final = b"<!DOCTYPE html><html><head><title>Bad Gateway</title></head><body>try again</body></html>"
_HTML: Final = Headers((("Content-Type", "text/html"),))
_JSON: Final = Headers((("Content-Type", "application/json"),))
_ELSEWHERE: Final = Headers((("Location", "https://elsewhere.example/"),))
_HUGE: Final = b"a" * 1_000_000

BadAnswer = Callable[[HttpResponse], HttpResponse | None]
"""Makes a bad answer of the right one; `None` where the right one cannot go bad in this way."""


def _truncated(right: HttpResponse) -> HttpResponse | None:
    """Half of a JSON answer; of other texts nobody can tell that they are cut."""
    body = right.body.strip()
    return HttpResponse(right.status, right.headers, body[: len(body) // 2]) if body[:1] in b"{[" and body[2:] else None


def _is_page(right: HttpResponse) -> bool:
    """Whether a page is what is expected: then nobody can tell one page from another."""
    return right.body.lstrip()[:1] == b"<" and b"<html" in right.body[:1000].lower()


def _tells(right: HttpResponse) -> bool:
    """Whether there is more in the right answer than that it worked."""
    return right.body.strip() not in {b"", b"{}"}


FAULTS: Final[Mapping[str, BadAnswer]] = {
    "an empty 500": lambda _right: HttpResponse(500),
    "a 500 with the right body": lambda right: HttpResponse(500, right.headers, right.body),
    "a 503 with a page": lambda _right: HttpResponse(503, _HTML, _PAGE),
    "a 404 with a page": lambda _right: HttpResponse(404, _HTML, _PAGE),
    "a 401": lambda _right: HttpResponse(401, _JSON, b"{}"),
    "a redirect": lambda _right: HttpResponse(302, _ELSEWHERE, b""),
    "a page with 200": lambda right: None if _is_page(right) else HttpResponse(200, _HTML, _PAGE),
    "bytes that are no text": lambda _right: HttpResponse(200, _JSON, b"\xff\xfe\x00garbage\x80"),
    "a cut answer": _truncated,
    "JSON that is no object": lambda _right: HttpResponse(200, _JSON, b"[1,2"),
    "a number": lambda _right: HttpResponse(200, _JSON, b"17"),
    "a deep nest": lambda _right: HttpResponse(200, _JSON, b'{"a":' * 5_000 + b"1" + b"}" * 5_000),
    "a huge answer": lambda _right: HttpResponse(200, _JSON, _HUGE),
}
"""What may come back instead of the right answer."""

EMPTY: Final[Mapping[str, BadAnswer]] = {
    "an empty 200": lambda right: HttpResponse(200) if _tells(right) else None,
    "an answer to something else": lambda right: HttpResponse.json('{"a":[null]}') if _tells(right) else None,
    "an empty object": lambda right: HttpResponse.json("{}") if _tells(right) else None,
}
"""What is wrong only where the right answer tells something."""


@frozen(kw_only=True)
class _Faulty:
    """Runs of an errand in which one request met a fault."""

    errand: Errand
    what: str
    place: int
    run: Run


def _places(bench: AdapterBench) -> Iterator[tuple[Errand, int]]:
    """Every errand that comes to its end with an honest provider, and the first of its requests by number."""
    for errand in declared(bench):
        honest = errand.run(errand.prepared(bench))
        if honest.error is None:
            yield from ((errand, place) for place in range(min(len(honest.requests), PLACES)))


def _with_bad_answers(bench: AdapterBench) -> Iterator[_Faulty]:
    for errand, place in _places(bench):
        for what, bad in {**FAULTS, **EMPTY}.items():
            run = _answered(bench, errand, place, bad)
            if run is not None:
                yield _Faulty(errand=errand, what=what, place=place, run=run)


def _answered(bench: AdapterBench, errand: Errand, place: int, bad: BadAnswer) -> Run | None:
    """A run whose request in one place, and its repeats, get a bad answer; `None` where there is none."""
    world = errand.prepared(bench)
    asked: list[HttpRequest] = []
    struck = False

    def answer(request: HttpRequest) -> HttpResponse:
        nonlocal struck
        asked.append(request)
        right = world.serve(request)
        if len(asked) <= place:
            return right
        wrong = bad(right)
        struck = struck or wrong is not None
        return right if wrong is None else wrong

    run = errand.run(world, answer)
    return run if struck else None


def _with_silence(bench: AdapterBench) -> Iterator[_Faulty]:
    for errand, place in _places(bench):
        for problem in TransportProblem:
            run = _unanswered(bench, errand, place, problem)
            yield _Faulty(errand=errand, what=problem.value, place=place, run=run)


def _unanswered(bench: AdapterBench, errand: Errand, place: int, problem: TransportProblem) -> Run:
    world = errand.prepared(bench)
    asked = 0

    def answer(request: HttpRequest) -> HttpResponse:
        nonlocal asked
        asked += 1
        if asked <= place:
            return world.serve(request)
        if problem is TransportProblem.NO_ANSWER:
            world.serve(request)
        raise TransportError("no answer", problem=problem)

    return errand.run(world, answer)


@ADAPTER_RULES.rule(
    "flow-bad-answers",
    layer=Layer.FLOWS,
    tier=Tier.GOLD,
    title="An answer that cannot be used is an error of the contract",
    expects="ProviderRefusedError, UpstreamError or another RetryLaterError, and never a value, for failures, pages, "
    "redirects, cut, empty, deep, huge and senseless answers",
    needs=OUTBOUND,
)
def answers_that_cannot_be_used(bench: AdapterBench) -> None:
    """Providers answer with their load balancer's page, a cut body or another method's answer, with 200 now and then.

    The rule runs every declared flow and puts each of these in the place of each right answer. Whatever else a flow
    raises is a fault of the hub in the eyes of the operator; whatever it returns is believed. It is usually broken by
    `answer["url"]` where the field may be missing, by a status that is not looked at, and by a flow that takes any
    text for a log without rows.
    """
    for found in _with_bad_answers(bench):
        if found.run.error is None:
            raise where_it_fails(
                found.errand, found.run, f"request {found.place + 1} answered by {found.what}: believed"
            )
        if not is_of_the_contract(found.run.error):
            kind = type(found.run.error).__name__
            raise where_it_fails(found.errand, found.run, f"request {found.place + 1} answered by {found.what}: {kind}")


@ADAPTER_RULES.rule(
    "flow-no-answer",
    layer=Layer.FLOWS,
    tier=Tier.GOLD,
    title="A provider that does not answer is an error of the contract",
    expects="TransportError or another RetryLaterError, whether the request was sent or not, and never a value",
    needs=OUTBOUND,
)
def no_answer(bench: AdapterBench) -> None:
    """Time-outs come before the request is sent and after it took effect; the flow cannot know which.

    The rule throws a `TransportError` of both kinds into every declared flow, at each of its requests. It is usually
    broken by a flow that catches it and returns something empty: an operator then believes that there are no games.
    """
    for found in _with_silence(bench):
        if found.run.error is None or not is_of_the_contract(found.run.error):
            ended = "a value" if found.run.error is None else type(found.run.error).__name__
            raise where_it_fails(found.errand, found.run, f"request {found.place + 1} without answer: {ended}")


@ADAPTER_RULES.rule(
    "once-is-once",
    layer=Layer.FLOWS,
    tier=Tier.GOLD,
    title="What might act twice is sent once",
    expects="after any failure no flow sends a second request of `Effect.ONCE` to the same address",
    needs=OUTBOUND,
)
def once_is_once(bench: AdapterBench) -> None:
    """The hub never repeats `Effect.ONCE`; a flow that repeats by itself goes behind its back.

    The rule runs every declared flow with every fault of `flow-bad-answers` and `flow-no-answer`, and counts. It is
    usually broken by a helper that tries again. Leave that to the hub, and declare what may be repeated as
    `Effect.IDEMPOTENT` or `Effect.READ`.
    """
    for runs in (_with_bad_answers(bench), _with_silence(bench)):
        for found in runs:
            once = [
                (request.method, request.url.partition("?")[0])
                for request in found.run.requests[found.place :]
                if request.effect is Effect.ONCE
            ]
            if len(set(once)) != len(once):
                raise where_it_fails(found.errand, found.run, f"{found.what}: sent again though it may act twice")
