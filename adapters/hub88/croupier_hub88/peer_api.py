"""What the simulated Hub88 serves to the hub: games, launches, rewards, pages of rounds, the log of transactions.

Source: `reference/protocols/hub88.md`, section "Operator → provider".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from attrs import field, frozen
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from croupier.contract import (
    AuthenticationError,
    Credentials,
    CroupierError,
    HttpRequest,
    HttpResponse,
    MovementKind,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    ProviderRefusedError,
    read_json_object,
    write_json,
)
from croupier_hub88.settings import PRIVATE_KEY, Hub88Settings
from croupier_hub88.wire import Keys, prove

PREFIX: Final = "/operator/generic/v2/"

_KINDS: Final[Mapping[MovementKind, str]] = {
    MovementKind.BET: "TK_BET",
    MovementKind.FREE_BET: "TK_FREE_BET",
    MovementKind.WIN: "TK_WIN",
    MovementKind.PROMO_WIN: "TK_WIN",
    MovementKind.FREE_WIN: "TK_FREE_WIN",
    MovementKind.ROLLBACK: "TK_ROLLBACK",
}
_NAMES: Final = UUID("0e6bde62-4713-4b85-b510-59f0d729d8f7")
_MOMENT: Final = "%Y-%m-%dT%H:%M:%S"
_OPEN: Final = frozenset({"FRS_NEW", "FRS_ACTIVE", "FRS_CANCELLED"})


@frozen(kw_only=True)
class PeerGame:
    """One game of the simulated catalogue.

    Attributes:
        code: Its `game_code`.
        title: Its name.
        free_bets: Whether rewards can be given in it.
        enabled: Whether it is offered now.
    """

    code: str
    title: str
    free_bets: bool = True
    enabled: bool = True


GAMES: Final = (
    PeerGame(code="clt_testfruits", title="Test Fruits"),
    PeerGame(code="clt_testwheel", title="Test Wheel"),
    PeerGame(code="clt_testdice", title="Test Dice", free_bets=False),
    PeerGame(code="clt_gone", title="Gone", enabled=False),
)
"""What a peer offers unless it is told otherwise; no real game."""


@frozen(kw_only=True)
class _Row:
    at: datetime
    fields: Mapping[str, Any] = field(repr=False)


class PeerApi:
    """The provider's entrances for the hub, with what it remembers.

    Args:
        settings: The settings of the connection.
        games: The catalogue.
    """

    def __init__(self, settings: Hub88Settings, games: Sequence[PeerGame]) -> None:
        self.settings = settings
        self.games = {game.code: game for game in games}
        self.launches: dict[str, PeerPlayer] = {}
        self.rewards: dict[str, dict[str, Any]] = {}
        self._log: list[_Row] = []
        self._keys = Keys()
        self._entrances: Mapping[str, Callable[[Mapping[str, Any], datetime], Any]] = {
            "game/url": self._launch,
            "game/list": self._games,
            "game/round": self._round,
            "transactions/list": self._transactions,
            "freebet/prepaids/list": self._prepaids,
            "freebet/rewards/create": self._create,
            "freebet/rewards/cancel": self._cancel,
            "freebet/rewards/list": self._list,
        }

    def serve(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        """Answer a call of the hub, its proof checked."""
        base = urlsplit(self.settings.api_url).path.rstrip("/")
        entrance = self._entrances.get(request.path.removeprefix(base + PREFIX))
        try:
            prove(self._keys, self._publics(credentials), request)
            if entrance is None or request.method != "POST":
                raise _refused(404)
            body = read_json_object(request.body)
            if body["operator_id"] != self.settings.operator_id:
                raise _refused(401)
            return HttpResponse.json(write_json(entrance(body, now)))
        except AuthenticationError:
            return _error(401)
        except ProviderRefusedError as refused:
            return _error(int(refused.provider_code))
        except (CroupierError, KeyError, TypeError, ValueError):
            return _error(400)

    def record(self, play: PeerPlay, move: PeerMove, amount: int, status: str, at: datetime) -> None:
        """Put a movement into the log."""
        fields = {
            "transaction_uuid": move.id,
            "transaction_status": status,
            "kind": _KINDS[move.kind],
            "user": play.player.player,
            "amount": amount,
            "currency": play.player.currency,
            "round": play.round,
            "reference_transaction_uuid": move.target,
            "inserted_at": at.strftime(_MOMENT),
            "game_code": play.player.game,
        }
        self._log.append(_Row(at=at, fields=fields))

    def _publics(self, credentials: Credentials) -> tuple[str, ...]:
        """The public halves of the hub's keys: what the operator once gave to the provider."""
        keys = [self._keys.private(pem, PRIVATE_KEY) for pem in credentials.every(PRIVATE_KEY)]
        form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return tuple([key.public_key().public_bytes(*form).decode() for key in keys])

    def _launch(self, body: Mapping[str, Any], _now: datetime) -> Mapping[str, Any]:
        game = self.games.get(body["game_code"])
        if game is None or not game.enabled:
            raise _refused(404)
        if body["platform"] not in {"GPL_DESKTOP", "GPL_MOBILE"} or not body["lang"]:
            raise _refused(400)
        demo = body["currency"] == "XXX"
        if not demo and not (len(body["user"]) >= 3 and 10 <= len(body["token"]) <= 255):
            raise _refused(400)
        url = f"https://play.hub88.example/{uuid5(_NAMES, f'launch {len(self.launches)}')}"
        self.launches[url] = PeerPlayer(
            player="" if demo else body["user"],
            token="" if demo else body["token"],
            game=game.code,
            currency=body["currency"],
        )
        return {"url": url}

    def _games(self, _body: Mapping[str, Any], _now: datetime) -> list[Mapping[str, Any]]:
        return [_entry(number, game) for number, game in enumerate(self.games.values(), 1)]

    def _round(self, body: Mapping[str, Any], _now: datetime) -> Mapping[str, Any]:
        return {"url": f"https://play.hub88.example/rounds/{uuid5(_NAMES, body['user'] + ' ' + body['round'])}"}

    def _transactions(self, body: Mapping[str, Any], _now: datetime) -> list[Mapping[str, Any]]:
        wanted = {name: body[name] for name in ("user", "round", "currency") if body.get(name)}
        if "round" not in wanted:
            since, until = _moment(body["start_time"]), _moment(body["end_time"])
            rows = [row.fields for row in self._log if since <= row.at <= until]
        else:
            rows = [row.fields for row in self._log]
        return [row for row in rows if all(row[name] == value for name, value in wanted.items())]

    def _prepaids(self, body: Mapping[str, Any], _now: datetime) -> list[Mapping[str, Any]]:
        codes = [code for code, game in self.games.items() if game.free_bets and game.enabled]
        wanted = [code for code in codes if body.get("game_code") in (None, code)]
        return [row for code in wanted for row in prepaids(code, body.get("currency") or "EUR")]

    def _create(self, body: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
        offered = {row["prepaid_uuid"]: row for row in self._prepaids(body, now)}
        prepaid = offered.get(body["prepaid_uuid"])
        if prepaid is None:
            raise _refused(404)
        if _moment(body["end_time"]) <= now or len(body["user"]) < 3:
            raise _refused(400)
        chosen = {
            name: prepaid[name] if prepaid[name] is not None else body[name] for name in ("bet_count", "bet_value")
        }
        if not all(type(value) is int and value > 0 for value in chosen.values()):
            raise _refused(400)
        reward = {
            "status": "FRS_ACTIVE",
            "reward_uuid": str(uuid5(_NAMES, f"reward {len(self.rewards)}")),
            "campaign_uuid": None,
            "user": body["user"],
            "sub_partner_id": body.get("sub_partner_id"),
            "start_time": body["start_time"],
            "end_time": body["end_time"],
            "game_code": prepaid["game_code"],
            "prepaid_uuid": prepaid["prepaid_uuid"],
            "currency": prepaid["currency"],
            self.settings.reward_reference: body.get(self.settings.reward_reference),
            **chosen,
        }
        self.rewards[reward["reward_uuid"]] = reward
        return reward

    def _cancel(self, body: Mapping[str, Any], _now: datetime) -> Mapping[str, Any]:
        reward = self.rewards.get(body["reward_uuid"])
        if reward is None:
            raise _refused(404)
        if reward["status"] not in _OPEN:
            raise _refused(400)
        reward["status"] = "FRS_CANCELLED"
        return reward

    def _list(self, body: Mapping[str, Any], _now: datetime) -> Mapping[str, Any]:
        paging = body.get("pagination") or {}
        limit, start = int(paging.get("limit") or 20), int(paging.get("cursor") or 0)
        found = [reward for reward in self.rewards.values() if body.get("user") in (None, reward["user"])]
        after = start + limit
        return {
            "rewards": found[start:after],
            "pagination": {"next_cursor": str(after) if after < len(found) else None, "previous_cursor": None},
        }


def prepaids(game: str, currency: str) -> list[Mapping[str, Any]]:
    """The templates of a game in a currency: one for a bonus that is bought, one that is fixed, one that is open."""
    shapes: tuple[tuple[int | None, int | None, bool], ...] = (
        (1, 100_000, True),
        (10, 20_000, False),
        (None, None, False),
    )
    return [
        {
            "prepaid_uuid": str(uuid5(_NAMES, f"prepaid {game} {currency} {place}")),
            "game_code": game,
            "currency": currency,
            "bet_value": value,
            "bet_count": count,
            "bonus_buy": bonus_buy,
        }
        for place, (count, value, bonus_buy) in enumerate(shapes)
    ]


def _entry(number: int, game: PeerGame) -> Mapping[str, Any]:
    return {
        "url_thumb": f"https://images.hub88.example/{game.code}.png",
        "url_background": f"https://images.hub88.example/{game.code}-wide.png",
        "product": "Test Studio",
        "platforms": ["GPL_DESKTOP", "GPL_MOBILE"],
        "name": game.title,
        "game_id": number,
        "game_code": game.code,
        "freebet_support": game.free_bets,
        "enabled": game.enabled,
        "category": "Video Slots",
        "blocked_countries": ["US"],
        "release_date": "2026-01-01",
        "volatility": 3,
        "rtp": "96.5",
        "paylines": 20,
        "features": ["Free Spins"],
    }


def _moment(text: str) -> datetime:
    return datetime.strptime(text.removesuffix("Z"), _MOMENT).replace(tzinfo=UTC)


def _refused(status: int) -> ProviderRefusedError:
    return ProviderRefusedError("refused", provider_code=str(status))


def _error(status: int) -> HttpResponse:
    return HttpResponse.json(write_json({"error": "refused"}), status)
