"""SOFTSWISS itself, simulated: what it sends, how it reads the answers, and how it answers the hub.

Source: `reference/protocols/softswiss.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal, localcontext
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from croupier.contract import (
    AmountError,
    AuthenticationError,
    Credentials,
    CroupierError,
    Currencies,
    Effect,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    MovementKind,
    NotFoundError,
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
    ProviderRefusedError,
    UnsupportedOperationError,
    Verdict,
    read_json_object,
    write_json,
)
from croupier_softswiss import outbound
from croupier_softswiss.adapter import CAPABILITIES
from croupier_softswiss.mapping import TRANSIENT, ErrorCode
from croupier_softswiss.settings import SoftswissSettings
from croupier_softswiss.wire import AUTH_TOKEN, prove, signed_request

FINISHED: Final = "finished"
CANCELED: Final = "canceled"

_ACTIONS: Final[Mapping[MovementKind, str]] = {MovementKind.BET: "bet", MovementKind.WIN: "win"}


@frozen(kw_only=True)
class PeerGame:
    """One game of the simulated catalogue.

    Attributes:
        identifier: `<provider>:<game>`.
        title: Its name.
        has_freespins: Whether free spins can be issued in it.
    """

    identifier: str
    title: str
    has_freespins: bool = True


GAMES: Final = (
    PeerGame(identifier="acceptance:test", title="Acceptance Test"),
    PeerGame(identifier="acceptance:fruits", title="Acceptance Fruits"),
    PeerGame(identifier="acceptance:wheel", title="Acceptance Wheel", has_freespins=False),
    PeerGame(identifier="other:dice", title="Other Dice"),
)
"""What a peer offers unless it is told otherwise; no real game."""


@frozen(kw_only=True)
class PeerIssue:
    """Free spins as the peer keeps them.

    Attributes:
        content: The hub's request; a repeat with other content is refused.
        currency: The currency of the total.
        state: `active`, `finished` or `canceled`.
    """

    content: Mapping[str, Any] = field(repr=False)
    currency: str
    state: str = "active"


class SoftswissPeer(Peer):
    """A simulated SOFTSWISS.

    Args:
        settings: The settings of the connection it plays the other side of.
        games: Its catalogue; every catalogue address serves the whole of it.
        currencies: For the digits of currencies that the settings do not name.
    """

    capabilities = CAPABILITIES
    bet_on_silence = OnSilence.CANCELS
    combines = True

    def __init__(
        self,
        settings: SoftswissSettings,
        games: Sequence[PeerGame] = GAMES,
        currencies: Currencies | None = None,
    ) -> None:
        self.settings = settings
        self.games = {game.identifier: game for game in games}
        self.currencies = currencies or Currencies()
        self.issues: dict[str, PeerIssue] = {}
        self._launches: dict[str, PeerPlayer] = {}

    def request(self, action: PeerAction, credentials: Credentials, now: datetime) -> HttpRequest:
        match action:
            case PeerBalance(player=player):
                return self._signed("/play", _who(player), credentials)
            case PeerCloseRound(player=player, round=round_id):
                body = _who(player) | {"game_id": round_id, "finished": True}
                return self._signed("/play", body, credentials)
            case PeerPlay():
                return self._play(action, credentials)
            case PeerAuthenticate():
                raise UnsupportedOperationError("the protocol has no authentication", where="authenticate")

    def freespins_ended(
        self, issue: str, total: Decimal, credentials: Credentials, status: str = FINISHED
    ) -> HttpRequest:
        """The `/freespins` notification for free spins that the hub issued here.

        Args:
            issue: The `issue_id`.
            total: What was won, in major units.
            credentials: The connection's secrets.
            status: The provider's word; any but `active` ends them here too.

        Raises:
            NotFoundError: The hub issued no such free spins here.
        """
        known = self.issues.get(issue)
        if known is None:
            raise NotFoundError("no such free spins were issued here", where="issue_id")
        self.issues[issue] = evolve(known, state=status)
        return self._freespins(issue, status, self._subunits(total, known.currency), credentials)

    def answer(self, action: PeerAction, response: HttpResponse) -> PeerAnswer:
        try:
            body = read_json_object(response.body)
        except MalformedRequestError:
            return PeerAnswer(verdict=Verdict.RETRY, code="")
        balance = self._balance_of(action, body)
        if response.status != 200:
            code = body.get("code")
            definite = response.status < 500 and type(code) is int and code in set(ErrorCode) - TRANSIENT
            verdict = Verdict.REFUSED if definite else Verdict.RETRY
            return PeerAnswer(verdict=verdict, code=str(code), balance=balance)
        transactions = _transactions(body)
        if balance is None or (_action_ids(action) != tuple(transactions)):
            return PeerAnswer(verdict=Verdict.RETRY, code="200")
        transaction = next(iter(transactions.values()), None)
        return PeerAnswer(verdict=Verdict.DONE, code="200", balance=balance, transaction=transaction)

    def serve(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        path = urlsplit(request.url).path
        if request.method == "GET" and path in {urlsplit(url).path for url in self.settings.catalogue_urls}:
            return HttpResponse.json(self._catalogue())
        base = urlsplit(self.settings.api_url).path.rstrip("/")
        try:
            prove(request, credentials)
            return self._serve(request, path.removeprefix(base), now)
        except AuthenticationError:
            return _error(ErrorCode.FORBIDDEN)
        except ProviderRefusedError as refused:
            return _error(int(refused.provider_code))
        except (CroupierError, KeyError, TypeError, ValueError):
            return _error(ErrorCode.BAD_REQUEST)

    def launched(self, url: str) -> PeerPlayer:
        player = self._launches.get(url)
        if player is None:
            raise NotFoundError("this peer launched no such game", where="url")
        return player

    def _play(self, play: PeerPlay, credentials: Credentials) -> HttpRequest:
        kinds = {move.kind for move in play.moves}
        if kinds == {MovementKind.BONUS_WIN} and len(play.moves) == 1 and play.grant:
            total = self._subunits(play.moves[0].amount, play.player.currency)
            return self._freespins(play.grant, FINISHED, total, credentials)
        if play.grant is not None:
            raise UnsupportedOperationError("only the total of free spins names its issue", where="grant")
        body = _who(play.player) | {"game_id": play.round, "finished": play.closes_round}
        if play.player.session:
            body["session_id"] = play.player.session
        if kinds == {MovementKind.ROLLBACK}:
            body["actions"] = [_undo(move) for move in play.moves]
            return self._signed("/rollback", body, credentials)
        if kinds and kinds <= set(_ACTIONS):
            body["actions"] = [self._action(move, play.player.currency) for move in play.moves]
            return self._signed("/play", body, credentials)
        raise UnsupportedOperationError("one request holds bets and wins, or rollbacks, or one total", where="moves")

    def _action(self, move: PeerMove, currency: str) -> dict[str, Any]:
        return {
            "action": _ACTIONS[move.kind],
            "amount": self._subunits(move.amount, currency),
            "action_id": move.id,
        }

    def _freespins(self, issue: str, status: str, total: int, credentials: Credentials) -> HttpRequest:
        return self._signed("/freespins", {"issue_id": issue, "status": status, "total_amount": total}, credentials)

    def _signed(self, path: str, body: Mapping[str, Any], credentials: Credentials) -> HttpRequest:
        url = self.settings.callback_prefix + path
        return signed_request("POST", url, body, credentials.current(AUTH_TOKEN), Effect.ONCE)

    def _digits(self, currency: str) -> int:
        digits = self.settings.subunits.get(currency)
        return self.currencies.get(currency).scale if digits is None else digits

    def _subunits(self, amount: Decimal, currency: str) -> int:
        with localcontext() as context:
            context.prec = 60
            subunits = amount.scaleb(self._digits(currency))
            whole = subunits.to_integral_value(rounding=ROUND_DOWN)
        if whole != subunits:
            raise AmountError(f"{amount} has more digits than the wire keeps", where=currency)
        return int(whole)

    def _balance_of(self, action: PeerAction, body: Mapping[str, Any]) -> Decimal | None:
        balance = body.get("balance")
        if type(balance) is not int:
            return None
        with localcontext() as context:
            context.prec = 60
            return Decimal(balance).scaleb(-self._digits(action.player.currency))

    def _serve(self, request: HttpRequest, operation: str, now: datetime) -> HttpResponse:
        body = read_json_object(request.body)
        if request.method != "POST":
            raise _refused(ErrorCode.NOT_FOUND)
        if body["casino_id"] != self.settings.casino_id:
            raise _refused(ErrorCode.FORBIDDEN)
        match operation:
            case outbound.SESSIONS:
                return self._launch(body, str(body["user"]["id"]))
            case outbound.DEMO:
                return self._launch(body, "")
            case outbound.ISSUE:
                return self._issue(body, now)
            case outbound.CANCEL:
                return self._cancel(str(body["issue_id"]))
            case _:
                raise _refused(ErrorCode.NOT_FOUND)

    def _launch(self, body: Mapping[str, Any], player: str) -> HttpResponse:
        game = str(body["game"])
        if game not in self.games:
            raise _refused(ErrorCode.GAME_UNAVAILABLE)
        session = f"peer-session-{len(self._launches) + 1}"
        url = f"https://games.softswiss.example/launch/{session}"
        self._launches[url] = PeerPlayer(
            player=player, token="", game=game, currency=str(body["currency"]), session=session
        )
        options = {"game_url": url, "strategy": "iframe"}
        return HttpResponse.json(write_json({"launch_options": options, "session_id": session}))

    def _issue(self, body: Mapping[str, Any], now: datetime) -> HttpResponse:
        issue = str(body["issue_id"])
        known = self.issues.get(issue)
        if known is not None:
            if known.content != body:
                raise _refused(610)
            return HttpResponse.json(b"{}")
        games = [str(game) for game in body["games"]]
        if not games:
            raise _refused(602)
        if any(game not in self.games for game in games):
            raise _refused(ErrorCode.GAME_UNAVAILABLE)
        if len({game.partition(":")[0] for game in games}) > 1:
            raise _refused(607)
        if not all(self.games[game].has_freespins for game in games):
            raise _refused(601)
        if int(body["freespins_quantity"]) < 1 or not body["user"]["id"]:
            raise _refused(610)
        if datetime.strptime(body["valid_until"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) <= now:
            raise _refused(611)
        self.issues[issue] = PeerIssue(content=body, currency=str(body["currency"]))
        return HttpResponse.json(b"{}")

    def _cancel(self, issue: str) -> HttpResponse:
        known = self.issues.get(issue)
        if known is None:
            raise _refused(ErrorCode.NOT_FOUND)
        if known.state not in {"active", CANCELED}:
            raise _refused(620)
        self.issues[issue] = evolve(known, state=CANCELED)
        return HttpResponse.json(b"{}")

    def _catalogue(self) -> bytes:
        return write_json([_entry(game) for game in self.games.values()])


def _entry(game: PeerGame) -> Mapping[str, Any]:
    provider, _, name = game.identifier.partition(":")
    return {
        "identifier": game.identifier,
        "identifier2": name,
        "title": game.title,
        "provider": provider,
        "producer": provider,
        "category": "slots",
        "feature_group": "basic",
        "devices": ["desktop", "mobile"],
        "has_freespins": game.has_freespins,
        "payout": "96.5",
        "volatility_rating": "medium",
        "restrictions": {"default": {"blacklist": ["US"]}},
        "lines": 20,
    }


def _who(player: PeerPlayer) -> dict[str, Any]:
    return {"user_id": player.player, "currency": player.currency, "game": player.game}


def _undo(move: PeerMove) -> dict[str, Any]:
    if move.target is None:
        raise UnsupportedOperationError("a rollback names the action it undoes", where=move.id)
    return {"action": "rollback", "action_id": move.id, "original_action_id": move.target}


def _action_ids(action: PeerAction) -> tuple[str, ...]:
    if not isinstance(action, PeerPlay) or action.grant is not None:
        return ()
    return tuple(move.id for move in action.moves)


def _transactions(body: Mapping[str, Any]) -> dict[str, str]:
    rows = body.get("transactions", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return {"": ""}
    return {str(row.get("action_id")): str(row.get("tx_id")) for row in rows}


def _refused(code: int) -> ProviderRefusedError:
    return ProviderRefusedError("refused", provider_code=str(int(code)))


def _error(code: int) -> HttpResponse:
    status = next((known.status for known in ErrorCode if known == code), 412)
    return HttpResponse.json(write_json({"code": int(code), "message": "refused"}), status)
