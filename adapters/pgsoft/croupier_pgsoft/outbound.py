"""What the hub asks of the provider: launches, games, free games, rounds, logs.

Facts: `reference/protocols/pgsoft.md`, section "Operator -> provider"; of free games only one public integration shows
the fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from croupier.contract import flows
from croupier.contract.adapter import Adapter
from croupier.contract.calls import MovementKey, MovementKind
from croupier.contract.errors import FixRequestError, MalformedRequestError, ProviderRefusedError, UpstreamError
from croupier.contract.fields import Told, refuse_status, told_by
from croupier.contract.flows import Flow, FreeRoundsIssued, Launched
from croupier.contract.http import Effect, HttpResponse
from croupier.contract.money import minor_to_text
from croupier.contract.secrets import Credentials
from croupier.contract.times import epoch_ms, read_moment
from croupier_pgsoft import wire
from croupier_pgsoft.codes import Code
from croupier_pgsoft.mapping import SPINS
from croupier_pgsoft.settings import SECRET, PgsoftSettings

REAL: Final = "1"
TRIAL: Final = "2"
LAUNCH_OPTIONS: Final = ("op", "te", "ri", "iwk", "oc")
"""Fields of a game's address that a launch's options may set."""

_CASH = _ACTIVE = 1

Form = Iterable[tuple[str, str]]


class Outbound(Adapter):
    """The flows of the adapter.

    Every flow raises `ProviderRefusedError` for a definite refusal, and `UpstreamError` for an answer that cannot be
    used.

    Attributes:
        settings: The connection's settings.
    """

    settings: PgsoftSettings

    def launch(self, query: flows.LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        path, arguments = f"/{query.game}/index.html", _launch_arguments(query)
        if self.settings.launch == "direct":
            named = {**arguments, "ot": self.settings.operator_token}
            return Launched(url=f"{self.settings.game_url.rstrip('/')}{path}?{urlencode(named)}")
        fields = {
            "operator_token": self.settings.operator_token,
            "path": path,
            "extra_args": urlencode(arguments),
            "url_type": "game-entry",
            "client_ip": query.address or "",
        }
        sent = [(name, value) for name, value in fields.items() if value]
        url = self.settings.api_url.rstrip("/") + wire.LAUNCHER
        # A page may be asked for again: it opens nothing by itself.
        response = yield wire.call(url, sent, self.settings, credentials, now, effect=Effect.IDEMPOTENT, mark=nonce)
        return Launched(html=_page(response))

    def game_list(self, credentials: Credentials, now: datetime) -> Flow[tuple[flows.GameListing, ...]]:
        fields = {"currency": self.settings.list_currency, "language": self.settings.list_language, "status": "1"}
        told = yield from self._ask(wire.GAMES, fields.items(), credentials, now)
        return tuple([_listing(game) for game in told.objects("data") if game.values.get("status", 1) == _ACTIVE])

    def issue_free_rounds(
        self, query: flows.FreeRoundsQuery, credentials: Credentials, now: datetime, nonce: str
    ) -> Flow[FreeRoundsIssued]:
        if query.bet is None:
            raise FixRequestError("the value of one round is needed", where="bet")
        fields = {
            "free_game_name": query.grant,
            "transaction_id": query.grant,  # what makes a repeat give nothing more
            "player_name": query.player,
            "currency": query.currency,
            "bet_amount": minor_to_text(query.bet, query.scale.scale),
            "game_count": str(query.rounds),
            "expired_date": str(epoch_ms(query.valid_until)),
            **self.settings.free_game_fields,
        }
        sent = [*fields.items(), *[("game_ids", game) for game in query.games]]
        yield from self._ask(wire.FREE_GAMES, sent, credentials, now, effect=Effect.IDEMPOTENT, needed=False)
        return FreeRoundsIssued(reference=query.grant)

    def replay(self, query: flows.ReplayQuery, credentials: Credentials, now: datetime) -> Flow[Launched]:
        told = yield from self._ask(wire.LOGIN, (), credentials, now)
        data = told.values["data"]
        named = {
            "t": Told(data if isinstance(data, dict) else {}, "data").text("operator_session"),
            "psid": query.round,
            "sid": query.transaction or query.round,
            "gid": query.game,
            "lang": _language(query.language),
            "type": "operator",
        }
        return Launched(url=f"{self.settings.history_url.rstrip('/')}{wire.ROUND_PAGE}?{urlencode(named)}")

    def end_session(self, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        yield from self._ask(wire.KICK, [("player_name", player)], credentials, now, effect=Effect.IDEMPOTENT)

    def transaction_log(self, query: flows.LogQuery, credentials: Credentials, now: datetime) -> Flow[flows.LogPage]:
        version = query.cursor if query.cursor is not None else str(max(epoch_ms(query.since), 1))
        if not (version.isascii() and version.isdigit()):
            raise MalformedRequestError("expected a row version", where="cursor")
        fields = {"count": str(self.settings.page_size), "bet_type": REAL, "row_version": version}
        told = yield from self._ask(wire.HISTORY, fields.items(), credentials, now, base=self.settings.feed_url)
        rows = told.objects("data")
        reached = max([_version(row) for row in rows], default=int(version))
        full = len(rows) >= self.settings.page_size
        goes_on = full and int(version) < reached < epoch_ms(query.until)
        return flows.LogPage(entries=tuple([_entry(row) for row in rows]), cursor=str(reached) if goes_on else None)

    def _ask(
        self,
        path: str,
        fields: Form,
        keys: Credentials,
        now: datetime,
        *,
        effect: Effect = Effect.READ,
        base: str = "",
        needed: bool = True,
    ) -> Flow[Told]:
        """Ask with the account's name and secret, and accept nothing but a success; with data, where it is needed."""
        proof = [("operator_token", self.settings.operator_token), (SECRET, keys.current(SECRET))]
        url = (base or self.settings.api_url).rstrip("/") + path
        response = yield wire.call(url, [*proof, *fields], self.settings, keys, now, effect=effect)
        refuse_status(response, path)
        return _told(response, path, needed=needed)


def _told(response: HttpResponse, where: str, *, needed: bool = True) -> Told:
    told = told_by(response, where)
    error = told.values.get("error")
    if isinstance(error, dict):
        code = Told(error, where).code("code")
        if code == str(int(Code.AGAIN)):
            raise UpstreamError("the provider has no answer now", where=where)
        raise ProviderRefusedError("the provider refused", provider_code=code[:32], where=where)
    if error is not None or "error" not in told.values or (needed and told.values.get("data") is None):
        raise UpstreamError("the provider told no result", where=where)
    return told


def _page(response: HttpResponse) -> str:
    """The page of a launch. A refusal is JSON, also with status 200."""
    refuse_status(response, wire.LAUNCHER)
    try:
        text = response.body.decode()
    except UnicodeDecodeError:
        raise UpstreamError("the page is not UTF-8", where=wire.LAUNCHER) from None
    if text.lstrip()[:1] == "{":
        _told(response, wire.LAUNCHER, needed=False)
    if "<html" not in text[:1000].lower():
        raise UpstreamError("expected a page", where=wire.LAUNCHER)
    return text


def _launch_arguments(query: flows.LaunchQuery) -> dict[str, str]:
    if len(query.token) > 200:
        raise FixRequestError("a session has at most 200 characters", where="token")
    arguments = {
        "btt": TRIAL if query.demo else REAL,
        "ops": "" if query.demo else query.token,
        "l": _language(query.language),
        "f": query.return_url or "",
        **{name: query.options.get(name, "") for name in LAUNCH_OPTIONS},
    }
    return {name: value for name, value in arguments.items() if value}


def _language(language: str) -> str:
    return language.partition("-")[0].lower()


def _listing(game: Told) -> flows.GameListing:
    code = game.code("gameId")
    slug = game.word("gameCode")
    name = game.word("gameName") or slug or code
    return flows.GameListing(code=code, name=name, category=game.word("category"), features=(slug,) if slug else ())


def _version(row: Told) -> int:
    version = row.code("rowVersion")
    if not (version.isascii() and version.isdigit()):
        raise UpstreamError("expected a row version", where=row.where("rowVersion"))
    return int(version)


def _entry(row: Told) -> flows.LogEntry:
    currency = row.word("currency")
    bet, win = row.amount("betAmount", currency=currency), row.amount("winAmount", currency=currency)
    if row.values.get("transactionType", _CASH) != _CASH:
        kind, amount = MovementKind.FREE_WIN, win
    elif not bet.value:
        kind, amount = MovementKind.WIN, win
    else:
        kind, amount = MovementKind.BET_AND_WIN if win.value else MovementKind.BET, bet
    return flows.LogEntry(
        round=row.word("parentBetId"),
        player=row.word("playerName") or "",
        game=row.word("gameId"),
        key=MovementKey(SPINS, row.code("betId")),
        kind=kind,
        amount=amount,
        bet=bet,
        win=win,
        state=row.word("handsStatus"),
        at=read_moment(row.word("betEndTime")) or read_moment(row.word("betTime")),
    )
