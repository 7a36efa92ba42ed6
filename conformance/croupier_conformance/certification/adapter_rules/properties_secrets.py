"""Layer of properties: what is secret or personal stands in no error, no answer and no record."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote_plus

from attrs import evolve

from croupier.contract import Adapter, Applied, CroupierError, Headers, HttpRequest, HttpResponse
from croupier_conformance.certification.adapter_rules.proof import proof_headers
from croupier_conformance.certification.adapter_rules.properties_noise import odd_arrivals
from croupier_conformance.certification.adapter_rules.properties_render import errors
from croupier_conformance.certification.asks import PERSON, asks
from croupier_conformance.certification.bench import AdapterBench, shown
from croupier_conformance.certification.results import NONCE, TRANSACTION, balance, results_of
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleBrokenError, Tier
from croupier_conformance.certification.sayings import ALIAS, TOKEN, all_heard, heard, sayings

_DIGEST: Final = re.compile(r"\b[0-9a-fA-F]{32,}\b")


def _secret(bench: AdapterBench) -> dict[str, str]:
    return {f"the secret {name}": value for name, value in bench.subject.secrets.items() if value}


def _personal() -> dict[str, str]:
    return {"the player's alias": ALIAS} | {f"{name} of the player": value for name, value in PERSON.items()}


def _proofs(bench: AdapterBench, adapter: Adapter, request: HttpRequest) -> dict[str, str]:
    """Where the genuine proof of a request stands: header fields that are needed, and long digests in the body."""
    named = {f"the proof in {name}": request.headers.get(name) or "" for name in proof_headers(bench, adapter, request)}
    text = request.body.decode("utf-8", "replace")
    digests = {f"the proof {found[0][:6]}...": found[0] for found in _DIGEST.finditer(text)}
    return {what: value for what, value in (named | digests).items() if len(value) > 8}


_quoted = lru_cache(maxsize=1024)(quote_plus)
"""The same few words are looked for in thousands of texts."""


def _found(text: str, words: Mapping[str, str]) -> str | None:
    for what, word in words.items():
        if word in text or _quoted(word) in text:
            return what
    return None


def _whole(message: HttpRequest | HttpResponse) -> str:
    head = " ".join(f"{name}: {value}" for name, value in message.headers)
    url = message.url if isinstance(message, HttpRequest) else ""
    return f"{url} {head} {message.body.decode('utf-8', 'backslashreplace')}"


@ADAPTER_RULES.rule(
    "redaction-keeps-no-secret",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="What is stored of a request holds no secret, token, proof or player",
    expects="redact and redact_verified leave out secrets, tokens, the proof, the player's alias and personal fields, "
    "in both directions",
)
def redaction_keeps_no_secret(bench: AdapterBench) -> None:
    """Exchanges are stored for years and shown to people; whoever reads them must not be able to play or to sign.

    The rule redacts all requests of the peer, and all of the hub's own, and looks for the test secrets, the launch
    token, the proof, the alias and the names of the player in what is left. Fields that nobody named must not be kept
    either: a new field may hold anything. It is usually broken by a list of what to hide instead of what is safe.
    """
    adapter = bench.adapter()
    for request, proofs in _requests(bench, adapter):
        words = {**_secret(bench), "the token": TOKEN, **_personal(), **proofs}
        for kept in _kept(bench, adapter, request):
            what = _found(_whole(kept), words)
            if what is not None:
                raise RuleBrokenError(
                    f"what is stored of a request holds {what}",
                    sent=shown(request),
                    came_back=shown(kept),
                    hint="name the fields that are safe: safe_json, safe_form, safe_fields",
                )
            bench.notebook.note("as it is stored", request, shown(kept))
        strange = adapter.redact(evolve(request, headers=Headers((*request.headers, ("X-New", TOKEN)))))
        if TOKEN in _whole(strange):
            raise RuleBrokenError("an unknown header field is stored", sent="X-New", came_back=shown(strange))


@ADAPTER_RULES.rule(
    "secrets-stay-out-of-errors",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="No error tells a secret, a token, a proof or a player",
    expects="neither an error's text nor its rendered answer holds secrets, tokens, the expected proof or the alias",
)
def secrets_stay_out_of_errors(bench: AdapterBench) -> None:
    """Errors are logged, and answered to whoever asked: an expected signature in one lets anybody sign.

    The rule provokes errors: a genuine request without its proof, with another one, and with one odd value after the
    other; and it looks for secrets, the token, the alias and the genuine proof in the error and in its answer. It is
    usually broken by "expected <signature>, got <signature>", or by the value of a field in its error's text.
    """
    adapter = bench.adapter()
    words = {**_secret(bench), "the token": TOKEN, **_personal()}
    for request, error, proofs in _provoked(bench, adapter):
        told = " ".join([str(error), repr(error.args), str(error.where), str(error.hint)])
        what = _found(told, {**words, **proofs})
        if what is not None:
            raise RuleBrokenError(f"an error tells {what}", sent=shown(request), came_back=told)
        answered = adapter.render_error(request, error)
        what = _found(_whole(answered), {**words, **proofs})
        if what is not None:
            raise RuleBrokenError(f"the answer to an error tells {what}", sent=str(error), came_back=shown(answered))


@ADAPTER_RULES.rule(
    "secrets-stay-out-of-answers",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="No answer tells a secret",
    expects="no rendered answer, and no text of the adapter itself, holds the connection's secrets",
)
def secrets_stay_out_of_answers(bench: AdapterBench) -> None:
    """`render` is handed the credentials so that it can sign; nothing of them may leave.

    The rule renders a success of every call, and an answer to every error, and looks for the test secrets in them and
    in the adapter's `repr`. It is usually broken by debug fields that were left in.
    """
    adapter, peer, words = bench.adapter(), bench.peer(), _secret(bench)
    texts = [repr(adapter), repr(bench.subject.spec)]
    for saying in sayings(bench, peer):
        said = heard(bench, adapter, peer, saying)
        results = results_of(said, Applied(transaction=TRANSACTION), balance())
        answers = [adapter.render(said.calls, results, bench.credentials, bench.now, NONCE)]
        answers += [adapter.render_error(said.request, error) for error in errors()]
        texts += [_whole(answer) for answer in answers]
    for text in texts:
        what = _found(text, words)
        if what is not None:
            raise RuleBrokenError(f"what leaves the adapter tells {what}", sent="a call and its result", came_back=text)


def _kept(bench: AdapterBench, adapter: Adapter, request: HttpRequest) -> Iterator[HttpRequest]:
    """What may be stored of a request: of its bytes, and, where it is one of the provider's, of what was decoded."""
    yield adapter.redact(request)
    try:
        verified = adapter.verify(request, bench.credentials, bench.now)
    except CroupierError:
        return  # one of the hub's own
    yield adapter.redact_verified(verified)
    unknown = {**verified.fields, "x_new": TOKEN} if verified.fields else {}
    yield adapter.redact_verified(evolve(verified, fields=unknown))


def _requests(bench: AdapterBench, adapter: Adapter) -> Iterator[tuple[HttpRequest, Mapping[str, str]]]:
    """What crosses the wire in both directions, with its proof."""
    for said in all_heard(bench):
        yield said.request, _proofs(bench, adapter, said.request)
    for ask in asks(bench):
        flow = ask.start(adapter, bench)
        try:
            request = next(flow)
        except (CroupierError, StopIteration):
            continue  # it needs no request, or not these arguments
        finally:
            flow.close()
        yield request, {}


def _provoked(bench: AdapterBench, adapter: Adapter) -> Iterator[tuple[HttpRequest, CroupierError, Mapping[str, str]]]:
    for said in all_heard(bench):
        # What is proven may hold less than what came: a key that was sent as it is has done its work.
        genuine = adapter.verify(said.request, bench.credentials, bench.now)
        proofs = _proofs(bench, adapter, said.request)
        for request in _unproven(said.request, proofs):
            try:
                adapter.verify(request, bench.credentials, bench.now)
            except CroupierError as error:
                yield request, error, proofs
        for arrival in odd_arrivals(genuine):
            try:
                adapter.parse(arrival.verified)
            except CroupierError as error:
                yield arrival.verified.request, error, proofs
            except Exception:  # noqa: BLE001, S112 - that it is no error of the contract is another rule's business
                continue


def _unproven(request: HttpRequest, proofs: Mapping[str, str]) -> Iterator[HttpRequest]:
    yield evolve(request, headers=Headers())
    for value in proofs.values():
        other = "0" * len(value)
        items = tuple([(name, other if old == value else old) for name, old in request.headers])
        yield evolve(request, headers=Headers(items))
        yield evolve(request, body=request.body.replace(value.encode(), other.encode()))
        yield evolve(request, body=request.body.replace(value.encode(), b""))
    yield evolve(request, body=request.body + b"&a=b")
