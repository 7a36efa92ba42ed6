"""Hypothesis strategies: amounts, ids, policies, what a provider asks for, and requests that were tampered with.

What a provider asks for follows from its peer's declared capabilities alone; no strategy knows a protocol.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from attrs import evolve, frozen
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from croupier.contract import (
    Capability,
    Currency,
    Headers,
    HttpRequest,
    LateOriginal,
    MovementKind,
    OnSilence,
    Peer,
    PeerAction,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    Policy,
    RollbackAfterWin,
    RolledBackRepeat,
    UnknownRollback,
    WalletPolicy,
    WinWithoutBet,
    minor_to_decimal,
)

CURRENCIES: Final = (
    Currency("JPY", 0),
    Currency("EUR", 2),
    Currency("KWD", 3),
    Currency("USDT", 6),
    Currency("BTC", 8),
)
"""One currency of each scale that is common."""

NOBODY: Final = PeerPlayer(player="", token="", game="", currency="")
"""Stands for the player in drawn actions until one is seated: see `seated`."""

_ID_SIGNS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:"

_SIGNS: Final = st.characters(exclude_categories=["Cs"])
"""What `st.text` draws from by itself; to find out which that are takes hypothesis a second in each process."""


def currencies() -> SearchStrategy[Currency]:
    """A currency with 0, 2, 3, 6 or 8 digits."""
    return st.sampled_from(CURRENCIES)


def amounts(scale: int = 2, *, least: int = 0, largest: int = 10_000) -> SearchStrategy[Decimal]:
    """An exact amount in major units that has no more digits than the scale.

    Args:
        scale: The currency's scale.
        least: In minor units.
        largest: In minor units.
    """
    return st.integers(least, largest).map(lambda minor: minor_to_decimal(minor, scale))


def not_amounts() -> SearchStrategy[str]:
    """Texts that stand where an amount should, and are none."""
    return st.sampled_from(
        ["", " ", "NaN", "-NaN", "Infinity", "-Infinity", "1e400", "1E5", "0x10", "1,00", "1.2.3", "--1", "1_000", "１"]
    )


def ids(longest: int = 64) -> SearchStrategy[str]:
    """An id as providers write them: printable, no blanks."""
    return st.text(_ID_SIGNS, min_size=1, max_size=longest)


def policies(**fixed: Any) -> SearchStrategy[Policy]:
    """A policy with every knob that decides about money drawn, and the rest as it is by default or `fixed`."""
    drawn: dict[str, SearchStrategy[Any]] = {
        "on_silence": st.sampled_from(OnSilence),
        "unknown_rollback": st.sampled_from(UnknownRollback),
        "late_original": st.sampled_from(LateOriginal),
        "rolled_back_repeat": st.sampled_from(RolledBackRepeat),
        "rollback_after_win": st.sampled_from(RollbackAfterWin),
        "rollback_of_win": st.booleans(),
        "win_without_bet": st.sampled_from(WinWithoutBet),
        "bet_on_closed_round": st.booleans(),
    }
    return st.builds(Policy, **{**drawn, **{name: st.just(value) for name, value in fixed.items()}})


def wallet_policies() -> SearchStrategy[WalletPolicy]:
    """What may be known of a wallet."""
    return st.builds(WalletPolicy, retry_safe=st.booleans(), tombstones=st.booleans(), timeout_ms=st.just(2_000))


# --- what a provider asks for -----------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Possible:
    """Everything that one story may ask for: an id always has the same content, so that nothing is a conflict.

    Attributes:
        bets: Requests with a bet.
        payouts: Requests with wins alone.
        rollbacks: Rollbacks of bets and, where the protocol has that, of wins.
        ends: Ends of rounds.
        balances: Questions for the balance.
    """

    bets: tuple[PeerPlay, ...]
    payouts: tuple[PeerPlay, ...]
    rollbacks: tuple[PeerPlay, ...]
    ends: tuple[PeerAction, ...]
    balances: tuple[PeerBalance, ...] = (PeerBalance(player=NOBODY),)

    @property
    def every(self) -> tuple[PeerAction, ...]:
        """All of it."""
        return (*self.bets, *self.payouts, *self.rollbacks, *self.ends, *self.balances)


@st.composite
def possible_actions(
    draw: DrawFn, /, peer: Peer, *, scale: int = 2, rounds: int = 2, largest: int = 500, mark: str = ""
) -> Possible:
    """What a provider may ask for one player in a few rounds, by what its peer declares.

    Args:
        draw: Hypothesis'.
        peer: The provider.
        scale: The currency's scale.
        rounds: How many rounds there are.
        largest: The largest bet in minor units; wins are up to twice as much.
        mark: Begins every id, to tell stories apart.
    """
    stakes, prizes = amounts(scale, least=1, largest=largest), amounts(scale, largest=2 * largest)
    bets: list[PeerPlay] = []
    payouts: list[PeerPlay] = []
    rollbacks: list[PeerPlay] = []
    ends: list[PeerAction] = []
    for number in range(1, rounds + 1):
        name = f"{mark}round-{number}"
        placed = [_move(MovementKind.BET, f"{name}-b{place}", draw(stakes)) for place in (1, 2)]
        won = [
            evolve(_move(MovementKind.WIN, f"{name}-w{place}", draw(prizes)), target=placed[0].id) for place in (1, 2)
        ]
        bets += [_play(name, bet) for bet in placed]
        payouts += [_play(name, win) for win in won]
        rollbacks += [_undo(peer, name, bet) for bet in placed]
        if Capability.ROLLBACK_WIN in peer.capabilities:
            rollbacks.append(_undo(peer, name, won[0]))
        if peer.combines and Capability.BATCH in peer.capabilities:
            both = (
                _move(MovementKind.BET, f"{name}-b3", draw(stakes)),
                _move(MovementKind.WIN, f"{name}-w3", draw(prizes)),
            )
            bets.append(_play(name, *both))
            rollbacks.append(_undo(peer, name, *both))
        if Capability.CLOSE_ROUND in peer.capabilities:
            ends.append(PeerCloseRound(player=NOBODY, round=name))
        if not peer.closes_by_call:
            last = evolve(_move(MovementKind.WIN, f"{name}-w4", draw(prizes)), target=placed[0].id)
            payouts.append(evolve(_play(name, last), closes_round=True))
    return Possible(bets=tuple(bets), payouts=tuple(payouts), rollbacks=tuple(rollbacks), ends=tuple(ends))


@st.composite
def stories(draw: DrawFn, /, peer: Peer, *, most: int = 8, **how: Any) -> tuple[PeerAction, ...]:
    """Actions in any order, each any number of times: `most` at most. Further arguments are `possible_actions`'."""
    possible = draw(possible_actions(peer, **how))
    # Bets come up more often: without one in its round, most other things are dull.
    pool = (*possible.bets, *possible.bets, *possible.every)
    return tuple(draw(st.lists(st.sampled_from(pool), min_size=1, max_size=most)))


def seated(action: PeerAction, player: PeerPlayer) -> PeerAction:
    """The action of a player who sits at the provider."""
    return evolve(action, player=player)


def undoing(peer: Peer, play: PeerPlay) -> PeerPlay:
    """The rollback of everything that a play moves, under ids that follow from its own."""
    return evolve(_undo(peer, play.round, *play.moves), player=play.player)


def _move(kind: MovementKind, id: str, amount: Decimal) -> PeerMove:
    return PeerMove(kind=kind, id=id, amount=amount)


def _play(name: str, *moves: PeerMove) -> PeerPlay:
    return PeerPlay(player=NOBODY, round=name, moves=moves)


def _undo(peer: Peer, name: str, *moves: PeerMove) -> PeerPlay:
    undone = (
        PeerMove(
            kind=MovementKind.ROLLBACK,
            id=move.id if peer.rollback_key_is_target else f"{move.id}-undo",
            amount=move.amount,
            target=move.id,
        )
        for move in moves
    )
    return _play(name, *undone)


# --- requests that were tampered with ---------------------------------------------------------------------------------


def tampered(request: HttpRequest) -> SearchStrategy[HttpRequest]:
    """A proven request after somebody changed it on its way: bytes of the body, header fields, method or query.

    Most of them must be refused. A few say the same in other bytes (another case of a hexadecimal proof, an empty
    field more): those may be taken for the original, and for nothing else.
    """
    kinds: list[SearchStrategy[HttpRequest]] = [
        _bodies(request.body).map(lambda body: evolve(request, body=body)),
        _headers(request.headers).map(lambda headers: evolve(request, headers=headers)),
        st.sampled_from(["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]).map(
            lambda method: evolve(request, method=method)
        ),
    ]
    return st.one_of(kinds).filter(lambda changed: changed != request)


def strange_bodies(most: int = 512) -> SearchStrategy[bytes]:
    """Bytes that nobody signed: noise, JSON of any shape, forms of any shape."""
    json_like = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(_SIGNS, max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(_SIGNS, max_size=8), inner, max_size=3),
        max_leaves=8,
    )
    return st.one_of(
        st.binary(max_size=most),
        json_like.map(_as_json),
        st.dictionaries(ids(8), st.text(_SIGNS, max_size=8), max_size=6).map(_as_form),
    )


def _bodies(body: bytes) -> SearchStrategy[bytes]:
    places = st.integers(0, max(len(body) - 1, 0))
    changes: list[SearchStrategy[bytes]] = [
        st.tuples(places, st.integers(1, 255)).map(lambda pair: _flipped(body, *pair)),
        places.map(lambda place: body[:place]),
        places.map(lambda place: body[place:] + body[:place]),
        st.tuples(places, st.binary(min_size=1, max_size=8)).map(
            lambda pair: body[: pair[0]] + pair[1] + body[pair[0] :]
        ),
        st.just(body + body),
        strange_bodies(),
    ]
    return st.one_of(changes)


def _headers(headers: Headers) -> SearchStrategy[Headers]:
    names = st.sampled_from([name for name, _ in headers] or ["X-Nothing"])
    texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=64)
    return st.one_of(
        names.map(lambda name: Headers(tuple(item for item in headers if item[0] != name))),
        names.map(lambda name: Headers((*headers, (name, headers.get(name) or "")))),
        st.tuples(names, texts).map(lambda pair: _with(headers, {pair[0]: pair[1]})),
    )


def _with(headers: Headers, values: Mapping[str, str]) -> Headers:
    return Headers(tuple((name, values.get(name, value)) for name, value in headers))


def _flipped(body: bytes, place: int, bits: int) -> bytes:
    return body[:place] + bytes([body[place] ^ bits]) + body[place + 1 :] if body else bytes([bits])


def _as_json(value: Any) -> bytes:

    return json.dumps(value).encode()


def _as_form(fields: Mapping[str, str]) -> bytes:
    return urlencode(fields, errors="replace").encode()
