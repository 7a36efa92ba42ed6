"""The table of the operator API, and the app made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from croupier.catalogue.service import CatalogueService
from croupier.configuration.directory import Directory
from croupier.configuration.service import key_hash
from croupier.contract import AuthenticationError, DialectSpec, ForbiddenError, HttpRequest
from croupier.ledger.port import Ledger
from croupier.sessions.service import SessionService
from croupier.wallet.ports import Clock, Ids
from croupier.web.api import Document, JsonApi, Nothing, RouteTable, bearer_of, endpoint
from croupier.web.apps import Probes
from croupier.web.openapi import ApiDescription, documents, shown
from croupier.web.operator_api.events import TOLD
from croupier.web.operator_api.free_rounds import FreeRoundsHandlers
from croupier.web.operator_api.history import History
from croupier.web.operator_api.launching import Launching
from croupier.web.operator_api.messages import (
    EndedSession,
    FreeRounds,
    FreeRoundsBody,
    FreeRoundsPage,
    Game,
    Games,
    GamesQuery,
    HistoryQuery,
    LaunchAnswer,
    LaunchBody,
    PageQuery,
    PlayerPageQuery,
    ReplayQuery,
    RoundAnswer,
    Rounds,
    RoundsQuery,
    Session,
    Sessions,
    Transaction,
    Transactions,
    TransactionsQuery,
)
from croupier.web.operator_api.parts import Caller, Parts
from croupier.web.ports import ApiMetrics, Log, Outbound, Rates

DESCRIPTION: Final = ApiDescription(
    name="operator",
    title="Croupier operator API",
    summary="Games, launches, sessions, rounds, transactions and free rounds of one operator.",
    prefix="",
    told=TOLD,
)


def operator_table(parts: Parts) -> RouteTable:
    """Every endpoint of the operator API."""
    launching, history, free = Launching(parts), History(parts), FreeRoundsHandlers(parts)
    return RouteTable(
        [
            endpoint("GET", "/v1/games", "games.list", "Search the games.",
                     handler=launching.list_games, query=GamesQuery, body=Nothing, answer=Games, tag="games"),
            endpoint("GET", "/v1/games/{game}", "games.get", "Read one game.",
                     handler=launching.get_game, query=Nothing, body=Nothing, answer=Game, tag="games"),
            endpoint("POST", "/v1/launches", "launches.create",
                     "Start a game, for a player or as a demo.", status=201,
                     handler=launching.launch, query=Nothing, body=LaunchBody, answer=LaunchAnswer, tag="launches"),
            endpoint("GET", "/v1/sessions", "sessions.list", "List sessions.",
                     handler=history.list_sessions, query=PlayerPageQuery, body=Nothing, answer=Sessions,
                     tag="sessions"),
            endpoint("GET", "/v1/sessions/{session}", "sessions.get", "Read one session.",
                     handler=history.get_session, query=Nothing, body=Nothing, answer=Session, tag="sessions"),
            endpoint("DELETE", "/v1/sessions/{session}", "sessions.end",
                     "End a session: bets are refused from now on, wins and rollbacks are not.",
                     handler=launching.end_session, query=Nothing, body=Nothing, answer=EndedSession, tag="sessions"),
            endpoint("GET", "/v1/rounds", "rounds.list", "List rounds.",
                     handler=history.list_rounds, query=RoundsQuery, body=Nothing, answer=Rounds, tag="rounds"),
            endpoint("GET", "/v1/rounds/{round}", "rounds.get",
                     "Read one round with its movements.",
                     handler=history.get_round, query=Nothing, body=Nothing, answer=RoundAnswer, tag="rounds"),
            endpoint("GET", "/v1/rounds/{round}/replay", "rounds.replay",
                     "Show a round again.",
                     handler=launching.replay, query=ReplayQuery, body=Nothing, answer=LaunchAnswer, tag="rounds"),
            endpoint("POST", "/v1/rounds/{round}/replay", "rounds.begin_replay",
                     "Show a round again.",
                     handler=launching.begin_replay, query=Nothing, body=ReplayQuery, answer=LaunchAnswer,
                     tag="rounds"),
            endpoint("GET", "/v1/players/{player}/rounds", "players.rounds",
                     "List a player's rounds.",
                     handler=history.player_rounds, query=PageQuery, body=Nothing, answer=Rounds, tag="players"),
            endpoint("GET", "/v1/players/{player}/transactions", "players.transactions",
                     "List a player's transactions.",
                     handler=history.player_transactions, query=HistoryQuery, body=Nothing, answer=Transactions,
                     tag="players"),
            endpoint("GET", "/v1/transactions", "transactions.list",
                     "List transactions.",
                     handler=history.list_transactions, query=TransactionsQuery, body=Nothing, answer=Transactions,
                     tag="transactions"),
            endpoint("GET", "/v1/transactions/{transaction}", "transactions.get",
                     "Read one transaction.",
                     handler=history.get_transaction, query=Nothing, body=Nothing, answer=Transaction,
                     tag="transactions"),
            endpoint("POST", "/v1/free-rounds", "free_rounds.issue",
                     "Give a player free rounds; the same reference again gives no second set.", status=201,
                     handler=free.issue, query=Nothing, body=FreeRoundsBody, answer=FreeRounds, tag="free rounds"),
            endpoint("GET", "/v1/free-rounds", "free_rounds.list", "List free rounds.",
                     handler=free.list, query=PlayerPageQuery, body=Nothing, answer=FreeRoundsPage,
                     tag="free rounds"),
            endpoint("GET", "/v1/free-rounds/{reference}", "free_rounds.get",
                     "Read free rounds by your reference.",
                     handler=free.get, query=Nothing, body=Nothing, answer=FreeRounds, tag="free rounds"),
            endpoint("DELETE", "/v1/free-rounds/{reference}", "free_rounds.cancel",
                     "Take free rounds back; what was won with them stays.",
                     handler=free.cancel, query=Nothing, body=Nothing, answer=FreeRounds, tag="free rounds"),
        ]
    )  # fmt: skip


def admit_operator(directory: Callable[[], Directory], now_ms: Callable[[], int]) -> Callable[[HttpRequest], Caller]:
    """Finds out which operator a request speaks for.

    A key that is missing, unknown, expired or revoked is refused in one way; it is hashed before it is looked up, so
    the time it takes tells nothing of the keys that exist.
    """

    def admit(request: HttpRequest) -> Caller:
        holder = directory().operator_by_key_hash(key_hash(bearer_of(request)), now_ms())
        if holder is None:
            raise AuthenticationError("a valid bearer key is needed", where="Authorization")
        if holder.operator is None:
            raise ForbiddenError("the key is no operator's", where="Authorization")
        return Caller(operator=holder.operator, key=f"{holder.label} ({holder.key})")

    return admit


def make_operator_app(
    *,
    ledger: Ledger,
    sessions: SessionService,
    catalogue: CatalogueService,
    outbound: Outbound,
    directory: Callable[[], Directory],
    clock: Clock,
    ids: Ids,
    log: Log,
    metrics: ApiMetrics,
    probes: Probes | None = None,
    docs: str = "/docs",
    dialects: Sequence[DialectSpec] = (),
    rates: Rates | None = None,
) -> JsonApi[Caller]:
    """The operator API as an app.

    Args:
        ledger: The record.
        sessions: Launches and players' names.
        catalogue: The games.
        outbound: Drives flows to providers.
        directory: Gives the directory that is in force now.
        clock: Time.
        ids: Fresh identities.
        log: One line for each request.
        metrics: Counts.
        probes: The probes, where this listener answers them.
        docs: The address of the documentation of errors, as errors tell it.
        dialects: The wallet protocols; those that have a document show it below `/wallets/{slug}`.
        rates: How many requests are taken a second, if that is limited.
    """
    parts = Parts(ledger=ledger, sessions=sessions, catalogue=catalogue, outbound=outbound, clock=clock, ids=ids)
    table = operator_table(parts)
    return JsonApi(
        name=DESCRIPTION.name,
        table=table,
        admit=admit_operator(directory, clock.now_ms),
        label=lambda caller: caller.operator.id,
        documents={**documents(DESCRIPTION, table), **_wallets(dialects)},
        docs=docs,
        clock=clock,
        ids=ids,
        log=log,
        metrics=metrics,
        probes=probes,
        check_address=rates.check_address if rates else None,
        check_caller=(lambda caller: rates.check_operator(caller.operator)) if rates else None,
    )


def _wallets(dialects: Sequence[DialectSpec]) -> dict[str, Document]:
    """What operators implement, for those dialects that are described."""
    found: dict[str, Document] = {}
    for dialect in dialects:
        if dialect.openapi is not None:
            found |= shown(dialect.openapi, f"/wallets/{dialect.slug}")
    return found
