"""PG Soft simulated: what it answers to the hub's calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from html import escape
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

from attrs import frozen

from croupier.contract.calls import MovementKind
from croupier.contract.errors import AuthenticationError, CroupierError, NotFoundError
from croupier.contract.flows import Launched
from croupier.contract.http import HttpRequest, HttpResponse
from croupier.contract.peer import PeerPlay, PeerPlayer
from croupier.contract.secrets import Credentials
from croupier.contract.strict_json import write_json
from croupier.contract.times import epoch_ms
from croupier_pgsoft import wire
from croupier_pgsoft.settings import PgsoftSettings

GAMES: Final[Mapping[str, tuple[str, str]]] = {
    "126": ("Fortune Tiger", "fortune-tiger"),
    "98": ("Fortune Ox", "fortune-ox"),
}
"""What the peer offers: number to title and code."""

_LATE_MS: Final = 180_000
"""How late the log is written."""


@frozen(kw_only=True)
class FreeGame:
    """Free games that were given.

    Attributes:
        name: What the operator calls them.
        player: The alias.
        rounds: How many.
        games: In which games.
        bet: The value of one.
        currency: The currency's code.
    """

    name: str
    player: str
    rounds: int
    games: tuple[str, ...]
    bet: Decimal
    currency: str


@frozen(kw_only=True)
class Spin:
    """One booked spin, as the log shows it."""

    player: PeerPlayer
    round: str
    id: str
    bet: Decimal
    win: Decimal
    free: bool
    at: int

    def row(self) -> dict[str, Any]:
        """Its row."""
        return {
            "betId": self.id,
            "parentBetId": self.round,
            "playerName": self.player.player,
            "gameId": int(self.player.game),
            "currency": self.player.currency,
            "betType": 1,
            "transactionType": 3 if self.free else 1,
            "betAmount": self.bet,
            "winAmount": self.win,
            "handsStatus": 1,
            "rowVersion": self.at,
            "betTime": self.at,
            "betEndTime": self.at,
        }


class ServedApi:
    """The provider's own interfaces, with the proof of every call checked.

    Attributes:
        settings: The settings of the connection on the other side.
        free_games: By the id that the operator gave.
        kicked: Players whose games were ended.
        log: What was booked.
    """

    def __init__(self, settings: PgsoftSettings) -> None:
        self.settings = settings
        self.free_games: dict[str, FreeGame] = {}
        self.kicked: list[str] = []
        self.log: list[Spin] = []
        self._launched: dict[str, PeerPlayer] = {}
        self._methods: Mapping[str, Callable[[Mapping[str, list[str]], datetime], Any]] = {
            wire.GAMES: self._games,
            wire.FREE_GAMES: self._give,
            wire.LOGIN: lambda _fields, _now: {"operator_session": "peer-operator-session"},
            wire.KICK: self._kick,
            wire.HISTORY: self._history,
        }

    def record(self, action: PeerPlay, at: datetime) -> None:
        """Book a spin into the log, as the provider does once an answer told success."""
        for move in action.moves:
            free = action.grant is not None
            staked = move.kind in {MovementKind.BET, MovementKind.BET_AND_WIN}
            won = move.win_amount or Decimal(0) if staked else move.amount
            bet = move.amount if staked else Decimal(0)
            spin = Spin(
                player=action.player, round=action.round, id=move.id, bet=bet, win=won, free=free, at=epoch_ms(at)
            )
            self.log.append(spin)

    def launched(self, url: str) -> PeerPlayer:
        """The player of an address that the hub wrote: only the token and the game are known.

        Raises:
            NotFoundError: It is the address of no game here.
        """
        parts = urlsplit(url)
        return self._known(parts.path, dict(parse_qsl(parts.query)))

    def started(self, launch: Launched) -> PeerPlayer:
        """The player of a launch: by its page, or by its address.

        Raises:
            NotFoundError: No such launch.
        """
        if launch.url is not None:
            return self.launched(launch.url)
        player = self._launched.get(launch.html or "")
        if player is None:
            raise NotFoundError("this peer gave no such page", where="html")
        return player

    def serve(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        """Answer a call of the hub as the provider would."""
        known = [name for name in (*self._methods, wire.LAUNCHER) if request.path.endswith(name)]
        if request.method != "POST" or not known or not dict(request.query).get("trace_id"):
            return HttpResponse.text("no such method", 404)
        try:
            fields = parse_qs(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
            one = {name: values[0] for name, values in fields.items()}
            if self.settings.send_hash:
                wire.prove_hash(request, urlsplit(request.url).netloc, self.settings, credentials, now)
            if known[0] == wire.LAUNCHER:
                return self._launch(one)
            wire.prove(one, self.settings, credentials)
            data = self._methods[known[0]](fields, now)
        except AuthenticationError:
            return _refused("1204")
        except (CroupierError, KeyError, ValueError):
            return _refused("1034")
        return HttpResponse.json(write_json({"data": data, "error": None}))

    def _launch(self, fields: Mapping[str, str]) -> HttpResponse:
        if fields["operator_token"] != self.settings.operator_token or fields["url_type"] != "game-entry":
            return _refused("1204")
        player = self._known(fields["path"], dict(parse_qsl(fields["extra_args"], strict_parsing=True)))
        number = len(self._launched) + 1
        title = escape(GAMES[player.game][0])
        page = (
            f'<!DOCTYPE html><html lang="en"><head><title>{title}</title></head>'
            f'<body><script>start("peer-launch-{number}")</script></body></html>'
        )
        self._launched[page] = player
        return HttpResponse.text(page, content_type="text/html; charset=utf-8")

    def _known(self, path: str, arguments: Mapping[str, str]) -> PeerPlayer:
        game, _, page = path.strip("/").rpartition("/")
        real = arguments.get("btt") == "1"
        if game.rpartition("/")[2] not in GAMES or page != "index.html" or real is not bool(arguments.get("ops")):
            raise NotFoundError("this peer has no such game", where="path")
        return PeerPlayer(player="", token=arguments.get("ops", ""), game=game.rpartition("/")[2], currency="")

    def _games(self, fields: Mapping[str, list[str]], _now: datetime) -> Any:
        if not fields["currency"][0] or not fields["language"][0]:
            raise ValueError
        return [
            {"gameId": int(number), "gameName": title, "gameCode": code, "status": 1}
            for number, (title, code) in GAMES.items()
        ]

    def _give(self, fields: Mapping[str, list[str]], now: datetime) -> Any:
        games, id_ = tuple(fields["game_ids"]), fields["transaction_id"][0]
        if not set(games) <= GAMES.keys() or int(fields["expired_date"][0]) <= epoch_ms(now):
            raise ValueError
        given = FreeGame(
            name=fields["free_game_name"][0],
            player=fields["player_name"][0],
            rounds=int(fields["game_count"][0]),
            games=games,
            bet=Decimal(fields["bet_amount"][0]),
            currency=fields["currency"][0],
        )
        if self.free_games.setdefault(id_, given) != given:
            raise ValueError
        return {"free_game_id": list(self.free_games).index(id_) + 1}

    def _kick(self, fields: Mapping[str, list[str]], _now: datetime) -> Any:
        self.kicked.append(fields["player_name"][0])
        return {"action_result": 1}

    def _history(self, fields: Mapping[str, list[str]], now: datetime) -> Any:
        count, version = int(fields["count"][0]), int(fields["row_version"][0])
        if fields["bet_type"] != ["1"] or not 1500 <= count <= 5000:
            raise ValueError
        written = [spin for spin in self.log if version < spin.at <= epoch_ms(now) - _LATE_MS]
        return [spin.row() for spin in sorted(written, key=lambda spin: spin.at)[:count]]


def _refused(code: str) -> HttpResponse:
    return HttpResponse.json(write_json({"data": None, "error": {"code": code, "message": "refused"}}))
