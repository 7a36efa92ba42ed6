"""Layer of speed: what one bet costs in the adapter, measured against a fixed piece of plain Python."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from attrs import frozen

from croupier.contract import (
    Applied,
    Balance,
    Calls,
    Capability,
    Currency,
    HttpRequest,
    Money,
    MovementKind,
    MovementResult,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    Play,
    PlayResult,
    Result,
    UnsupportedOperationError,
    minor_to_decimal,
)
from croupier_conformance.certification.bench import AdapterBench
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleBrokenError, RuleNotApplicableError, Tier

BATCHES: Final = 40
"""The best of so many batches counts: other work on the machine only ever makes a batch slower."""
CALLS: Final = 25
"""Calls in one batch."""

REFERENCE_US: Final = 90.0
"""What the fixed work takes on the reference machine, in microseconds; see `_fixed_work`."""

PLAIN_US: Final = 60.0
"""The budget of parse and render for JSON and forms on the reference machine, in microseconds."""
RICH_US: Final = 180.0
"""The same for styles that need more than one step: XML, encrypted bodies."""
PROOF_US: Final = 60.0
"""What a proof may take on top of that, in microseconds."""

BETS: Final = (frozenset({Capability.BET}),)


@frozen(kw_only=True)
class Figures:
    """What was measured.

    Attributes:
        style: How the wire is written.
        took: Microseconds of one call, the best of many.
        fixed: Microseconds of the fixed work, on this machine at the same time.
        budget: Microseconds on the reference machine.
    """

    style: str
    took: float
    fixed: float
    budget: float

    @property
    def scaled(self) -> float:
        """What it would take on the reference machine."""
        return self.took * REFERENCE_US / self.fixed

    def told(self, what: str) -> str:
        """The figures in words."""
        return (
            f"{what}, {self.style}: {self.took:.1f} us here, where the fixed work takes {self.fixed:.1f} us; that is"
            f" {self.scaled:.1f} us on the reference machine, of {self.budget:.0f} us allowed"
        )


def _fixed_work() -> int:
    """A fixed amount of plain Python: dictionaries, texts, lists and integers.

    It measures the machine and the interpreter, in the same currency that adapters are written in.
    """
    total = 0
    for number in range(150):
        fields = {"id": str(number), "name": f"field-{number}", "amount": str(number * 7)}
        total += len(fields["name"]) + int(fields["amount"]) + len([name for name in fields if name in {"id", "no"}])
    return total


@ADAPTER_RULES.rule(
    "parse-and-render-are-cheap",
    layer=Layer.SPEED,
    tier=Tier.PLATINUM,
    title="Reading a bet and writing its answer is cheap",
    expects="parse and render of a bet take at most 60 microseconds together for JSON and forms, and 180 for richer "
    "styles, on the reference machine and without the proof",
    needs=BETS,
)
def parse_and_render_are_cheap(bench: AdapterBench) -> None:
    """A hub on one core answers as many bets as its adapters leave it time for.

    The rule parses a proven bet and renders its answer, many times, and takes the best; between the batches it does a
    fixed piece of plain Python, so that a slow or busy machine is no reason to fail: what counts is the ratio. The
    figures are in the report. It is usually broken by patterns compiled for each call, by settings that are looked
    through for each call, and by values that are copied field by field.
    """
    adapter, request = bench.adapter(), _bet(bench)
    verified = adapter.verify(request, bench.credentials, bench.now)
    results = _answered(adapter.parse(verified))

    def work() -> None:
        adapter.render(adapter.parse(verified), results, bench.credentials, bench.now, "nonce-1")

    _within(bench, "parse and render", work, _style(request), _budget(request))


@ADAPTER_RULES.rule(
    "whole-bet-is-cheap",
    layer=Layer.SPEED,
    tier=Tier.PLATINUM,
    title="A bet with its proof is cheap",
    expects="verify, parse and render of a bet take at most 60 microseconds more together than parse and render may",
    needs=BETS,
)
def a_whole_bet_is_cheap(bench: AdapterBench) -> None:
    """What a proof costs, a provider has decided; what it costs more than that, the adapter has.

    The rule is measured like `parse-and-render-are-cheap`, with the proof. It is usually broken by reading the body
    twice, once for the proof and once for its meaning (see `Verified.fields`), and by keys that are loaded anew for
    each request. A protocol whose proof is dear by its nature (RSA) exempts this rule and says so.
    """
    adapter, request = bench.adapter(), _bet(bench)
    results = _answered(adapter.parse(adapter.verify(request, bench.credentials, bench.now)))

    def work() -> None:
        calls = adapter.parse(adapter.verify(request, bench.credentials, bench.now))
        adapter.render(calls, results, bench.credentials, bench.now, "nonce-1")

    _within(bench, "verify, parse and render", work, _style(request), _budget(request) + PROOF_US)


def _within(bench: AdapterBench, what: str, work: Callable[[], object], style: str, budget: float) -> None:
    """Measure, keep the figures, and fail where they are over the budget."""
    figures = measured(work, style=style, budget=budget)
    bench.notebook.note("figures", figures.told(what))
    if figures.scaled > budget:
        hint = "profile it: python -m cProfile, sorted by own time; cache at construction what never changes"
        raise RuleBrokenError(figures.told(what), hint=hint)


def measured(work: Callable[[], object], *, style: str, budget: float) -> Figures:
    """Measure a piece of work and the fixed work in turns; the best batch of each counts."""
    took = fixed = float("inf")
    for _ in range(BATCHES):
        took = min(took, _once(work))
        fixed = min(fixed, _once(_fixed_work, 2))
    return Figures(style=style, took=took, fixed=fixed, budget=budget)


def _once(work: Callable[[], object], calls: int = CALLS) -> float:
    """Microseconds of one call, over a batch; while others have the processor, no time passes."""
    began = time.thread_time()
    for _ in range(calls):
        work()
    return (time.thread_time() - began) / calls * 1_000_000


def _bet(bench: AdapterBench) -> HttpRequest:
    rule = bench.subject.spec.aliases
    alias = rule.prefix + (rule.alphabet * rule.length)[: max(rule.length - len(rule.prefix), 1)]
    game = bench.subject.played_as(next(iter(bench.subject.games)))
    player = PeerPlayer(player=alias, token="token-0123456789abcdef", game=game, currency="EUR")  # noqa: S106 # nobody's
    move = PeerMove(kind=MovementKind.BET, id="0123456789abcdef0123456789abcdef", amount=minor_to_decimal(123, 2))
    play = PeerPlay(player=player, round="7000000001", moves=(move,))
    try:
        return bench.peer().request(play, bench.credentials, bench.now)
    except UnsupportedOperationError:
        raise RuleNotApplicableError("the protocol has no plain bet") from None


def _answered(calls: Calls) -> tuple[Result, ...]:
    """Success for every play, as the engine gives it."""
    euro = Currency("EUR", 2)
    results: list[Result] = []
    for call in calls.items:
        if not isinstance(call, Play):
            raise RuleNotApplicableError("the protocol's bet is no play of movements")
        outcome = Applied(transaction="0123456789abcdef0123456789abcdef", amount=Money(123, euro))
        movements = tuple(MovementResult(reference=item.reference, outcome=outcome) for item in call.movements)
        results.append(PlayResult(outcome=outcome, movements=movements, balance=Balance(Money(98_765, euro))))
    return tuple(results)


def _style(request: HttpRequest) -> str:
    body, kind = request.body.lstrip()[:1], (request.headers.get("Content-Type") or "").lower()
    if body == b"{" or (body == b"[" and "xml" not in kind):
        return "JSON"
    if "form-urlencoded" in kind or not body:
        return "form"
    return "XML" if body == b"<" else "encrypted"


def _budget(request: HttpRequest) -> float:
    return PLAIN_US if _style(request) in {"JSON", "form"} else RICH_US
