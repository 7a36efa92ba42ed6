"""Layer of properties: every outcome has an answer, and the provider takes it for what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final

from attrs import evolve, frozen
from hypothesis import strategies as st

from croupier.contract import (
    Adapter,
    Applied,
    AppliedEffect,
    Balance,
    Call,
    CloseRound,
    CroupierError,
    Currencies,
    Declined,
    DeclineReason,
    HttpRequest,
    HttpResponse,
    MovementKind,
    Notice,
    Outcome,
    Peer,
    PeerAnswer,
    Play,
    ProviderRefusedError,
    RateLimitedError,
    Result,
    RetryClass,
    RetryLaterError,
    TransportError,
    TransportProblem,
    Unknown,
    UnknownCause,
    Verdict,
    minor_to_decimal,
)
from croupier_conformance.certification.bench import AdapterBench, shown
from croupier_conformance.certification.drawing import for_every
from croupier_conformance.certification.results import NONCE, TRANSACTION, balance, result_of, results_of
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleBrokenError, Tier
from croupier_conformance.certification.sayings import Said, all_heard

_CURRENCIES: Final = Currencies()
_SCALES: Final = ("JPY", "EUR", "KWD", "MBTC", "USDT", "BTC")


@frozen(kw_only=True)
class Rendered:
    """An answer, and what the provider makes of it.

    Attributes:
        said: What was asked.
        results: What came of it.
        response: The answer.
        answer: How the provider reads it.
    """

    said: Said
    results: tuple[Result, ...]
    response: HttpResponse
    answer: PeerAnswer

    def broken(self, message: str, hint: str = "") -> RuleBrokenError:
        """The rule's failure that this answer is."""
        sent = f"{self.said.saying.name}: {shown(self.said.request)}\n\nresults: {list(self.results)}"
        came_back = f"{shown(self.response)}\n\nread as {self.answer.verdict.value}, code {self.answer.code}"
        return RuleBrokenError(message, sent=sent, came_back=came_back, hint=hint)


def _rendered(bench: AdapterBench, adapter: Adapter, peer: Peer, said: Said, results: Sequence[Result]) -> Rendered:
    kept = tuple(results)
    try:
        response = adapter.render(said.calls, kept, bench.credentials, bench.now, NONCE)
        answer = peer.answer(said.saying.action, response)
    except Exception as error:
        raise RuleBrokenError(
            f"{type(error).__name__} instead of an answer: {error}",
            sent=f"{said.saying.name}, results: {list(kept)}",
            came_back=type(error).__name__,
            hint="render is total over outcomes.py: match with assert_never",
        ) from error
    if not isinstance(response, HttpResponse):
        raise RuleBrokenError("what was rendered is no HttpResponse", sent=str(kept), came_back=repr(response))
    return Rendered(said=said, results=kept, response=response, answer=answer)


def _positions(said: Said) -> range:
    call = said.calls.items[0]
    return range(len(call.movements) if isinstance(call, Play) else 1)


def _every(bench: AdapterBench, outcomes: Sequence[Outcome], balances: Sequence[Balance | None]) -> Iterator[Rendered]:
    """Every saying with every outcome, at every place of a batch."""
    adapter, peer = bench.adapter(), bench.peer()
    for said in all_heard(bench):
        for outcome in outcomes:
            for told in balances:
                for at in _positions(said):
                    yield _rendered(bench, adapter, peer, said, results_of(said, outcome, told, at=at))


def _applied_outcomes() -> list[Outcome]:
    return [Applied(effect=effect, transaction=TRANSACTION) for effect in AppliedEffect]


def _declined_outcomes() -> list[Outcome]:
    return [Declined(reason=reason) for reason in DeclineReason]


def _unknown_outcomes() -> list[Outcome]:
    return [Unknown(cause=cause) for cause in UnknownCause]


@ADAPTER_RULES.rule(
    "render-is-total",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="Every outcome of every call has an answer",
    expects="render returns a response for each DeclineReason, Unknown cause and effect, with and without a balance",
)
def every_outcome_has_an_answer(bench: AdapterBench) -> None:
    """An outcome without an answer becomes a connection that breaks, and a bet of which nobody knows anything.

    The rule renders all outcomes of all calls, with and without balance, message and transaction, at every place of a
    batch. It is usually broken by a table of decline reasons in which a new one is missing, and by a balance that is
    taken to be there. `by_reason` and `match` with `assert_never` hold such tables whole.
    """
    outcomes = [
        *_applied_outcomes(),
        Applied(),
        *_declined_outcomes(),
        Declined(reason=DeclineReason.OTHER, message='a "word"\n\u20ac', transaction=TRANSACTION),
        *_unknown_outcomes(),
    ]
    for rendered in _every(bench, outcomes, (balance(), None)):
        bench.notebook.note(rendered.said.saying.name, str(rendered.results[0].outcome), rendered.response)


@ADAPTER_RULES.rule(
    "render-is-deterministic",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="The same outcome has the same answer",
    expects="render returns equal bytes for equal arguments, again and by a new adapter",
)
def the_same_outcome_has_the_same_answer(bench: AdapterBench) -> None:
    """A replay that answers otherwise is no evidence of what was answered, and a random id is a second truth.

    The rule renders each outcome three times: twice with one adapter, once with a new one. What changes from answer to
    answer comes in as `now` and `nonce`. It is usually broken by a counter, a set that is iterated, or an own clock.
    """
    outcomes = [*_applied_outcomes(), *_declined_outcomes()[:3], *_unknown_outcomes()[:2]]
    adapter, peer = bench.adapter(), bench.peer()
    for rendered in _every(bench, outcomes, (balance(),)):
        again = _rendered(bench, adapter, peer, rendered.said, rendered.results)
        twice = _rendered(bench, adapter, peer, rendered.said, rendered.results)
        if not rendered.response == again.response == twice.response:
            raise RuleBrokenError(
                "equal arguments gave two answers",
                sent=f"{rendered.said.saying.name}: {list(rendered.results)}",
                came_back=f"{shown(rendered.response)}\n\n{shown(again.response)}\n\n{shown(twice.response)}",
            )


@ADAPTER_RULES.rule(
    "applied-is-done",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="What took effect is told as done",
    expects="the provider reads Applied with a balance as DONE, with the hub's transaction id",
)
def what_took_effect_is_told_as_done(bench: AdapterBench) -> None:
    """A success that the provider does not take for one is cancelled or sent again.

    The rule renders `Applied` with each effect and a balance, and lets the peer read it. It is usually broken by a
    field that the provider needs and the answer lacks for one operation, or by a repeat that is answered with an error.
    """
    for rendered in _every(bench, _applied_outcomes(), (balance(),)):
        if rendered.answer.verdict is not Verdict.DONE:
            raise rendered.broken("a success was not taken for one")
        told = rendered.answer.transaction
        if isinstance(rendered.said.calls.items[0], Play) and told is not None and not told.startswith(TRANSACTION):
            raise rendered.broken(f"the answer names the transaction {told!r}, not the hub's")


@ADAPTER_RULES.rule(
    "declined-is-refused",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="A definite refusal is told as one, or as the policy says",
    expects="the provider reads Declined as REFUSED, or as RETRY where the policy's retry_class says so; never as DONE",
)
def a_refusal_is_told_as_one(bench: AdapterBench) -> None:
    """A refused bet that looks like a success is played with money that nobody took.

    The rule renders every `DeclineReason` for every call and lets the peer read it. Where the adapter's policy says in
    `retry_class` that the provider tries again (a credit that is owed), `RETRY` is right. The end of a round that ended
    before may be told as done: it is; and so may the rollback of what is unknown, was refused or is undone already:
    codes that say so end the matter, for nothing of it stands. It is usually broken by a reason without a code,
    answered with a default of the wrong kind, or by HTTP 500 for what is definite.
    """
    policies = bench.adapter().policies
    for rendered in _every(bench, _declined_outcomes(), (balance(), None)):
        outcome, call = rendered.results[-1].outcome, rendered.said.calls.items[0]
        assert isinstance(outcome, Declined)
        verdict = rendered.answer.verdict
        if verdict is Verdict.DONE:
            ended = isinstance(call, CloseRound) and outcome.reason is DeclineReason.ROUND_CLOSED
            if not ended and not _nothing_stands(call, outcome.reason):
                raise rendered.broken(f"{outcome.reason.value} was taken for a success")
            continue
        known = policies.of(call.operation).retry_class.get(outcome.reason.value, RetryClass.FINAL)
        if (verdict is Verdict.REFUSED) is not (known is RetryClass.FINAL) and known is not RetryClass.CANCELLED:
            raise rendered.broken(
                f"{outcome.reason.value} was read as {verdict.value}, and its retry class is {known.value}",
                "correct the code, or say in the policy's retry_class what the provider does",
            )


_NOTHING_TO_UNDO: Final = frozenset(
    {
        DeclineReason.TARGET_UNKNOWN,
        DeclineReason.TARGET_DECLINED,
        DeclineReason.ALREADY_ROLLED_BACK,
        DeclineReason.DUPLICATE,
    }
)


def _nothing_stands(call: Call, reason: DeclineReason) -> bool:
    """Whether a refused rollback leaves just what it wanted: nothing of what it names."""
    undoes = isinstance(call, Play) and all(one.kind is MovementKind.ROLLBACK for one in call.movements)
    return undoes and reason in _NOTHING_TO_UNDO


@ADAPTER_RULES.rule(
    "unknown-is-no-success",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="What is not known is never told as done",
    expects="the provider never reads Unknown as DONE, with or without a balance",
)
def what_is_not_known_is_no_success(bench: AdapterBench) -> None:
    """A bet that may not have been taken must not be played.

    The rule renders every cause of `Unknown` for every call and place of a batch. It is usually broken by `OWED` or
    `BALANCE` ("it is as good as done"), by an answer built from the movements that were applied, or by a status of 200
    without an error code.
    """
    for rendered in _every(bench, _unknown_outcomes(), (balance(), None)):
        if rendered.answer.verdict is Verdict.DONE:
            raise rendered.broken("an unknown outcome was taken for a success")


@ADAPTER_RULES.rule(
    "unknown-is-no-refusal",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="What is not known is never told as a definite refusal",
    expects="the provider never reads Unknown as REFUSED: then it would send no rollback, and nothing again",
)
def what_is_not_known_is_no_refusal(bench: AdapterBench) -> None:
    """After a definite refusal the provider forgets the bet; if the operator took it, the player's money is gone.

    The rule renders every cause of `Unknown` for every call. The provider must do what it does when it hears nothing:
    cancel, or send again. It is usually broken by a time-out that is answered with "internal error, do not retry".
    """
    for rendered in _every(bench, _unknown_outcomes(), (balance(), None)):
        if rendered.answer.verdict is Verdict.REFUSED:
            raise rendered.broken("an unknown outcome was taken for a definite refusal")


@ADAPTER_RULES.rule(
    "balances-are-cut",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="A shown balance is exact, or cut: never more than the player has",
    expects="the balance in the answer is the operator's at every scale; digits that do not fit are cut, never rounded",
)
def a_shown_balance_is_never_more_than_there_is(bench: AdapterBench) -> None:
    """A balance that is rounded up lets the game offer a bet that the wallet refuses.

    The rule renders drawn balances in currencies of 0 to 8 digits and reads them with the peer. The difference must be
    less than the last digit that the protocol shows, which may not be coarser than a hundredth or the currency's own
    step. It is usually broken by `round`, by a format string, or by an exponent of two for every currency.
    """
    adapter, peer = bench.adapter(), bench.peer()
    by_code = {code: _with_balance(all_heard(bench, code)) for code in _SCALES}
    amounts = st.one_of(st.integers(0, 10_000), st.integers(0, 10**15))

    def check(case: tuple[str, int]) -> None:
        code, minor = case
        scale = _CURRENCIES.get(code).scale
        has = minor_to_decimal(minor, scale)
        step = minor_to_decimal(1, min(scale, 2))
        for said in by_code[code]:
            results = tuple([_result_in(call, minor, code) for call in said.calls.items])
            rendered = _rendered(bench, adapter, peer, said, results)
            shown_balance = rendered.answer.balance
            if shown_balance is not None and not Decimal(0) <= has - shown_balance < step:
                raise rendered.broken(f"the player has {has} {code}, and the answer shows {shown_balance}")

    for code in _SCALES:
        for minor in (0, 1, 9, 99, 100, 999, 99_999):
            check((code, minor))
    for_every(bench, st.tuples(st.sampled_from(_SCALES), amounts), check)


@ADAPTER_RULES.rule(
    "balances-are-not-invented",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="A balance that is not known is not told",
    expects="without a balance among the results the answer carries none: an answer that needs one is no success",
)
def a_balance_is_never_invented(bench: AdapterBench) -> None:
    """A balance of zero that nobody told ends the player's game, or is booked in a report.

    The rule renders successes and refusals without a balance; the peer must find none. Where the protocol cannot say a
    success without one, the answer has to be the one that asks again. It is usually broken by `or 0`.
    """
    outcomes = [*_applied_outcomes(), *_declined_outcomes()[:4], *_unknown_outcomes()[:2]]
    for rendered in _every(bench, outcomes, (None,)):
        if rendered.answer.balance is not None:
            raise rendered.broken(f"no balance was known, and the answer shows {rendered.answer.balance}")


@ADAPTER_RULES.rule(
    "errors-have-answers",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="Every error of the contract has an answer in the provider's own protocol",
    expects="render_error gives the same response for the same error; never DONE, and RETRY for what may succeed later",
)
def every_error_has_an_answer(bench: AdapterBench) -> None:
    """What fails before there is a call is answered too: a wrong proof, a hub without room, a store that is away.

    The rule renders every error class of `croupier.contract.errors` for every request and lets the peer read it. An
    error of the group `RetryLaterError` says nothing definite: read as a refusal it would end a bet that is repeated
    with success. It is usually broken by a table with only the errors that the author met.
    """
    adapter, other, peer = bench.adapter(), bench.adapter(), bench.peer()
    for said in all_heard(bench):
        for error in errors():
            rendered = _error_rendered(adapter, peer, said, error)
            again = _error_rendered(other, peer, said, error)
            name = type(error).__name__
            if rendered.response != again.response:
                raise rendered.broken(f"{name} has two answers: {shown(again.response)}")
            if rendered.answer.verdict is Verdict.DONE:
                raise rendered.broken(f"{name} was taken for a success")
            if isinstance(error, RetryLaterError) and rendered.answer.verdict is not Verdict.RETRY:
                raise rendered.broken(f"{name} may succeed later, and was taken for a definite refusal")
        noise = HttpRequest("GET", "/no/such/entrance?x=%ff", body=b"\xff\x00")
        _error_rendered(adapter, peer, evolve(said, request=noise), CroupierError("anything"))


def errors() -> tuple[CroupierError, ...]:
    """One of every error class of the contract."""
    found: list[CroupierError] = []
    waiting: list[type[CroupierError]] = [CroupierError]
    while waiting:
        kind = waiting.pop(0)
        if kind.__module__ == CroupierError.__module__:
            found.append(_error(kind))
            waiting += kind.__subclasses__()
    return tuple(found)


def _error(kind: type[CroupierError]) -> CroupierError:
    if issubclass(kind, TransportError):
        return kind("made for a rule", problem=TransportProblem.NO_ANSWER)
    if issubclass(kind, ProviderRefusedError):
        return kind("made for a rule", provider_code="17")
    if issubclass(kind, RateLimitedError):
        return kind("made for a rule", retry_after=timedelta(seconds=2).total_seconds())
    return kind("made for a rule", where="field", hint="a hint")


def _error_rendered(adapter: Adapter, peer: Peer, said: Said, error: CroupierError) -> Rendered:
    try:
        response = adapter.render_error(said.request, error)
        answer = peer.answer(said.saying.action, response)
    except Exception as raised:
        raise RuleBrokenError(
            f"{type(raised).__name__} instead of an answer to {type(error).__name__}",
            sent=shown(said.request),
            came_back=str(raised),
        ) from raised
    return Rendered(said=said, results=(), response=response, answer=answer)


def _with_balance(heard: Sequence[Said]) -> list[Said]:
    return [said for said in heard if not isinstance(said.calls.items[0], Notice)]


def _result_in(call: Call, minor: int, code: str) -> Result:
    return result_of(call, Applied(transaction=TRANSACTION), balance(minor, code), code=code)
