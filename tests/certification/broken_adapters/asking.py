"""Broken adapters and peers for the layers of flows and speed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve
from tests.certification.broken_adapters.bent import pragmatic, softswiss

from croupier.contract import (
    BetScale,
    Credentials,
    CroupierError,
    Effect,
    Flow,
    FreeRoundsIssued,
    FreeRoundsQuery,
    GameListing,
    HttpRequest,
    HttpResponse,
    Launched,
    LaunchQuery,
    LogPage,
    LogQuery,
    ReplayQuery,
    TransportError,
    UpstreamError,
    Verified,
    read_json_object,
)
from croupier_conformance.certification.subject import AdapterSubject
from croupier_pragmatic.adapter import PragmaticAdapter
from croupier_softswiss.adapter import SoftswissAdapter
from croupier_softswiss.peer import SoftswissPeer


class LaunchesAnotherGame(SoftswissAdapter):
    def launch(self, query: LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        asked = query if query.demo else evolve(query, game="acceptance:fruits")
        return super().launch(asked, credentials, now, nonce)


class DemosForMoney(SoftswissAdapter):
    def launch(self, query: LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        return super().launch(evolve(query, demo=False, player=query.player or "demo"), credentials, now, nonce)


class ForgetsAGame(SoftswissAdapter):
    def game_list(self, credentials: Credentials, now: datetime) -> Flow[tuple[GameListing, ...]]:
        games = yield from super().game_list(credentials, now)
        return games[1:]


class ScalesOfAnotherGame(PragmaticAdapter):
    def bet_scales(self, games: Sequence[str], credentials: Credentials, now: datetime) -> Flow[tuple[BetScale, ...]]:
        scales = yield from super().bet_scales(games, credentials, now)
        return tuple(evolve(scale, game="another") for scale in scales)


class GivesOneMore(PragmaticAdapter):
    def issue_free_rounds(
        self, query: FreeRoundsQuery, credentials: Credentials, now: datetime, nonce: str
    ) -> Flow[FreeRoundsIssued]:
        return super().issue_free_rounds(evolve(query, rounds=query.rounds + 1), credentials, now, nonce)


class TakesBackAnother(SoftswissAdapter):
    def cancel_free_rounds(self, grant: str, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        return super().cancel_free_rounds(f"{grant}-x", player, credentials, now)


class ListsTwice(PragmaticAdapter):
    def list_free_rounds(
        self, player: str, credentials: Credentials, now: datetime
    ) -> Flow[tuple[FreeRoundsIssued, ...]]:
        listed = yield from super().list_free_rounds(player, credentials, now)
        return (*listed, *listed)


class ReplaysInTwoWays(PragmaticAdapter):
    def replay(self, query: ReplayQuery, credentials: Credentials, now: datetime) -> Flow[Launched]:
        launched = yield from super().replay(query, credentials, now)
        return evolve(launched, html="<p>and this</p>")


class EndsSessionsLoudly(PragmaticAdapter):
    def end_session(self, player: str, credentials: Credentials, now: datetime) -> Flow[Any]:
        yield from super().end_session(player, credentials, now)
        return "ended"


class VoidsARoundOfNobody(PragmaticAdapter):
    def cancel_round(self, player: str, game: str, round: str, credentials: Credentials, now: datetime) -> Flow[None]:
        return super().cancel_round("", game, round, credentials, now)


class NeverReachesTheEnd(PragmaticAdapter):
    def transaction_log(self, query: LogQuery, credentials: Credentials, now: datetime) -> Flow[LogPage]:
        page = yield from super().transaction_log(query, credentials, now)
        return evolve(page, cursor=page.cursor or "1")


class NeverReachesTheLastRound(PragmaticAdapter):
    def round_log(self, query: LogQuery, credentials: Credentials, now: datetime) -> Flow[LogPage]:
        page = yield from super().round_log(query, credentials, now)
        return evolve(page, cursor=page.cursor or "1")


class GivesAnewEachTime(SoftswissAdapter):
    def issue_free_rounds(
        self, query: FreeRoundsQuery, credentials: Credentials, now: datetime, nonce: str
    ) -> Flow[FreeRoundsIssued]:
        return super().issue_free_rounds(evolve(query, grant=f"{query.grant}-{nonce}"), credentials, now, nonce)


class BelievesEverybody(SoftswissPeer):
    """A provider that checks no proof."""

    def serve(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        if request.method == "GET":
            return super().serve(request, credentials, now)
        try:
            return self._serve(request, request.path.removeprefix("/api"), now)
        except (CroupierError, KeyError, TypeError, ValueError):
            return HttpResponse.json(b'{"code":400,"message":"refused"}', 400)


class TrustsTheAnswer(SoftswissAdapter):
    def launch(self, query: LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        flow = super().launch(query, credentials, now, nonce)
        response = yield next(flow)
        return Launched(url=read_json_object(response.body)["launch_options"]["game_url"])


class TakesSilenceForNoGames(SoftswissAdapter):
    def game_list(self, credentials: Credentials, now: datetime) -> Flow[tuple[GameListing, ...]]:
        try:
            return (yield from super().game_list(credentials, now))
        except TransportError:
            return ()


class TriesAgainByItself(SoftswissAdapter):
    def launch(self, query: LaunchQuery, credentials: Credentials, now: datetime, nonce: str) -> Flow[Launched]:
        try:
            return (yield from super().launch(query, credentials, now, nonce))
        except UpstreamError:
            return (yield from super().launch(query, credentials, now, nonce))


class TellsTheSecretToEveryProxy(SoftswissAdapter):
    def cancel_free_rounds(self, grant: str, player: str, credentials: Credentials, now: datetime) -> Flow[None]:
        flow = super().cancel_free_rounds(grant, player, credentials, now)
        request = next(flow)
        assert request.effect is Effect.IDEMPOTENT
        response = yield evolve(request, url=f"{request.url}?key={credentials.current('auth_token')}")
        try:
            flow.send(response)
        except StopIteration:
            return


def _waste(rounds: int) -> int:
    return sum(len(str(number)) for number in range(rounds))


class ReadsSlowly(SoftswissAdapter):
    def parse(self, verified: Verified) -> Any:
        _waste(2_000)
        return super().parse(verified)


class ProvesSlowly(SoftswissAdapter):
    def verify(self, request: HttpRequest, credentials: Credentials, now: datetime) -> Verified:
        _waste(2_000)
        return super().verify(request, credentials, now)


def of_softswiss(adapter: Any) -> Callable[[], AdapterSubject]:
    return lambda: softswiss(adapter)


def of_pragmatic(adapter: Any) -> Callable[[], AdapterSubject]:
    return lambda: pragmatic(adapter)


def everybody_is_believed() -> AdapterSubject:
    return softswiss(peer=BelievesEverybody)


BROKEN: dict[str, Any] = {
    "flow-launch": (of_softswiss(LaunchesAnotherGame), frozenset({"flow-launch"})),
    "flow-launch-demo": (of_softswiss(DemosForMoney), frozenset({"flow-launch-demo"})),
    "flow-game-list": (of_softswiss(ForgetsAGame), frozenset({"flow-game-list"})),
    "flow-bet-scales": (of_pragmatic(ScalesOfAnotherGame), frozenset({"flow-bet-scales"})),
    "flow-free-rounds-issue": (
        of_pragmatic(GivesOneMore),
        frozenset({"flow-free-rounds-issue", "flow-free-rounds-list"}),
    ),
    "flow-free-rounds-cancel": (of_softswiss(TakesBackAnother), frozenset({"flow-free-rounds-cancel"})),
    "flow-free-rounds-list": (of_pragmatic(ListsTwice), frozenset({"flow-free-rounds-list", "free-rounds-once"})),
    "flow-round-replay": (of_pragmatic(ReplaysInTwoWays), frozenset({"flow-round-replay"})),
    "flow-end-session": (of_pragmatic(EndsSessionsLoudly), frozenset({"flow-end-session"})),
    "flow-cancel-round": (of_pragmatic(VoidsARoundOfNobody), frozenset({"flow-cancel-round"})),
    "flow-transaction-log": (of_pragmatic(NeverReachesTheEnd), frozenset({"flow-transaction-log"})),
    "flow-round-log": (of_pragmatic(NeverReachesTheLastRound), frozenset({"flow-round-log"})),
    "free-rounds-once": (of_softswiss(GivesAnewEachTime), frozenset({"free-rounds-once"})),
    "flow-proof": (everybody_is_believed, frozenset({"flow-proof"})),
    "flow-bad-answers": (of_softswiss(TrustsTheAnswer), frozenset({"flow-bad-answers", "flow-proof"})),
    "flow-no-answer": (of_softswiss(TakesSilenceForNoGames), frozenset({"flow-no-answer"})),
    "once-is-once": (of_softswiss(TriesAgainByItself), frozenset({"once-is-once"})),
    "no-secret-in-address": (of_softswiss(TellsTheSecretToEveryProxy), frozenset({"no-secret-in-address"})),
    "parse-and-render-are-cheap": (
        of_softswiss(ReadsSlowly),
        frozenset({"parse-and-render-are-cheap", "whole-bet-is-cheap"}),
    ),
    "whole-bet-is-cheap": (of_softswiss(ProvesSlowly), frozenset({"whole-bet-is-cheap"})),
}
