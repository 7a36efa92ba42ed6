"""Requests that no dialect would write: another value in one place, another body, another signature.

It knows no protocol. Where a value stands is found by writing two calls that differ in it alone; which header fields
prove a request, by signing it with two secrets.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final

from attrs import evolve
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from croupier.contract import (
    Credentials,
    CroupierError,
    Headers,
    HttpRequest,
    Money,
    UnsupportedOperationError,
    WalletCall,
    WalletMove,
)
from croupier_conformance.certification.rule import RuleNotApplicableError
from croupier_conformance.certification.wallet_story import Story

Path = tuple[str | int, ...]

_MARK: Final = "certification-puts-a-value-here"


def forged(story: Story, request: HttpRequest, body: bytes) -> HttpRequest:
    """The request with another body, correctly signed.

    Raises:
        RuleNotApplicableError: The dialect cannot sign what it did not write.
    """
    changed = HttpRequest(request.method, request.url, request.headers, body, request.effect)
    try:
        return story.subject.dialect.signed_anew(changed, story.subject.credentials, story.subject.now())
    except UnsupportedOperationError:
        raise RuleNotApplicableError("the dialect cannot sign what it did not write") from None


def amount_of(story: Story, move: WalletMove) -> Path:
    """Where a movement's amount stands in its body."""
    other = Money(move.movement.amount.minor + 1, move.movement.amount.currency)
    return _place(story, move, evolve(move, movement=evolve(move.movement, amount=other)))


def transaction_of(story: Story, move: WalletMove) -> Path:
    """Where a movement's id stands in its body."""
    return _place(story, move, evolve(move, movement=evolve(move.movement, transaction=story.id("another id"))))


def player_of(story: Story, move: WalletMove) -> Path:
    """Where the player stands in a movement's body."""
    return _place(story, move, evolve(move, player=evolve(move.player, player=f"{move.player.player}x")))


def with_value(story: Story, call: WalletCall, path: Path, value: str | None) -> HttpRequest:
    """A call's request with another value in one place, correctly signed.

    Args:
        story: The rule's story.
        call: What is written first.
        path: The place.
        value: The value as JSON text; `None` takes the field away.
    """
    request = story.written(call)
    tree = _object(request)
    parent: Any = tree
    for step in path[:-1]:
        parent = parent[step]
    if value is None:
        del parent[path[-1]]
        return forged(story, request, json.dumps(tree).encode())
    parent[path[-1]] = _MARK
    return forged(story, request, json.dumps(tree).replace(f'"{_MARK}"', value).encode("utf-8", "surrogatepass"))


def with_field(story: Story, call: WalletCall, name: str, value: str) -> HttpRequest:
    """A call's request with one more field at its top, correctly signed; `value` is JSON text."""
    _object(story.written(call))
    return with_value(story, call, (name,), value)


def value_at(story: Story, call: WalletCall, path: Path) -> Any:
    """What stands in a place of a call's body."""
    found: Any = _object(story.written(call))
    for step in path:
        found = found[step]
    return found


def another_secret(credentials: Credentials) -> Credentials:
    """Secrets of the same form that nobody has."""
    return Credentials({name: tuple(map(_altered, values)) for name, values in credentials.values.items()})


def unproven(story: Story, call: WalletCall) -> HttpRequest:
    """A call's request without the header fields that prove it.

    Raises:
        RuleNotApplicableError: Nothing in its header depends on the secret.
    """
    now = story.subject.now()
    ours = story.subject.dialect.request(call, story.subject.credentials, now)
    theirs = signed_by_another(story, call).headers
    kept = tuple((name, value) for name, value in ours.headers if theirs.get(name) == value)
    if len(kept) == len(ours.headers.items):
        raise RuleNotApplicableError("this protocol proves nothing in its header")
    return HttpRequest(ours.method, ours.url, Headers(kept), ours.body, ours.effect)


def signed_by_another(story: Story, call: WalletCall) -> HttpRequest:
    """A call's request, signed with secrets that the wallet does not know.

    Raises:
        RuleNotApplicableError: The dialect has no secret, or one that cannot be made up.
    """
    if not story.subject.credentials.values:
        raise RuleNotApplicableError("this protocol has no secret")
    try:
        return story.subject.dialect.request(call, another_secret(story.subject.credentials), story.subject.now())
    except CroupierError:
        raise RuleNotApplicableError("a secret of this form cannot be made up") from None


def with_altered_proof(story: Story, call: WalletCall) -> HttpRequest:
    """A call's request whose proof is right but for one character near its end.

    Raises:
        RuleNotApplicableError: As `signed_by_another`, or no header field carries the proof.
    """
    request, other = story.written(call), signed_by_another(story, call)
    differs = {name for name, value in request.headers if value != other.headers.get(name, value)}
    if not differs:
        raise RuleNotApplicableError("no header field carries this protocol's proof")
    items = tuple([(name, _altered_tail(value) if name in differs else value) for name, value in request.headers])
    return HttpRequest(request.method, request.url, Headers(items), request.body, request.effect)


def _altered_tail(value: str) -> str:
    """The text with a character near its end changed: the last ones may say nothing in base64."""
    place = max(len(value) - 6, 0)
    return value[:place] + ("0" if value[place : place + 1] != "0" else "1") + value[place + 1 :]


def _altered(secret: str) -> str:
    """Another key of the same kind, or the text with one character in the middle changed for another of its kind."""
    if "PRIVATE KEY-----" in secret:
        return _another_key(secret)
    for place in range(len(secret) // 2, len(secret)):
        letter = secret[place]
        if letter.isalnum() and letter.isascii():
            first, second = ("0", "1") if letter.isdigit() else ("a", "b") if letter.islower() else ("A", "B")
            return secret[:place] + (second if letter == first else first) + secret[place + 1 :]
    return f"{secret}a"


@lru_cache(maxsize=8)
def _another_key(pem: str) -> str:
    """An RSA key of the same size that nobody has; what is no RSA key stays as it is, less its end."""
    try:
        known = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return pem[:-1]
    if not isinstance(known, rsa.RSAPrivateKey):
        return pem[:-1]
    made = rsa.generate_private_key(public_exponent=65_537, key_size=known.key_size)
    kept = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.private_bytes(serialization.Encoding.PEM, *kept).decode()


def _place(story: Story, one: WalletMove, other: WalletMove) -> Path:
    found = _differing(_object(story.written(one)), _object(story.written(other)))
    if not found:
        raise RuleNotApplicableError("the body does not show where this value stands")
    return found[0]


def _differing(one: Any, other: Any) -> list[Path]:
    """The places of the leaves that differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [key for key in one if key in other]
        return [(key, *rest) for key in keys for rest in _differing(one[key], other[key])]
    if isinstance(one, list) and isinstance(other, list):
        pairs = enumerate(zip(one, other, strict=False))
        return [(number, *rest) for number, (left, right) in pairs for rest in _differing(left, right)]
    return [] if one == other else [()]


def _object(request: HttpRequest) -> dict[str, Any]:
    try:
        tree = json.loads(request.body)
    except ValueError:
        tree = None
    if not isinstance(tree, dict):
        raise RuleNotApplicableError("this protocol's requests are no JSON objects")
    return tree
