"""Adapters that believe, understand, answer or keep what they should not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from attrs import evolve
from tests.certification.broken_adapters.made import Broken, behaving, breaks, saying, sound

from croupier.contract import (
    Applied,
    AppliedEffect,
    AuthenticationError,
    Balance,
    Calls,
    Capability,
    Credentials,
    CroupierError,
    Currency,
    Declined,
    DeclineReason,
    Headers,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    Money,
    Movement,
    MovementKind,
    NoticeResult,
    OverloadedError,
    Play,
    Result,
    Unit,
    Unknown,
    UnknownCause,
    Verified,
    WireAmount,
    read_json_object,
    write_json,
)
from croupier_pragmatic import wire as pragmatic_wire
from croupier_pragmatic.adapter import PragmaticAdapter
from croupier_softswiss.adapter import SoftswissAdapter
from croupier_softswiss.wire import AUTH_TOKEN, SIGNATURE_HEADER, prove, sign

# --- what is believed ---


class BelievesWithoutASecret(SoftswissAdapter):
    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        known = any(credentials.every(AUTH_TOKEN))
        return super().verify(request, credentials, now) if known else Verified(request)


class SignsWhatItWroteAgain(SoftswissAdapter):
    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        prove(evolve(request, body=write_json(read_json_object(request.body))), credentials)
        return Verified(request)


class ComparesHalfAProof(SoftswissAdapter):
    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        given = request.headers.get(SIGNATURE_HEADER) or ""
        if not any(given[:8] == sign(token, request.body)[:8] for token in credentials.every(AUTH_TOKEN) if token):
            raise AuthenticationError("the proof of origin is missing or wrong")
        return Verified(request)


class ReadsThePlayerFromTheQuery(SoftswissAdapter):
    def parse(self, verified: Verified) -> Calls:
        calls = super().parse(verified)
        told = dict(verified.request.query).get("user_id")
        return calls if told is None else _changed(calls, player=told)


class KnowsTheNewestKeyAlone(SoftswissAdapter):
    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        newest = Credentials({name: keys[:1] for name, keys in credentials.values.items()})
        return super().verify(request, newest, now)


class LetsTheFutureIn(PragmaticAdapter):
    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        verified = super().verify(request, credentials, now)
        told = str(verified.fields.get("timestamp", ""))
        if told.isascii() and told.isdigit() and len(told) == 13:
            sent = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(told))
            if now - sent > timedelta(hours=1):
                raise AuthenticationError("the request is stale")
        return verified


# --- what is understood ---


class ForgetsTheEndOfARound(SoftswissAdapter):
    def parse(self, verified: Verified) -> Calls:
        return _changed(super().parse(verified), closes_round=False)


class CountsCentsInEveryCurrency(SoftswissAdapter):
    def parse(self, verified: Verified) -> Calls:
        return _moved(super().parse(verified), _in_cents)


class TakesWinsForJackpots(PragmaticAdapter):
    def parse(self, verified: Verified) -> Calls:
        return _moved(super().parse(verified), _as_jackpot)


class RemembersWhatItSaw(SoftswissAdapter):
    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.seen: set[bytes] = set()

    def parse(self, verified: Verified) -> Calls:
        body = verified.request.body
        again = body in self.seen
        self.seen.add(body)
        return _changed(super().parse(verified), resend=again)


class MeasuresWhatMayBeNoText(SoftswissAdapter):
    def parse(self, verified: Verified) -> Calls:
        if len(read_json_object(verified.request.body).get("game", "")) > 200:
            raise MalformedRequestError("the game's name is too long")
        return super().parse(verified)


class ReadsByRecursion(SoftswissAdapter):
    def parse(self, verified: Verified) -> Calls:
        try:
            json.loads(verified.request.body)
        except ValueError as error:
            raise MalformedRequestError("it is no JSON") from error
        return super().parse(verified)


class TakesTheLastOfTwo(SoftswissAdapter):
    def parse(self, verified: Verified) -> Calls:
        try:
            return super().parse(verified)
        except MalformedRequestError as error:
            if "stands twice" not in error.message:
                raise
            last = json.dumps(json.loads(verified.request.body)).encode()
            return super().parse(Verified(evolve(verified.request, body=last)))


class TakesTheLastOfTwoFields(PragmaticAdapter):
    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        fields = dict(parse_qsl(request.body.decode("latin-1"), keep_blank_values=True))
        pragmatic_wire.prove(fields, credentials)
        return Verified(request, fields)


# --- what is answered ---


class _Renders(SoftswissAdapter):
    """Renders something else than what the hub said."""

    def render(
        self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
    ) -> HttpResponse:
        told = [self.instead(result) for result in results]
        return self.after(super().render(calls, told, credentials, now, nonce), credentials)

    def instead(self, result: Result) -> Result:
        return result

    def after(self, response: HttpResponse, credentials: Credentials) -> HttpResponse:
        return response


class SpeaksAsciiAlone(_Renders):
    def instead(self, result: Result) -> Result:
        if isinstance(result.outcome, Declined):
            (result.outcome.message or "").encode("ascii")
        return result


class NumbersItsAnswers(_Renders):
    answered = 0

    def after(self, response: HttpResponse, credentials: Credentials) -> HttpResponse:
        self.answered += 1
        if self.answered == 1:
            return response
        return evolve(response, headers=Headers((*response.headers, ("X-Answer", str(self.answered)))))


class RefusesRepeats(_Renders):
    def instead(self, result: Result) -> Result:
        repeated = isinstance(result.outcome, Applied) and result.outcome.effect is AppliedEffect.REPEATED
        return _with(result, Declined(reason=DeclineReason.DUPLICATE)) if repeated else result


class AsksAgainAfterABonusRule(_Renders):
    def instead(self, result: Result) -> Result:
        told = isinstance(result.outcome, Declined) and result.outcome.reason is DeclineReason.BONUS_RULE
        return _with(result, Unknown(cause=UnknownCause.STORE)) if told else result


class TellsDuplicatesAsDone(_Renders):
    def instead(self, result: Result) -> Result:
        told = isinstance(result.outcome, Declined) and result.outcome.reason is DeclineReason.DUPLICATE
        return _with(result, Applied(transaction="hub-transaction-77")) if told else result


class TellsWhatIsOwedAsDone(_Renders):
    def instead(self, result: Result) -> Result:
        owed = isinstance(result.outcome, Unknown) and result.outcome.cause is UnknownCause.OWED
        return _with(result, Applied(transaction="hub-transaction-77")) if owed else result


class RefusesWhatIsTooEarly(_Renders):
    def instead(self, result: Result) -> Result:
        early = isinstance(result.outcome, Unknown) and result.outcome.cause is UnknownCause.TOO_EARLY
        return _with(result, Declined(reason=DeclineReason.TARGET_UNKNOWN)) if early else result


class RoundsUp(_Renders):
    def instead(self, result: Result) -> Result:
        if isinstance(result, NoticeResult) or result.balance is None or result.balance.cash.minor % 10 != 9:
            return result
        cash = result.balance.cash
        return evolve(result, balance=evolve(result.balance, cash=Money(cash.minor + 1, cash.currency)))


class TellsZeroForNothing(_Renders):
    def instead(self, result: Result) -> Result:
        if isinstance(result, NoticeResult) or result.balance is not None:
            return result
        return evolve(result, balance=Balance(Money(0, Currency("EUR", 2))))


class RefusesWhatItHasNoRoomFor(SoftswissAdapter):
    def render_error(self, request: HttpRequest, error: CroupierError) -> HttpResponse:
        refused = AuthenticationError("later") if isinstance(error, OverloadedError) else error
        return super().render_error(request, refused)


# --- what is kept and told ---


class KeepsEverything(SoftswissAdapter):
    def redact(self, request: HttpRequest) -> HttpRequest:
        return request


class KeepsTheUnknown(SoftswissAdapter):
    def redact(self, request: HttpRequest) -> HttpRequest:
        more = [item for item in request.headers if item[0] != SIGNATURE_HEADER]
        return evolve(super().redact(request), headers=Headers(tuple(more)))


class KeepsWhateverWasDecoded(PragmaticAdapter):
    def redact_verified(self, verified: Verified) -> HttpRequest:
        return HttpRequest(verified.request.method, verified.request.path, body=str(dict(verified.fields)).encode())


class TellsWhatItExpected(SoftswissAdapter):
    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        try:
            return super().verify(request, credentials, now)
        except AuthenticationError:
            wanted = [sign(token, request.body) for token in credentials.every(AUTH_TOKEN)]
            raise AuthenticationError(f"expected {', '.join(wanted)}") from None


class TellsThePlayerOfItsErrors(SoftswissAdapter):
    def parse(self, verified: Verified) -> Calls:
        try:
            return super().parse(verified)
        except MalformedRequestError as error:
            text = verified.request.body.decode("utf-8", "replace")[:200]
            raise MalformedRequestError(f"{error.message} in {text}") from None


class TellsItsKey(_Renders):
    def after(self, response: HttpResponse, credentials: Credentials) -> HttpResponse:
        key = credentials.current(AUTH_TOKEN)
        return evolve(response, headers=Headers((*response.headers, ("X-Debug", key))))


def _changed(calls: Calls, **changes: Any) -> Calls:
    return evolve(
        calls, items=tuple([evolve(call, **changes) if isinstance(call, Play) else call for call in calls.items])
    )


def _moved(calls: Calls, change: Any) -> Calls:
    items = [
        evolve(call, movements=tuple(map(change, call.movements))) if isinstance(call, Play) else call
        for call in calls.items
    ]
    return evolve(calls, items=tuple(items))


def _in_cents(movement: Movement) -> Movement:
    amount = movement.amount
    return evolve(movement, amount=evolve(amount, unit=Unit(-2))) if isinstance(amount, WireAmount) else movement


def _as_jackpot(movement: Movement) -> Movement:
    return evolve(movement, kind=MovementKind.JACKPOT_WIN) if movement.kind is MovementKind.WIN else movement


def _with(result: Any, outcome: Any) -> Any:
    if not hasattr(result, "movements"):
        return evolve(result, outcome=outcome)
    movements = tuple([evolve(one, outcome=outcome) for one in result.movements])
    return evolve(result, outcome=outcome, movements=movements)


def _soft(adapter: Any, *rules: str) -> Broken:
    return breaks(behaving(adapter), *rules)


def _prag(adapter: Any, *rules: str) -> Broken:
    return breaks(behaving(adapter, "pragmatic"), *rules)


BYTES: Mapping[str, Broken] = {
    "no-secret-no-proof": _soft(BelievesWithoutASecret, "no-secret-no-proof"),
    # A golden conversation has a blank behind the signed body.
    "tampered-body-is-refused": _soft(SignsWhatItWroteAgain, "tampered-body-is-refused", "transcripts-hold"),
    "tampered-proof-is-refused": _soft(ComparesHalfAProof, "tampered-proof-is-refused"),
    "what-is-not-proven-is-not-read": _soft(ReadsThePlayerFromTheQuery, "what-is-not-proven-is-not-read"),
    "rotation-accepts-both-keys": _soft(KnowsTheNewestKeyAlone, "rotation-accepts-both-keys"),
    # The published bet is of another year.
    "stale-requests-are-refused": _prag(LetsTheFutureIn, "stale-requests-are-refused", "transcripts-hold"),
    "peer-says-what-is-declared": breaks(
        saying(capabilities=sound().spec.capabilities | {Capability.TIP}),
        "peer-says-what-is-declared",
        "operations-are-told",
    ),
    "parse-is-what-was-meant": _soft(ForgetsTheEndOfARound, "parse-is-what-was-meant", "transcripts-hold"),
    "parse-is-what-was-meant: cents": _soft(CountsCentsInEveryCurrency, "parse-is-what-was-meant", "transcripts-hold"),
    "parse-is-what-was-meant: kinds": _prag(TakesWinsForJackpots, "parse-is-what-was-meant", "transcripts-hold"),
    # A changed query is a second message of the same body.
    "parse-remembers-nothing": _soft(RemembersWhatItSaw, "parse-remembers-nothing", "what-is-not-proven-is-not-read"),
    "noise-gives-contract-errors": _soft(MeasuresWhatMayBeNoText, "noise-gives-contract-errors"),
    "size-is-bounded": _soft(ReadsByRecursion, "size-is-bounded"),
    "repeated-keys-are-refused": _soft(TakesTheLastOfTwo, "repeated-keys-are-refused"),
    "repeated-keys-are-refused: forms": _prag(TakesTheLastOfTwoFields, "repeated-keys-are-refused"),
    "render-is-total": _soft(SpeaksAsciiAlone, "render-is-total"),
    "render-is-deterministic": _soft(NumbersItsAnswers, "render-is-deterministic"),
    "applied-is-done": _soft(RefusesRepeats, "applied-is-done"),
    "declined-is-refused": _soft(AsksAgainAfterABonusRule, "declined-is-refused"),
    "declined-is-refused: done": _soft(TellsDuplicatesAsDone, "declined-is-refused"),
    "unknown-is-no-success": _soft(TellsWhatIsOwedAsDone, "unknown-is-no-success"),
    "unknown-is-no-refusal": _soft(RefusesWhatIsTooEarly, "unknown-is-no-refusal"),
    "balances-are-cut": _soft(RoundsUp, "balances-are-cut"),
    "balances-are-not-invented": _soft(TellsZeroForNothing, "balances-are-not-invented"),
    "errors-have-answers": _soft(RefusesWhatItHasNoRoomFor, "errors-have-answers"),
    "redaction-keeps-no-secret": _soft(KeepsEverything, "redaction-keeps-no-secret"),
    "redaction-keeps-no-secret: new fields": _soft(KeepsTheUnknown, "redaction-keeps-no-secret"),
    "redaction-keeps-no-secret: decoded": _prag(KeepsWhateverWasDecoded, "redaction-keeps-no-secret"),
    "secrets-stay-out-of-errors": _soft(TellsWhatItExpected, "secrets-stay-out-of-errors"),
    "secrets-stay-out-of-errors: the player": _soft(TellsThePlayerOfItsErrors, "secrets-stay-out-of-errors"),
    # Every golden answer lacks the field.
    "secrets-stay-out-of-answers": _soft(TellsItsKey, "secrets-stay-out-of-answers", "transcripts-hold"),
}
"""Rule, with a word about the variant where there are several, to the subject that breaks it."""
