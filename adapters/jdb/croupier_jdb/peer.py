"""JDB itself, simulated: what it sends, how it reads the answers. What it serves stands in `croupier_jdb.peer_api`.

Written from `reference/protocols/jdb.md`, sections "Wallet callbacks" and "Retry".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from croupier.contract import (
    FORM_HEADERS,
    Credentials,
    HttpRequest,
    HttpResponse,
    MovementKind,
    OnSilence,
    Peer,
    PeerAction,
    PeerAnswer,
    PeerAuthenticate,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    UnsupportedOperationError,
    UpstreamError,
    Verdict,
    epoch_ms,
    told_by,
)
from croupier_jdb import cipher
from croupier_jdb.adapter import CAPABILITIES
from croupier_jdb.outbound import split_game
from croupier_jdb.peer_api import ServedApi
from croupier_jdb.settings import JdbSettings

GET_BALANCE: Final = 6
CANCEL_BET_N_SETTLE: Final = 4
CANCEL_BET: Final = 11
CANCEL_WITHDRAW: Final = 15
FREE_SPIN_HISTORY: Final = 17

_ACTIONS: Final[Mapping[MovementKind, int]] = {
    MovementKind.BET_AND_WIN: 8,
    MovementKind.BET: 9,
    MovementKind.WIN: 10,
    MovementKind.ROLLBACK: CANCEL_BET,
    MovementKind.PROMO_WIN: 12,
    MovementKind.TRANSFER_OUT: 13,
    MovementKind.TRANSFER_IN: 14,
    MovementKind.BONUS_WIN: 16,
}
_CANCELS: Final[Mapping[MovementKind | None, int]] = {
    MovementKind.BET_AND_WIN: CANCEL_BET_N_SETTLE,
    MovementKind.TRANSFER_OUT: CANCEL_WITHDRAW,
}
_COMPLETE: Final = frozenset({MovementKind.WIN, MovementKind.BET_AND_WIN})
_STAKES: Final = frozenset({8, 9, 13})
_WITH_TEXT: Final = frozenset({9, 10, 11})
_WITH_NUMBER: Final = frozenset({6, 8, 12, 16})
_AGAIN: Final = frozenset({"9009", "9017"})
_REFUSALS: Final = frozenset("6002 6006 6101 7501 8000 9001 9005 9007 9011 9013 9015 9998 9999".split())
_FINAL: Final = frozenset("6101 7501 8000 9001 9007 9011 9015".split())
"""JDB sends what is owed again until it is answered 0000, for an hour or for twelve. At these codes no resend can
change the answer, so the peer stops at once, as JDB does in the end."""
_LARGEST: Final = 2**63


class JdbPeer(ServedApi, Peer):
    """A simulated JDB. Its requests are pure; it keeps launches, events of free spins and, by `record`, the log.

    A rollback says what it undoes: a bet that came with its win (4), a stake that was transferred out (15), or else a
    prepaid bet (11).

    Args:
        settings: The settings of the connection that it plays the other side of.
    """

    capabilities = CAPABILITIES
    bet_on_silence = OnSilence.CANCELS
    nets = True

    def __init__(self, settings: JdbSettings) -> None:
        super().__init__(settings)

    def request(self, action: PeerAction, credentials: Credentials, now: datetime) -> HttpRequest:
        match action:
            case PeerBalance(player=player):
                return _sealed(GET_BALANCE, _who(player), credentials, now)
            case PeerPlay(moves=(move,)) if move.kind in _ACTIONS:
                return _sealed(_action(move), _movement(action, move, now), credentials, now)
            case PeerPlay():
                raise UnsupportedOperationError("a request carries one transfer", where="moves")
            case PeerAuthenticate() | PeerCloseRound():
                raise UnsupportedOperationError("the protocol has no such request", where=type(action).__name__)

    def free_spin_played(self, play: PeerPlay, credentials: Credentials, now: datetime) -> HttpRequest:
        """The history (17) of one free spin: a bet and a win that move nothing."""
        (move,) = play.moves
        fields = {
            "transferId": number(move.id),
            "historyId": play.round,
            "gameDate": now.isoformat(timespec="milliseconds"),
            "bet": -move.amount,
            "win": move.win_amount or Decimal(0),
            "eventId": play.grant,
            "eventName": "event",
        }
        return _sealed(FREE_SPIN_HISTORY, {**fields, **_who(play.player), **_game(play.player)}, credentials, now)

    def answer(self, action: PeerAction, response: HttpResponse) -> PeerAnswer:
        return self.understood(_action(action.moves[0]) if isinstance(action, PeerPlay) else GET_BALANCE, response)

    def understood(self, action: int, response: HttpResponse) -> PeerAnswer:
        """An answer to an action as JDB understands it: what is not formatted rightly is no answer."""
        try:
            told = told_by(response)
            status = told.text("status", 4)
        except UpstreamError:
            return PeerAnswer(verdict=Verdict.RETRY, code=f"http {response.status}")
        if response.status != 200 or (status not in _AGAIN | _REFUSALS and status != "0000"):
            return PeerAnswer(verdict=Verdict.RETRY, code=status)
        if action == CANCEL_BET_N_SETTLE:
            return PeerAnswer(verdict=_CANCELLED.get(status, Verdict.DONE), code=status)
        if status != "0000":
            once = action in _STAKES or action == GET_BALANCE
            definite = status not in _AGAIN if once else status in _FINAL
            return PeerAnswer(verdict=Verdict.REFUSED if definite else Verdict.RETRY, code=status)
        balance = told.values.get("balance")
        if action in _WITH_TEXT | _WITH_NUMBER:
            wanted = str if action in _WITH_TEXT else (int, Decimal)
            if not isinstance(balance, wanted) or isinstance(balance, bool):
                return PeerAnswer(verdict=Verdict.RETRY, code="no balance")
            return PeerAnswer(verdict=Verdict.DONE, code=status, balance=Decimal(balance))
        return PeerAnswer(verdict=Verdict.DONE, code=status)


_CANCELLED: Final[Mapping[str, Verdict]] = {"6101": Verdict.REFUSED, "9017": Verdict.RETRY}
"""What answers a cancellation of 8, other than by "cancelled": the record is recovered, or asked for again."""


def _action(move: PeerMove) -> int:
    return _CANCELS.get(move.undoes, CANCEL_BET) if move.kind is MovementKind.ROLLBACK else _ACTIONS[move.kind]


def number(id: str) -> int | str:
    """An id on the wire. JDB's are whole numbers; whoever drives the peer may have ids of another kind."""
    whole = id.isascii() and id.isdigit() and len(id) <= 19 and str(int(id)) == id
    return int(id) if whole and int(id) < _LARGEST else id


def _sealed(action: int, fields: Mapping[str, Any], credentials: Credentials, now: datetime) -> HttpRequest:
    text = cipher.seal({"action": action, "ts": epoch_ms(now), **fields}, credentials)
    return HttpRequest("POST", "/", FORM_HEADERS, f"{cipher.ENVELOPE}={text}".encode("ascii"))


def _who(player: PeerPlayer) -> dict[str, Any]:
    return {"uid": player.player, "currency": player.currency}


def _game(player: PeerPlayer) -> dict[str, Any]:
    of_type, machine = split_game(player.game)
    return {"gType": int(of_type), "mType": int(machine)}


def _movement(play: PeerPlay, move: PeerMove, now: datetime) -> dict[str, Any]:
    if play.closes_round and move.kind not in _COMPLETE:
        raise UnsupportedOperationError("only a settlement ends a round", where=move.kind.value)
    if (play.grant is not None) is not (move.kind is MovementKind.BONUS_WIN):
        raise UnsupportedOperationError("an event belongs to its payout alone", where=move.kind.value)
    fields = {"transferId": number(move.id), **_who(play.player)}
    dates = {"reportDate": now.strftime("%d-%m-%Y"), "gameDate": now.strftime("%d-%m-%Y %H:%M:%S")}
    match move.kind:
        case MovementKind.PROMO_WIN:
            activity = {"activityNo": 1, "activityName": "activity", "activityDate": dates["reportDate"]}
            return {**fields, **activity, "amount": move.amount}
        case MovementKind.BONUS_WIN:
            won = {"eventId": number(play.grant or ""), "amount": move.amount, "accumulatedWin": move.amount}
            return {**fields, **won, "cashoutTime": now.isoformat(timespec="milliseconds")}
        case MovementKind.BET_AND_WIN:
            payout = move.win_amount or Decimal(0)
            # An exact difference: the default context rounds from 28 digits on.
            net = Decimal(int(payout.scaleb(8)) - int(move.amount.scaleb(8))).scaleb(-8)
            sums = {"bet": -move.amount, "win": payout, "netWin": net, "mb": move.amount, "gambleBet": 0, "denom": 1}
            return {**fields, "historyId": play.round, **_game(play.player), **dates, **sums}
        case MovementKind.TRANSFER_OUT:
            return {**fields, "amount": move.amount, **_game(play.player)}
        case MovementKind.TRANSFER_IN:
            more = {"amount": move.amount, "refTransferIds": _reference(move), "totalBet": 0, "totalWin": 0}
            return {**fields, **more, **_game(play.player)}
        case MovementKind.ROLLBACK if move.undoes is MovementKind.BET_AND_WIN:
            # It has the id of what it cancels, and none of its own.
            (id_,) = _reference(move)
            return {**fields, "transferId": id_, "historyId": play.round, **_game(play.player)}
        case MovementKind.ROLLBACK if move.undoes is MovementKind.TRANSFER_OUT:
            (id_,) = _reference(move)
            return {**fields, "amount": move.amount, "refTransferId": id_, **_game(play.player)}
        case _:
            return _prepaid(play, move, fields, dates)


def _prepaid(play: PeerPlay, move: PeerMove, fields: dict[str, Any], dates: Mapping[str, str]) -> dict[str, Any]:
    """A bet, its settlement or its cancellation."""
    fields |= {"amount": move.amount, "gameRoundSeqNo": play.round, **_game(play.player)}
    if move.kind is MovementKind.BET:
        return fields
    fields["refTransferIds"] = _reference(move)
    if move.kind is MovementKind.WIN:
        sums = {"bet": 0, "validBet": 0, "win": move.amount, "netWin": move.amount, "tax": 0, "commission": 0}
        fields |= {"historyId": play.round, **dates, **sums, "roundClosed": play.closes_round}
    return fields


def _reference(move: PeerMove) -> list[int | str]:
    if move.target is None:
        raise UnsupportedOperationError("what it refers to must be named", where=move.id)
    return [number(move.target)]
