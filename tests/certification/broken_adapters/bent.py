"""Sound adapters with one thing bent: what broken subjects are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from attrs import evolve

from croupier.contract import (
    Adapter,
    Call,
    Calls,
    Credentials,
    HttpResponse,
    Movement,
    Peer,
    Play,
    PlayResult,
    Result,
    Verified,
)
from croupier_conformance.certification.subject import AdapterSubject, load_adapter
from croupier_pragmatic.adapter import PragmaticAdapter
from croupier_softswiss.adapter import SoftswissAdapter

Parse = Callable[[Calls], Calls]
Bend = Callable[[Calls, Sequence[Result]], tuple[Result, ...]]


@cache
def _sound(slug: str) -> AdapterSubject:
    return load_adapter(slug)


def softswiss(adapter: Callable[[Any], Adapter] = SoftswissAdapter, peer: type[Peer] | None = None) -> AdapterSubject:
    """SOFTSWISS with another adapter or peer."""
    return _bent("softswiss", adapter, peer)


def pragmatic(adapter: Callable[[Any], Adapter] = PragmaticAdapter, peer: type[Peer] | None = None) -> AdapterSubject:
    """Pragmatic Play with another adapter or peer."""
    return _bent("pragmatic", adapter, peer)


def _bent(slug: str, adapter: Callable[[Any], Adapter], peer: type[Peer] | None) -> AdapterSubject:
    sound = _sound(slug)
    subject = evolve(sound, spec=evolve(sound.spec, create=adapter))
    return subject if peer is None else evolve(subject, peer=peer)


def reading(change: Parse, base: type[Any] = SoftswissAdapter) -> type[Any]:
    """An adapter that reads requests otherwise."""

    class Reads(base):  # type: ignore[misc] # a class that is known at run time
        def parse(self, verified: Verified) -> Calls:
            return change(super().parse(verified))

    return Reads


def telling(bend: Bend, base: type[Any] = SoftswissAdapter) -> type[Any]:
    """An adapter that answers other results than the engine gave it."""

    class Tells(base):  # type: ignore[misc] # same
        def render(
            self, calls: Calls, results: Sequence[Result], credentials: Credentials, now: datetime, nonce: str
        ) -> HttpResponse:
            told: HttpResponse = super().render(calls, bend(calls, results), credentials, now, nonce)
            return told

    return Tells


def each_play(change: Callable[[Play], Play]) -> Parse:
    """Every play otherwise."""

    def read(calls: Calls) -> Calls:
        items: tuple[Call, ...] = tuple(change(call) if isinstance(call, Play) else call for call in calls.items)
        return evolve(calls, items=items)

    return read


def each_movement(change: Callable[[Play, Movement], Movement]) -> Parse:
    """Every movement otherwise."""
    return each_play(lambda play: evolve(play, movements=tuple(change(play, item) for item in play.movements)))


def each_outcome(change: Callable[[Call, Any], Any]) -> Bend:
    """Every outcome otherwise, of whole plays and of their movements."""

    def bend(calls: Calls, results: Sequence[Result]) -> tuple[Result, ...]:
        return tuple(_bent_result(call, result, change) for call, result in zip(calls.items, results, strict=True))

    return bend


def _bent_result(call: Call, result: Any, change: Callable[[Call, Any], Any]) -> Any:
    bent = evolve(result, outcome=change(call, result.outcome))
    if not isinstance(result, PlayResult):
        return bent
    movements = tuple(evolve(item, outcome=change(call, item.outcome)) for item in result.movements)
    return evolve(bent, movements=movements)


def by_slug(*tables: Mapping[str, Any]) -> dict[str, Any]:
    """Several tables as one; no rule stands in two."""
    whole: dict[str, Any] = {}
    for table in tables:
        assert not whole.keys() & table.keys()
        whole |= table
    return whole
