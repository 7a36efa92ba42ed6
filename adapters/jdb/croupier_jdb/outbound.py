"""What the hub asks of JDB: launches, games, free spins, replays and the log, all at `apiRequest.do`.

Source: `reference/protocols/jdb.md`, section "Operator → provider".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from attrs import frozen

from croupier.contract import errors, flows
from croupier.contract.adapter import Adapter
from croupier.contract.fields import Told, refuse_status, told_by
from croupier.contract.flows import Flow, FreeRoundsIssued, GameListing, Launched, LogEntry, LogPage
from croupier.contract.http import JSON_HEADERS, Effect, HttpRequest
from croupier.contract.money import minor_to_text
from croupier.contract.secrets import Credentials, digest_hex
from croupier.contract.strict_json import write_json
from croupier.contract.times import epoch_ms, read_moment
from croupier_jdb import cipher
from croupier_jdb.codes import TRANSIENT, Status
from croupier_jdb.mapping import number, size
from croupier_jdb.settings import JdbSettings

LAUNCH, DEMO, GAMES, DETAIL = 21, 47, 49, 54
RECENT, OLD = 29, 64
EVENTS_OF_PLAYER, CREATE_EVENT, TERMINATE_EVENT = 71, 72, 73

LAG: Final = timedelta(minutes=3)
"""What is younger is not in the log yet."""
RECENT_REACH: Final = timedelta(minutes=115)
"""How far back `RECENT` is asked; it holds two hours."""
WINDOWS: Final[Mapping[int, timedelta]] = {RECENT: timedelta(minutes=15), OLD: timedelta(minutes=5)}

GAME_TYPES: Final[Mapping[str, str]] = {"0": "slot", "7": "fish", "9": "arcade", "12": "lottery", "18": "card"}

_DATE: Final = "%d-%m-%Y %H:%M:%S"
_LONGEST_EVENT: Final = 50
_TRANSIENT: Final = frozenset({status.wire for status in TRANSIENT})


@frozen
class Line:
    """The way to JDB at one moment: a request is good for thirty seconds.

    Attributes:
        settings: The connection's settings.
        credentials: The connection's secrets.
        now: The time (UTC).
    """

    settings: JdbSettings
    credentials: Credentials
    now: datetime

    def ask(self, action: int, agent: str, fields: Mapping[str, Any], effect: Effect = Effect.READ) -> Flow[Told]:
        """Ask JDB, and accept nothing but a success.

        Raises:
            ProviderRefusedError: JDB refused definitely.
            UpstreamError: Its answer cannot be used.
        """
        asked = {"action": action, "ts": epoch_ms(self.now), "parent": agent, **fields}
        sealed = cipher.seal({name: value for name, value in asked.items() if value is not None}, self.credentials)
        body = {"dc": self.settings.domain, cipher.ENVELOPE: sealed}
        if self.settings.own_keys:
            body["parent"] = agent
        url = f"{self.settings.api_url.rstrip('/')}/apiRequest.do"
        response = yield HttpRequest("POST", url, JSON_HEADERS, write_json(body), effect)
        where = f"action {action}"
        refuse_status(response, where)
        told = told_by(response, where)
        status = told.code("status")
        if status in _TRANSIENT:
            raise errors.UpstreamError("the provider has no definite answer now", where=where)
        if status != Status.OK.wire:
            raise errors.ProviderRefusedError("the provider refused", provider_code=status[:32], where=where)
        return told

    def ask_each(self, action: int, fields: Mapping[str, Any], effect: Effect = Effect.READ) -> Flow[Told]:
        """Ask one agent after the other: what has no currency does not say whose it is. The last refusal counts."""
        *others, last = self.settings.agents.values()
        for agent in others:
            try:
                return (yield from self.ask(action, agent, fields, effect))
            except errors.ProviderRefusedError:
                continue
        return (yield from self.ask(action, last, fields, effect))

    def events(self, agent: str, player: str) -> Flow[list[FreeRoundsIssued]]:
        """A player's events of free spins."""
        told = yield from self.ask(EVENTS_OF_PLAYER, agent, {"uid": player})
        return [_issued(item) for item in told.objects("data")]

    def agent(self, currency: str | None) -> str:
        """The agent of a currency, or the first.

        Raises:
            UnknownCurrencyError: There is none.
        """
        agents = self.settings.agents
        agent = next(iter(agents.values())) if currency is None else agents.get(currency)
        if agent is None:
            raise errors.UnknownCurrencyError("no agent of the connection has this currency", where="settings.agents")
        return agent


class Outbound(Adapter):
    """The half of the adapter that asks. An agent's account stands for a currency.

    Attributes:
        settings: The connection's settings.
    """

    settings: JdbSettings

    def launch(self, query: flows.LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        line, (of_type, machine) = Line(self.settings, credentials, now), split_game(query.game)
        fields = {
            "uid": None if query.demo else query.player,
            "lang": self.settings.languages.get(query.language) or query.language.partition("-")[0].lower(),
            "gType": of_type,
            "mType": machine,
            "windowMode": "2",  # the game itself, without JDB's lobby
            "lobbyURL": query.return_url,
        }
        told = yield from line.ask(DEMO if query.demo else LAUNCH, line.agent(query.currency), fields, Effect.ONCE)
        return Launched(url=told.address("path"))

    def game_list(self, credentials: Credentials, now: datetime) -> Flow[tuple[GameListing, ...]]:
        line = Line(self.settings, credentials, now)
        told = yield from line.ask(GAMES, line.agent(None), {"lang": "en"})
        return tuple([_listing(kind, item) for kind in told.objects("data") for item in kind.objects("list")])

    def issue_free_rounds(
        self, query: flows.FreeRoundsQuery, credentials: Credentials, now: datetime, nonce: str
    ) -> Flow[FreeRoundsIssued]:
        if query.bet is None:
            raise errors.FixRequestError("JDB wants the value of one round", where="bet")
        line, event = Line(self.settings, credentials, now), event_id(query.grant)
        agent = line.agent(query.currency)
        fields = {
            "eventId": event,
            "name": event,
            "startTime": query.valid_from.astimezone(UTC).isoformat(timespec="milliseconds"),
            "endTime": query.valid_until.astimezone(UTC).isoformat(timespec="milliseconds"),
            "machineTypes": [int(split_game(game)[1]) for game in query.games],
            "bet": minor_to_text(query.bet, query.scale.scale),
            "minWithdrawal": self.settings.min_withdrawal,
            "maxWithdrawal": self.settings.max_withdrawal,
            "times": query.rounds,
            "type": self.settings.free_spins,
            "players": [query.player],
        }
        try:
            told = yield from line.ask(CREATE_EVENT, agent, fields, Effect.IDEMPOTENT)
        except errors.ProviderRefusedError as refused:
            # No second event is made under one id: the first is looked for.
            known = (yield from line.events(agent, query.player)) if _of_event(refused) else []
            if event not in {one.reference for one in known}:
                raise
        else:
            if told.code("eventId") != event:
                raise errors.UpstreamError("the event has another id than it was given", where="eventId")
        return FreeRoundsIssued(reference=event, rounds=query.rounds)

    def cancel_free_rounds(self, grant: str, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        line, event = Line(self.settings, credentials, now), event_id(grant)
        try:
            yield from line.ask_each(TERMINATE_EVENT, {"eventId": event}, Effect.IDEMPOTENT)
        except errors.ProviderRefusedError as refused:
            known = (yield from self.list_free_rounds(player, credentials, now)) if _of_event(refused) else ()
            if (event, "TERMINATED") not in {(one.reference, one.state) for one in known}:
                raise

    def list_free_rounds(
        self, player: str, credentials: Credentials, now: datetime
    ) -> Flow[tuple[FreeRoundsIssued, ...]]:
        line, found = Line(self.settings, credentials, now), list[FreeRoundsIssued]()
        for agent in self.settings.agents.values():
            found += yield from line.events(agent, player)
        return tuple(found)

    def replay(self, query: flows.ReplayQuery, credentials: Credentials, now: datetime) -> Flow[Launched]:
        fields = {"uid": query.player, "mType": split_game(query.game)[1], "historyId": query.round}
        told = yield from Line(self.settings, credentials, now).ask_each(DETAIL, fields)
        pages = told.objects("data")
        if not pages:
            raise errors.UpstreamError("there is no page of this round", where="data")
        return Launched(url=pages[0].address("path"))

    def round_log(self, query: flows.LogQuery, credentials: Credentials, now: datetime) -> Flow[LogPage]:
        line, zone = Line(self.settings, credentials, now), timezone(timedelta(hours=self.settings.report_offset_hours))
        start = _minute(query.since) if query.cursor is None else _reached(query.cursor)
        action = RECENT if start >= now - RECENT_REACH else OLD
        last = min(_minute(query.until + timedelta(seconds=60, microseconds=-1)), _minute(now - LAG))
        end = min(start + WINDOWS[action], last)
        if end <= start:
            return LogPage(entries=())
        window = {"starttime": start.astimezone(zone).strftime(_DATE), "endtime": end.astimezone(zone).strftime(_DATE)}
        told = yield from line.ask(action, line.agent(query.stream), window)
        entries = tuple([_entry(row, zone) for row in told.objects("data")])
        return LogPage(entries=entries, cursor=str(epoch_ms(end)) if end < last else None)


def split_game(code: str) -> tuple[str, str]:
    """The type and the machine type of a game's code.

    Raises:
        FixRequestError: It is no such code.
    """
    of_type, _, machine = code.partition("-")
    if not (code.isascii() and of_type.isdigit() and machine.isdigit()):
        raise errors.FixRequestError("a game of JDB is its type and its machine type, like 0-8001", where="game")
    return of_type, machine


def event_id(grant: str) -> str:
    """The id of an event: letters, digits and `_`, at most fifty; a grant that is none makes one, always the same."""
    plain = grant.replace("-", "_")
    if len(plain) <= _LONGEST_EVENT and plain.isascii() and plain.replace("_", "a").isalnum():
        return plain
    return digest_hex(grant)[:_LONGEST_EVENT]


def _of_event(refused: errors.ProviderRefusedError) -> bool:
    return refused.provider_code == Status.EVENT_ERROR.wire


def _listing(kind: Told, item: Told) -> GameListing:
    of_type = number(kind, "gType")
    code = f"{of_type}-{number(item, 'mType')}"
    return GameListing(
        code=code,
        name=item.word("name") or code,
        category=GAME_TYPES.get(of_type, of_type),
        free_rounds=bool(item.values.get("freeSpinTypes")),
        thumbnail=item.word("image"),
    )


def _issued(item: Told) -> FreeRoundsIssued:
    given, used = item.values.get("times"), item.values.get("useTimes")
    left = given - used if type(given) is int and type(used) is int else None
    return FreeRoundsIssued(reference=item.code("eventId"), state=item.word("status"), rounds=left)


def _entry(row: Told, zone: timezone) -> LogEntry:
    currency, of_type, machine = row.text("currency"), row.word("gType"), row.word("mType") or row.word("mtype")
    at = read_moment(row.word("lastModifyTime") or row.word("gameDate"), _DATE)
    return LogEntry(
        round=number(row, "historyId"),
        player=row.word("playerId") or row.text("uid"),
        game=f"{of_type}-{machine}" if of_type and machine else None,
        bet=size(row, "bet", currency),
        win=row.signed_amount("win", currency=currency),
        at=None if at is None else at.replace(tzinfo=zone).astimezone(UTC),
    )


def _reached(cursor: str) -> datetime:
    reached = read_moment(cursor) if cursor.isdigit() else None
    if reached is None or reached != _minute(reached):
        raise errors.MalformedRequestError("expected a whole minute in milliseconds", where="cursor")
    return reached


def _minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)
