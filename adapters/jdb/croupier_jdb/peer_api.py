"""JDB itself, simulated: what it answers to the hub's calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

from attrs import define, frozen

from croupier.contract import (
    AuthenticationError,
    Credentials,
    CroupierError,
    HttpRequest,
    HttpResponse,
    MovementKind,
    NotFoundError,
    PeerPlay,
    PeerPlayer,
    ProviderRefusedError,
    from_epoch_ms,
    read_json_object,
    write_json,
)
from croupier_jdb import cipher
from croupier_jdb.settings import JdbSettings

GAMES: Final[Mapping[str, str]] = {"0-8001": "Peer Fruits", "7-7001": "Peer Fishing", "18-18001": "Peer Cards"}
"""What the peer offers, code to title; no real game."""

FRESH: Final = timedelta(seconds=30)
_MINUTES: Final = timedelta(minutes=1)
_DATE: Final = "%d-%m-%Y %H:%M:%S"
_EXPIRED: Final = "9005"
_EVENT: Final = "9998"
_BAD: Final = "8000"


@define(kw_only=True)
class Event:
    """Free spins that were given.

    Attributes:
        id: The `eventId`.
        player: The alias.
        times: How many were given.
        parent: The agent.
        content: What was asked for.
        state: `ACTIVE` or `TERMINATED`.
    """

    id: str
    player: str
    times: int
    parent: str
    content: Mapping[str, Any]
    state: str = "ACTIVE"


@frozen(kw_only=True)
class Row:
    """One settled game of the log."""

    parent: str
    at: datetime
    fields: Mapping[str, Any]


class ServedApi:
    """The provider's own interface, with the proof and the age of every call checked.

    Attributes:
        settings: The settings of the connection on the other side.
        events: Free spins by their id.
        asked: The decrypted calls of the hub, as they came.
    """

    def __init__(self, settings: JdbSettings) -> None:
        self.settings = settings
        self.events: dict[str, Event] = {}
        self.asked: list[Mapping[str, Any]] = []
        self._rows: list[Row] = []
        self._launches: dict[str, PeerPlayer] = {}
        self._currencies = {agent: code for code, agent in settings.agents.items()}
        self._zone = timezone(timedelta(hours=settings.report_offset_hours))
        self._actions: Mapping[int, Callable[[Mapping[str, Any], datetime], dict[str, Any]]] = {
            21: self._launch,
            29: self._recent,
            47: self._demo,
            49: self._games,
            54: self._detail,
            64: self._old,
            71: self._events_of,
            72: self._create,
            73: self._terminate,
        }

    def record(self, play: PeerPlay, at: datetime) -> None:
        """Book a settled game into the log: a bet and a win in one, or a settlement.

        Args:
            play: What was booked.
            at: When (UTC).
        """
        (move,) = play.moves
        of_type, _, machine = play.player.game.partition("-")
        whole = move.kind is MovementKind.BET_AND_WIN
        stamp = at.astimezone(self._zone).strftime(_DATE)
        fields = {
            "historyId": play.round,
            "playerId": play.player.player,
            "gType": int(of_type),
            "mtype": int(machine),
            "gameDate": stamp,
            "lastModifyTime": stamp,
            "bet": -move.amount if whole else Decimal(0),
            "win": (move.win_amount or Decimal(0)) if whole else move.amount,
            "currency": play.player.currency,
        }
        self._rows.append(Row(parent=self.settings.agents[play.player.currency], at=at, fields=fields))

    def launched(self, url: str) -> PeerPlayer:
        """The player of a launch.

        Raises:
            NotFoundError: There is no such launch.
        """
        player = self._launches.get(url)
        if player is None:
            raise NotFoundError("this peer launched no such game", where="url")
        return player

    def serve(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        """Answer a call of the hub as JDB would."""
        if request.method != "POST" or not request.path.endswith("/apiRequest.do"):
            return HttpResponse.text("not found", 404)
        try:
            body = read_json_object(request.body)
            if body["dc"] != self.settings.domain:
                return _refused("9001")
            asked = cipher.prove(body[cipher.ENVELOPE], credentials)
            self.asked.append(asked)
            if abs(from_epoch_ms(asked["ts"]) - now) > FRESH:
                return _refused(_EXPIRED)
            if asked["parent"] not in self._currencies or (
                self.settings.own_keys and body.get("parent") != asked["parent"]
            ):
                return _refused("9001")
            action = self._actions.get(asked["action"])
            return _refused("9007") if action is None else _told(action(asked, now))
        except AuthenticationError:
            return _refused("9001")
        except ProviderRefusedError as refused:
            return _refused(refused.provider_code)
        except (CroupierError, KeyError, TypeError, ValueError):
            return _refused(_BAD)

    def _launch(self, asked: Mapping[str, Any], _now: datetime) -> dict[str, Any]:
        if not asked["uid"]:
            raise _wrong(_BAD)
        return self._open(asked, asked["uid"])

    def _demo(self, asked: Mapping[str, Any], _now: datetime) -> dict[str, Any]:
        return self._open(asked, "")

    def _open(self, asked: Mapping[str, Any], player: str) -> dict[str, Any]:
        game = f"{asked['gType']}-{asked['mType']}"
        if game not in GAMES or asked["windowMode"] != "2":
            raise _wrong(_BAD)
        url = f"https://games.jdb-peer.example/launch/{len(self._launches) + 1}"
        currency = self._currencies[asked["parent"]]
        self._launches[url] = PeerPlayer(player=player, token="", game=game, currency=currency)
        return {"path": url}

    def _games(self, _asked: Mapping[str, Any], _now: datetime) -> dict[str, Any]:
        data = []
        for code, title in GAMES.items():
            of_type, _, machine = code.partition("-")
            spins = ["NORMAL", "FEATURE"] if of_type == "0" else []
            item = {"mType": int(machine), "name": title, "image": f"https://images.jdb-peer.example/{machine}.png"}
            data.append({"gType": int(of_type), "list": [{**item, "betList": ["1", "5"], "freeSpinTypes": spins}]})
        return {"data": data}

    def _detail(self, asked: Mapping[str, Any], _now: datetime) -> dict[str, Any]:
        where = f"{asked['uid']}/{asked['mType']}/{asked['historyId']}"
        return {"data": [{"path": f"https://detail.jdb-peer.example/{where}"}]}

    def _recent(self, asked: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        return self._log(asked, now - timedelta(hours=2), now - 3 * _MINUTES, 15 * _MINUTES)

    def _old(self, asked: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        return self._log(asked, now - timedelta(days=60), now - timedelta(hours=1), 5 * _MINUTES)

    def _log(self, asked: Mapping[str, Any], first: datetime, last: datetime, longest: timedelta) -> dict[str, Any]:
        start, end = self._moment(asked["starttime"]), self._moment(asked["endtime"])
        if not first <= start < end <= last or end - start > longest:
            raise _wrong(_BAD)
        rows = [row for row in self._rows if row.parent == asked["parent"] and start <= row.at < end]
        return {"data": [row.fields for row in rows]}

    def _moment(self, text: str) -> datetime:
        moment = datetime.strptime(text, _DATE).replace(tzinfo=self._zone)
        if moment.second:
            raise _wrong(_BAD)
        return moment.astimezone(UTC)

    def _create(self, asked: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        event, (player,) = asked["eventId"], asked["players"]
        begins, ends = datetime.fromisoformat(asked["startTime"]), datetime.fromisoformat(asked["endTime"])
        legal = 0 < len(event) <= 50 and event.isascii() and event.replace("_", "a").isalnum()
        machines = {int(code.partition("-")[2]) for code in GAMES}
        paid = Decimal(asked["bet"]) > 0 and {asked["minWithdrawal"], asked["maxWithdrawal"]}
        if not (legal and player and paid and begins < ends and now < ends and set(asked["machineTypes"]) <= machines):
            raise _wrong(_BAD)
        if event in self.events:
            raise _wrong(_EVENT)
        self.events[event] = Event(id=event, player=player, times=asked["times"], parent=asked["parent"], content=asked)
        return {"eventId": event}

    def _events_of(self, asked: Mapping[str, Any], _now: datetime) -> dict[str, Any]:
        theirs = [one for one in self.events.values() if (one.player, one.parent) == (asked["uid"], asked["parent"])]
        return {
            "data": [
                {"eventId": one.id, "name": one.content["name"], "times": one.times, "useTimes": 0, "status": one.state}
                for one in theirs
            ]
        }

    def _terminate(self, asked: Mapping[str, Any], _now: datetime) -> dict[str, Any]:
        event = self.events.get(asked["eventId"])
        if event is None or event.parent != asked["parent"] or event.state != "ACTIVE":
            raise _wrong(_EVENT)
        event.state = "TERMINATED"
        return {}


def _wrong(code: str) -> ProviderRefusedError:
    return ProviderRefusedError("refused", provider_code=code)


def _refused(code: str) -> HttpResponse:
    return HttpResponse.json(write_json({"status": code, "err_text": "refused"}))


def _told(fields: Mapping[str, Any]) -> HttpResponse:
    return HttpResponse.json(write_json({"status": "0000", **fields}))
