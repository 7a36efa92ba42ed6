"""Layer of properties: what nobody should send is refused, in words of the contract and in bounded time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from attrs import evolve, frozen
from hypothesis import strategies as st

from croupier.contract import Adapter, Calls, CroupierError, HttpRequest, HttpResponse, Verified
from croupier_conformance.certification.bench import AdapterBench, shown
from croupier_conformance.certification.documents import Kind, doubled, kind_of, odd_bodies, odd_fields, oversized
from croupier_conformance.certification.drawing import for_every
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleBrokenError, RuleNotApplicableError, Tier
from croupier_conformance.certification.sayings import sayings
from croupier_conformance.strategies import strange_bodies, tampered

WHOLE: Final = 50
"""From so many examples on a rule looks at every variant of a request; below, at one of each operation."""

SECONDS: Final = 2.0
"""The longest that one message may take to be refused: some hundred times what it takes on a slow machine."""


@frozen(kw_only=True)
class Arrival:
    """A genuine request whose origin was proven, and the same after something was changed.

    Attributes:
        what: What was changed.
        verified: As `parse` gets it: rules about parsing look behind the proof.
    """

    what: str
    verified: Verified


def arrivals(bench: AdapterBench, adapter: Adapter) -> tuple[Verified, ...]:
    """Every kind of request, proven; in a slice one of each operation."""
    peer = bench.peer()
    requests = [peer.request(saying.action, bench.credentials, bench.now) for saying in sayings(bench, peer)]
    proven = [adapter.verify(request, bench.credentials, bench.now) for request in requests]
    if bench.examples >= WHOLE:
        return tuple(proven)
    return tuple({adapter.parse(one).items[0].operation: one for one in proven}.values())


def odd_arrivals(genuine: Verified) -> Iterator[Arrival]:
    """The request with one odd value after the other, as if the provider itself had signed that."""
    if genuine.fields:
        for what, fields in odd_fields(genuine.fields):
            yield Arrival(what=what, verified=evolve(genuine, fields=fields))
        return
    for what, body in odd_bodies(genuine.request.body):
        yield Arrival(what=what, verified=Verified(evolve(genuine.request, body=body)))


def parsed(adapter: Adapter, verified: Verified) -> Calls | CroupierError:
    """What a proven request asks for, or why it is refused.

    Raises:
        RuleBrokenError: It raised what is no error of the contract.
    """
    try:
        calls = adapter.parse(verified)
    except CroupierError as error:
        return error
    except Exception as error:
        raise _strange("parse", verified.request, error, verified.fields) from error
    if not isinstance(calls, Calls):
        raise RuleBrokenError("parse returned no Calls", sent=shown(verified.request), came_back=repr(calls))
    return calls


@ADAPTER_RULES.rule(
    "noise-gives-contract-errors",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="Whatever arrives, only errors of the contract come out",
    expects="verify, parse, render_error, redact and redact_verified raise nothing but CroupierError for any bytes",
)
def noise_gives_contract_errors(bench: AdapterBench) -> None:
    """An unforeseen exception is answered by the hub with 500: the provider repeats it forever, or cancels.

    The rule sends drawn bytes, genuine requests that were tampered with, and (behind the proof, as if the provider had
    signed them) genuine messages with one odd value after the other: no text, no number, huge, negative, null, a list.
    It is usually broken by `int(...)`, `Decimal(...)`, `fields["name"]` or `.decode()` on what came from outside;
    `Fields`, `WireAmount.of` and `read_json_object` raise the contract's errors by themselves.
    """
    adapter = bench.adapter()
    genuine = arrivals(bench, adapter)
    for one in genuine:
        for place, arrival in enumerate(odd_arrivals(one)):
            told = parsed(adapter, arrival.verified)
            if place % 97 == 0:
                bench.notebook.note(arrival.what, arrival.verified.request, str(told))
    requests = [one.request for one in genuine]
    noise = st.sampled_from(requests).flatmap(
        lambda request: st.one_of(tampered(request), strange_bodies().map(lambda body: evolve(request, body=body)))
    )
    for_every(bench, noise, lambda request: _survives(bench, adapter, request))
    for request in requests:
        for url in (request.url + "?a=%ff&b", request.url + "/x", "/%00", "//", "/?" + "a" * 5000):
            _survives(bench, adapter, evolve(request, url=url))


@ADAPTER_RULES.rule(
    "size-is-bounded",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="What is too deep, too long or too large is refused at once",
    expects=f"messages nested 100 000 deep, numbers of 100 000 digits and bombs are refused within {SECONDS:.0f} s",
)
def size_is_bounded(bench: AdapterBench) -> None:
    """One message must not stop a process that carries thousands of bets.

    The rule hands over messages nested a hundred thousand times, numbers with as many digits, exponents of twelve
    digits, forms with as many fields, and XML with entities in entities; each must end in an error of the contract. A
    busy machine is no reason to fail: what counts is the processor's time. The rule is usually broken by a reader that
    recurses (`json.loads`, `yaml.load`), by `int` of a long text, or by a `Decimal` whose exponent is written out.
    """
    adapter = bench.adapter()
    proven = arrivals(bench, adapter)
    for one in proven if bench.examples >= WHOLE else proven[-3:]:
        for what, body in oversized(one.request.body):
            request = evolve(one.request, body=body)
            began = time.thread_time()
            _survives(bench, adapter, request)
            told: object = None if one.fields else parsed(adapter, Verified(request))
            took = time.thread_time() - began
            if took > SECONDS:
                raise RuleBrokenError(f"{what} took {took:.1f} s", sent=shown(request), came_back=f"{took:.3f} s")
            if isinstance(told, Calls):
                raise RuleBrokenError(f"{what} was taken for a request", sent=shown(request), came_back=str(told)[:400])


@ADAPTER_RULES.rule(
    "repeated-keys-are-refused",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="A key that stands twice is refused",
    expects="a JSON key, form field or XML attribute that stands twice is an error, whatever its values",
)
def repeated_keys_are_refused(bench: AdapterBench) -> None:
    """Two readers of one message may each take another of two values: one of them proves it, the other pays.

    The rule lets each key stand twice, in front and behind, with the same and with another value. It is usually broken
    by `json.loads` and `parse_qsl` into a dict, which keep the last; `read_json_object` and `read_form` refuse.
    """
    adapter = bench.adapter()
    tried = 0
    for one in arrivals(bench, adapter):
        if kind_of(one.request.body) is Kind.OTHER:
            continue
        for what, body in doubled(one.request.body):
            tried += 1
            request = evolve(one.request, body=body)
            told = _doubled(bench, adapter, request) if one.fields else parsed(adapter, Verified(request))
            if isinstance(told, Calls):
                raise RuleBrokenError(f"{what}: it was accepted", sent=shown(request), came_back=str(told)[:600])
    if not tried:
        raise RuleNotApplicableError("no message has keys that could stand twice")


def _doubled(bench: AdapterBench, adapter: Adapter, request: HttpRequest) -> Calls | CroupierError:
    try:
        verified = adapter.verify(request, bench.credentials, bench.now)
    except CroupierError as error:
        return error
    return parsed(adapter, verified)


def _survives(bench: AdapterBench, adapter: Adapter, request: HttpRequest) -> None:
    problem: CroupierError = CroupierError("made for a rule")
    try:
        verified = adapter.verify(request, bench.credentials, bench.now)
    except CroupierError as error:
        problem = error
    except Exception as error:
        raise _strange("verify", request, error) from error
    else:
        if isinstance(told := parsed(adapter, verified), CroupierError):
            problem = told
        try:
            adapter.redact_verified(verified)
        except Exception as error:
            raise _strange("redact_verified", request, error) from error
    try:
        answered = adapter.render_error(request, problem)
    except Exception as error:
        raise _strange("render_error", request, error) from error
    if not isinstance(answered, HttpResponse):
        raise RuleBrokenError("render_error returned no HttpResponse", sent=shown(request), came_back=repr(answered))
    try:
        adapter.redact(request)
    except Exception as error:
        raise _strange("redact", request, error) from error


def _strange(where: str, request: HttpRequest, error: Exception, fields: Any = None) -> RuleBrokenError:
    sent = shown(request) + (f"\n\ndecoded: {fields}" if fields else "")
    return RuleBrokenError(
        f"{where} raised {type(error).__name__}, which is no error of the contract",
        sent=sent[:4000],
        came_back=f"{type(error).__name__}: {error}"[:1000],
        hint="read with Fields, WireAmount.of, read_json_object and read_form",
    )
