"""Layer of properties: nothing unproven is believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from attrs import evolve, frozen

from croupier.contract import (
    Adapter,
    AuthenticationError,
    Calls,
    Credentials,
    CroupierError,
    Headers,
    HttpRequest,
    Proof,
)
from croupier_conformance.certification.bench import AdapterBench, shown
from croupier_conformance.certification.rule import (
    ADAPTER_RULES,
    Layer,
    RuleBrokenError,
    RuleNotApplicableError,
    Tier,
)
from croupier_conformance.certification.sayings import sayings

_MOST_POSITIONS: Final = 600


@frozen(kw_only=True)
class Changed:
    """A genuine request after somebody changed it on its way.

    Attributes:
        what: Which change.
        request: The changed request.
    """

    what: str
    request: HttpRequest


def genuine(bench: AdapterBench) -> tuple[HttpRequest, ...]:
    """Requests as the peer signs them: all kinds in a whole certification, a few in a slice."""
    peer = bench.peer()
    said = sayings(bench, peer)
    kept = said if bench.examples >= 50 else (*said[:3], *said[-2:])
    return tuple([peer.request(saying.action, bench.credentials, bench.now) for saying in kept])


def _signed_by(bench: AdapterBench, keys: Credentials) -> tuple[HttpRequest, ...]:
    """Requests that the peer signs with these keys; none if it cannot."""
    peer = bench.peer()
    try:
        return tuple([peer.request(saying.action, keys, bench.now) for saying in sayings(bench, peer)[:3]])
    except (CroupierError, ValueError):
        return ()


def understood(
    bench: AdapterBench, adapter: Adapter, request: HttpRequest, keys: Credentials | None = None
) -> Calls | None:
    """What a request is taken for; `None` if it is refused."""
    try:
        verified = adapter.verify(request, bench.credentials if keys is None else keys, bench.now)
    except CroupierError:
        return None
    try:
        return adapter.parse(verified)
    except CroupierError:
        return Calls(())


def proof_headers(bench: AdapterBench, adapter: Adapter, request: HttpRequest) -> tuple[str, ...]:
    """The header fields without which the request is refused: those that carry the proof, or are covered by it."""
    names = dict.fromkeys(name for name, _ in request.headers)
    return tuple(
        [name for name in names if understood(bench, adapter, _without_header(request, name)) is None],
    )


@ADAPTER_RULES.rule(
    "no-secret-no-proof",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="Without a secret nothing is proven",
    expects="verify raises AuthenticationError for every request when the connection has no secret",
)
def without_a_secret_nothing_is_proven(bench: AdapterBench) -> None:
    """A connection whose secret was never set must believe nobody.

    The rule hands correctly signed requests, and requests that are signed with an empty key, to an adapter without
    credentials. It is usually broken by a default such
    as an empty key, which anybody can sign with. `require_proof` and `Credentials.every` refuse that by themselves.
    """
    adapter = bench.adapter()
    nothing = Credentials(dict.fromkeys(bench.subject.secrets, ("",)))
    for request in (*genuine(bench), *_signed_by(bench, nothing)):
        for keys in (Credentials({}), nothing):
            try:
                adapter.verify(request, keys, bench.now)
            except AuthenticationError:
                bench.notebook.note("a signed request, and no secret to prove it by", request, "AuthenticationError")
                continue
            raise RuleBrokenError(
                "a request was believed without any secret", sent=shown(request), came_back="no error"
            )


@ADAPTER_RULES.rule(
    "tampered-body-is-refused",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="A body that was changed on its way is refused",
    expects="verify raises for every flipped, removed and added byte of what the declared proof covers",
)
def a_tampered_body_is_refused(bench: AdapterBench) -> None:
    """What the proof covers must not change unnoticed: an amount, an id, a player.

    The rule takes genuine requests and flips, removes and adds a byte at every place of the body. By the declared
    `Proof` it expects: `signature`: refused, without exception, for the signature is over the raw bytes. `field_mac`
    and `encryption`: refused, or taken for exactly what the genuine request says (two spellings of one form are one
    form). `bearer` covers no body, and the rule does not apply.

    It is usually broken by signing something that was parsed and written again, or by a list of fields in which one
    that moves money is missing.
    """
    proof = bench.subject.spec.proof
    if proof is Proof.BEARER:
        raise RuleNotApplicableError("a shared secret that is sent as it is covers no body")
    adapter = bench.adapter()
    for request in genuine(bench):
        meant = _meaning(bench, adapter, request)
        for changed in _bodies(request):
            taken = understood(bench, adapter, changed.request)
            if taken is None or (proof is not Proof.SIGNATURE and taken == meant):
                continue
            raise RuleBrokenError(
                f"a request was believed after {changed.what}",
                sent=shown(changed.request),
                came_back=f"the genuine body was\n{request.body.decode('utf-8', 'backslashreplace')}",
                hint="prove the raw bytes, and every field that is read",
            )
        bench.notebook.note("each byte of this body flipped, removed, added: refused", request, "AuthenticationError")


@ADAPTER_RULES.rule(
    "tampered-proof-is-refused",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="A proof that is not whole proves nothing",
    expects="verify raises for every changed, removed and added character of the signature, hash or token",
)
def a_tampered_proof_is_refused(bench: AdapterBench) -> None:
    """A proof that is compared in part can be guessed in part.

    The rule finds where the proof stands (the header fields and the parts of the query without which a request is
    refused; of a bearer also the secret in the body), and changes, removes and adds a character at every place. Another
    case of hexadecimal digits and blanks around the value are no change.

    It is usually broken by `startswith`, by a comparison over the shorter length, or by an empty proof that is let
    through.
    """
    adapter = bench.adapter()
    found = False
    for request in genuine(bench):
        for changed in _proofs(bench, adapter, request):
            found = True
            if understood(bench, adapter, changed.request) is not None:
                raise RuleBrokenError(
                    f"a request was believed after {changed.what}",
                    sent=shown(changed.request),
                    came_back="no error",
                    hint="compare the whole proof with require_proof",
                )
    if not found and bench.subject.spec.proof in {Proof.FIELD_MAC, Proof.ENCRYPTION}:
        raise RuleNotApplicableError("the proof is part of the body, which another rule changes at every place")
    if not found:
        raise RuleBrokenError(
            "no header field and no part of the query of a genuine request is needed to prove it",
            sent=shown(genuine(bench)[0]),
            came_back="each was left out, and the request was believed",
        )


@ADAPTER_RULES.rule(
    "what-is-not-proven-is-not-read",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="What the proof does not cover changes no meaning",
    expects="a changed query or header is refused, or the request still says exactly the same",
)
def what_is_not_proven_is_not_read(bench: AdapterBench) -> None:
    """Whoever carries a request can add to what is not signed; nothing about money may be read from there.

    The rule adds fields to the query and to the header, and changes header fields that no proof needs; the adapter must
    refuse, or parse the same calls. It is usually broken by a player, a currency or an operation that is read from the
    query while the signature is over the body.
    """
    if bench.subject.spec.proof is Proof.BEARER:
        raise RuleNotApplicableError("a bearer's secret covers nothing but itself")
    adapter = bench.adapter()
    for request in genuine(bench):
        meant = _meaning(bench, adapter, request)
        for changed in _additions(bench, adapter, request):
            taken = understood(bench, adapter, changed.request)
            if taken is not None and taken not in (meant, Calls(())):
                raise RuleBrokenError(
                    f"the request was believed and says something else after {changed.what}",
                    sent=shown(changed.request),
                    came_back=f"{taken}\ninstead of\n{meant}",
                )


@ADAPTER_RULES.rule(
    "rotation-accepts-both-keys",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="While a secret is changed the old and the new one are valid, and no other",
    expects="with the values (new, old) requests by either are accepted; with the new one alone, the old is refused",
)
def both_keys_are_valid_during_a_rotation(bench: AdapterBench) -> None:
    """A secret cannot change on both sides in one moment: for some time two values are valid.

    The rule signs requests by the old and by a new value of all secrets. It is usually broken by `Credentials.current`
    in `verify` (only the first value is tried), or by a cache of the key that outlives the rotation. Where the secrets
    are keys that cannot be made up (a certificate), the rule does not apply.
    """
    adapter, peer = bench.adapter(), bench.peer()
    old = bench.subject.secrets
    new = {name: f"{value}-next" for name, value in old.items()}
    by_old = genuine(bench)
    try:
        actions = [saying.action for saying in sayings(bench, peer)]
        by_new = [peer.request(action, _keys(new), bench.now) for action in actions[: len(by_old)]]
    except (CroupierError, ValueError) as error:
        raise RuleNotApplicableError(f"no second secret can be made up: {type(error).__name__}") from None
    both = Credentials({name: (new[name], old[name]) for name in old})
    for title, requests, keys, believed in (
        ("the old secret while both are valid", by_old, both, True),
        ("the new secret while both are valid", by_new, both, True),
        ("the old secret after the change", by_old, _keys(new), False),
        ("a secret that never was valid", by_new, _keys(old), False),
    ):
        for request in requests:
            try:
                adapter.verify(request, keys, bench.now)
                came_back = "no error"
            except AuthenticationError as error:
                came_back = f"AuthenticationError: {error}"
            bench.notebook.note(f"signed by {title}", request, came_back)
            if (came_back == "no error") is not believed:
                raise RuleBrokenError(
                    f"a request signed by {title} was {'refused' if believed else 'believed'}",
                    sent=shown(request),
                    came_back=came_back,
                    hint="try Credentials.every, not Credentials.current",
                )


@ADAPTER_RULES.rule(
    "stale-requests-are-refused",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="A window of time is closed on both sides",
    expects="where a request of another year is refused, requests from the past and from the future both are",
)
def a_window_of_time_is_closed_on_both_sides(bench: AdapterBench) -> None:
    """A captured request must not be usable later, nor one that was made up for later.

    The rule proves one request at other times than its own. A protocol whose requests stay valid for years has no
    window, and the rule does not apply. Else the request must be accepted at its own second, and refused a year
    before as well as a year after. It is usually broken by a comparison without an absolute value.
    """
    adapter = bench.adapter()
    year = timedelta(days=366)

    def believed(request: HttpRequest, shift: timedelta) -> bool:
        try:
            adapter.verify(request, bench.credentials, bench.now + shift)
        except CroupierError:
            return False
        return True

    windows = 0
    for request in genuine(bench):
        late, early = believed(request, year), believed(request, -year)
        if late and early:
            continue
        windows += 1
        for shift in (timedelta(0), timedelta(seconds=1)):
            if not believed(request, shift):
                raise RuleBrokenError("a request was refused in its own second", sent=shown(request))
        if late or early:
            told = "a year after it was sent" if late else "a year before it was sent"
            raise RuleBrokenError(f"a request was believed {told}", sent=shown(request), came_back="no error")
    if not windows:
        raise RuleNotApplicableError("the protocol has no window of time")


def _keys(values: Mapping[str, str]) -> Credentials:
    return Credentials({name: (value,) for name, value in values.items()})


def _meaning(bench: AdapterBench, adapter: Adapter, request: HttpRequest) -> Calls:
    return adapter.parse(adapter.verify(request, bench.credentials, bench.now))


def _without_header(request: HttpRequest, name: str) -> HttpRequest:
    kept = tuple([item for item in request.headers if item[0] != name])
    return evolve(request, headers=Headers(kept))


def _with_header(request: HttpRequest, name: str, value: str) -> HttpRequest:
    items = tuple([(key, value if key == name else old) for key, old in request.headers])
    return evolve(request, headers=Headers(items))


def _bodies(request: HttpRequest) -> Iterator[Changed]:
    body = request.body
    for place in range(0, len(body), max(1, len(body) // _MOST_POSITIONS)):
        before, byte, after = body[:place], body[place], body[place + 1 :]
        for bits in (1, 0x80):
            flipped = bytes([byte ^ bits])
            yield Changed(what=f"byte {place} was flipped", request=evolve(request, body=before + flipped + after))
        yield Changed(what=f"byte {place} was removed", request=evolve(request, body=before + after))
        added = before + b"0" + body[place:]
        yield Changed(what=f"a byte was added at {place}", request=evolve(request, body=added))
    for tail in (b" ", b"\n", b"0", b"&a=b", body):
        yield Changed(what=f"{tail[:8]!r} was added at the end", request=evolve(request, body=body + tail))
    yield Changed(what="it was emptied", request=evolve(request, body=b""))


def _proofs(bench: AdapterBench, adapter: Adapter, request: HttpRequest) -> Iterator[Changed]:
    for name in proof_headers(bench, adapter, request):
        value = request.headers.get(name) or ""
        for what, text in _texts(value):
            yield Changed(what=f"{what} of {name}", request=_with_header(request, name, text))
    for place, (name, value) in enumerate(request.query):
        if understood(bench, adapter, _with_query(request, place)) is not None:
            continue
        for what, text in _texts(value):
            yield Changed(what=f"{what} of {name} in the query", request=_with_query(request, place, (name, text)))
    if bench.subject.spec.proof is Proof.BEARER:
        for secret in bench.subject.secrets.values():
            for what, text in _texts(secret) if secret.encode() in request.body else ():
                body = request.body.replace(secret.encode(), text.encode())
                yield Changed(what=f"{what} of the secret in the body", request=evolve(request, body=body))


def _with_query(request: HttpRequest, place: int, *pairs: tuple[str, str]) -> HttpRequest:
    kept = [*request.query[:place], *pairs, *request.query[place + 1 :]]
    return evolve(request, url=f"{request.path}?{urlencode(kept)}" if kept else request.path)


def _texts(value: str) -> Iterator[tuple[str, str]]:
    for place, char in enumerate(value):
        if char.isspace():
            continue
        other = "1" if char != "1" else "2"
        yield f"character {place}", value[:place] + other + value[place + 1 :]
        shorter = value[:place] + value[place + 1 :]
        yield f"removing character {place}", shorter
    yield "adding a character to the end", value + "0"
    yield "adding a character to the front", "0" + value
    yield "cutting the half", value[: len(value) // 2]
    yield "emptying the value", ""


def _additions(bench: AdapterBench, adapter: Adapter, request: HttpRequest) -> Iterator[Changed]:
    joint = "&" if request.query_string else "?"
    words = _words(request)
    for name in words:
        yield Changed(
            what=f"{name} was added to the query", request=evolve(request, url=f"{request.url}{joint}{name}=other")
        )
        headers = Headers((*request.headers, (f"X-{name}", "other")))
        yield Changed(what=f"X-{name} was added to the header", request=evolve(request, headers=headers))
    needed = proof_headers(bench, adapter, request)
    for name, _ in request.headers:
        if name not in needed:
            yield Changed(what=f"{name} was changed", request=_with_header(request, name, "text/other"))
            yield Changed(what=f"{name} was removed", request=_without_header(request, name))


def _words(request: HttpRequest) -> tuple[str, ...]:
    """Names under which something may be read: those of the body, and the words that protocols use."""
    common = "user player currency amount user_id userId operation action game round session token".split()
    text = request.body.decode("utf-8", "replace")
    for sign in '{}[]":,&=<>/':
        text = text.replace(sign, " ")
    own = [word for word in text.split() if word.isidentifier() and len(word) <= 32]
    return tuple(dict.fromkeys([*own, *common]))[:40]
