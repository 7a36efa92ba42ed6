"""The same protocol proven in other ways, soundly and not: the kit's rules follow from the declared proof."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from attrs import evolve
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.certification.broken_adapters.made import sound

from croupier.contract import (
    AuthenticationError,
    Calls,
    Credentials,
    Headers,
    HttpRequest,
    PeerAction,
    Proof,
    Verified,
    from_epoch_ms,
    read_form,
    read_json_object,
    require_proof,
    write_json,
)
from croupier_conformance.certification.subject import AdapterSubject
from croupier_pragmatic import wire
from croupier_pragmatic.adapter import PragmaticAdapter
from croupier_pragmatic.peer import PragmaticPeer
from croupier_pragmatic.settings import SECRET
from croupier_softswiss.adapter import SoftswissAdapter
from croupier_softswiss.peer import SoftswissPeer
from croupier_softswiss.wire import AUTH_TOKEN

AUTHORIZATION = "Authorization"
NONCE = b"a test nonce"


class BearerPeer(SoftswissPeer):
    """Sends the secret as it is, in a header."""

    def request(self, action: PeerAction, credentials: Credentials, now: datetime) -> HttpRequest:
        request = super().request(action, credentials, now)
        return evolve(request, headers=Headers(((AUTHORIZATION, f"Bearer {credentials.current(AUTH_TOKEN)}"),)))


class BearerAdapter(SoftswissAdapter):
    """Believes whoever knows the secret."""

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        known = tuple([f"Bearer {token}" for token in credentials.every(AUTH_TOKEN) if token])
        require_proof(known, request.headers.get(AUTHORIZATION), where=AUTHORIZATION)
        return Verified(request)


class BelievesABeginning(SoftswissAdapter):
    """Compares as many characters as were sent."""

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        given = request.headers.get(AUTHORIZATION) or ""
        known = [f"Bearer {token}" for token in credentials.every(AUTH_TOKEN) if token]
        if not given or not any(one.startswith(given) for one in known):
            raise AuthenticationError("the secret is missing or wrong", where=AUTHORIZATION)
        return Verified(request)


class QueryPeer(SoftswissPeer):
    """Sends the secret in the query."""

    def request(self, action: PeerAction, credentials: Credentials, now: datetime) -> HttpRequest:
        request = super().request(action, credentials, now)
        token = urlencode({"token": credentials.current(AUTH_TOKEN)})
        return evolve(request, url=f"{request.url}?{token}", headers=Headers())


class QueryAdapter(SoftswissAdapter):
    """Reads the secret from the query."""

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        known = tuple([token for token in credentials.every(AUTH_TOKEN) if token])
        require_proof(known, dict(request.query).get("token"), where="token")
        return Verified(request)


class AsksForNothing(SoftswissAdapter):
    """Believes everybody, if only a secret is set."""

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        if not any(credentials.every(AUTH_TOKEN)):
            raise AuthenticationError("no secret is set")
        return Verified(request)


class SealedPeer(SoftswissPeer):
    """Encrypts the whole body."""

    def request(self, action: PeerAction, credentials: Credentials, now: datetime) -> HttpRequest:
        request = super().request(action, credentials, now)
        sealed = _cipher(credentials.current(AUTH_TOKEN)).encrypt(NONCE, request.body, None)
        return evolve(request, headers=Headers(), body=sealed)


class SealedAdapter(SoftswissAdapter):
    """Believes what it can decrypt."""

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        for token in credentials.every(AUTH_TOKEN):
            if not token:
                continue
            try:
                opened = _cipher(token).decrypt(NONCE, request.body, None)
            except (InvalidTag, ValueError):
                continue
            return Verified(request, read_json_object(opened))
        raise AuthenticationError("nobody who knows the key wrote this", where="body")

    def parse(self, verified: Verified) -> Calls:
        return super().parse(Verified(evolve(verified.request, body=write_json(dict(verified.fields)))))


class ReadsWithoutASeal(SealedAdapter):
    """Takes what is not encrypted for what is."""

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        try:
            return super().verify(request, credentials, now)
        except AuthenticationError:
            # The stream cipher's own work, without its tag.
            for token in credentials.every(AUTH_TOKEN):
                return Verified(request, {"user_id": "p", "currency": "EUR", "game": token[:1]})
            raise


class PartlySigningPeer(PragmaticPeer):
    """Leaves the amount out of the hash."""

    def request(self, action: PeerAction, credentials: Credentials, now: datetime) -> HttpRequest:
        request = super().request(action, credentials, now)
        fields = read_form(request.body)
        signed = {name: value for name, value in fields.items() if name != "amount"}
        fields[wire.HASH] = wire.sign(signed, credentials.current(SECRET))
        return evolve(request, body=urlencode(fields).encode("ascii"))


class ProvesPartOfTheFields(PragmaticAdapter):
    """Does not ask for the amount in the hash."""

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        fields = read_form(request.body)
        wire.refuse_ambiguous(fields)
        wire.prove({name: value for name, value in fields.items() if name != "amount"}, credentials)
        return Verified(request, fields)


class KeepsItsWindow(PragmaticAdapter):
    """Refuses what is older or newer than an hour."""

    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        verified = super().verify(request, credentials, now)
        told = str(verified.fields.get("timestamp", ""))
        number = int(told) if told.isascii() and told.isdigit() and len(told) <= 14 else None
        if number is not None and abs(now - from_epoch_ms(number)) > timedelta(hours=1):
            raise AuthenticationError("the request is of another hour", where="timestamp")
        return verified


def partly_signed(_folder: Path) -> AdapterSubject:
    """A subject whose hash covers all fields but the amount."""
    base = sound("pragmatic")
    return evolve(base, spec=evolve(base.spec, create=ProvesPartOfTheFields), peer=PartlySigningPeer)


def windowed(_folder: Path) -> AdapterSubject:
    """A subject whose requests are valid for an hour."""
    base = sound("pragmatic")
    return evolve(base, spec=evolve(base.spec, create=KeepsItsWindow))


def proven(
    proof: Proof, adapter: Callable[[Any], SoftswissAdapter], peer: type[SoftswissPeer]
) -> Callable[[Path], AdapterSubject]:
    """A subject that proves its requests in another way; it has no golden conversations."""
    return lambda _folder: evolve(
        sound(), spec=evolve(sound().spec, proof=proof, create=adapter), peer=peer, transcripts=None
    )


def _cipher(token: str) -> AESGCM:
    return AESGCM(sha256(token.encode()).digest())
