"""Launches, replays, and ending a session: what needs the provider."""

from __future__ import annotations

from contextlib import suppress

from attrs import frozen

from croupier.catalogue.service import GameQuery, GameView
from croupier.configuration.directory import LiveConnection, LiveRoute
from croupier.contract import (
    Capability,
    CroupierError,
    DeclinedError,
    Launched,
    LaunchQuery,
    MalformedRequestError,
    NotFoundError,
    UnsupportedOperationError,
    UpstreamError,
)
from croupier.contract import ReplayQuery as ProviderReplay
from croupier.ledger.port import Look
from croupier.ledger.records import SessionRow
from croupier.sessions.service import Launch
from croupier.web.api import Nothing
from croupier.web.operator_api.messages import (
    EndedSession,
    Game,
    GameRoute,
    Games,
    GamesQuery,
    LaunchAnswer,
    LaunchBody,
    ReplayQuery,
)
from croupier.web.operator_api.parts import Caller, OperatorAsk, Parts, Plain
from croupier.web.operator_api.views import names_of, session_view
from croupier.web.paging import moment


@frozen
class Launching:
    """Handlers about games and their launch."""

    parts: Parts

    async def list_games(self, ask: OperatorAsk[GamesQuery, Nothing]) -> Games:
        """One page of games."""
        query = ask.query
        page = self.parts.catalogue.games(
            ask.caller.operator.id,
            GameQuery(
                text=query.text,
                category=query.category,
                studio=query.studio,
                connection=query.connection,
                feature=query.feature,
                device=query.device,
                playable=query.playable,
                limit=query.limit,
                cursor=query.cursor,
            ),
        )
        return Games(
            games=tuple(_game(view, ask.caller) for view in page.games),
            total=page.total,
            facets=page.facets,
            next_cursor=page.next_cursor,
        )

    async def get_game(self, ask: Plain) -> Game:
        """One game."""
        return _game(self.parts.catalogue.game(ask.caller.operator.id, ask.path["game"]), ask.caller)

    async def launch(self, ask: OperatorAsk[Nothing, LaunchBody]) -> LaunchAnswer:
        """Start a game. The session is stored before the provider hears of it, and ended if the launch fails."""
        body = ask.body
        if not body.demo and body.player is None:
            raise MalformedRequestError("expected the player, unless it is a demo", where="body.player")
        live, route = self._choose(ask.caller, body)
        facts = {
            "country": body.country,
            "language": body.language,
            "jurisdiction": body.jurisdiction,
            "display_name": body.display_name,
            "device": body.device.value,
        }
        launch = await self.parts.sessions.launch(
            live,
            route,
            body.player or "",
            body.currency,
            demo=body.demo,
            operator_session=body.operator_session,
            facts={name: value for name, value in facts.items() if value is not None},
            lifetime_ms=None if body.lifetime_seconds is None else body.lifetime_seconds * 1000,
        )
        try:
            flow = live.adapter.launch(
                _query(body, live, route, launch), live.credentials, self.parts.clock.now(), self.parts.ids.nonce()
            )
            launched = _complete(await self.parts.outbound(flow, live, operation="launch", trace=ask.trace.trace))
        except Exception:
            with suppress(CroupierError):  # what went wrong first is what the caller must hear
                await self.parts.sessions.end(launch.session.operator, launch.session.session)
            raise
        return _answer(live, launched, launch.session)

    async def end_session(self, ask: Plain) -> EndedSession:
        """End a session, here first and then with the provider, where that can be."""
        operator = ask.caller.operator
        row = await self.parts.sessions.end(operator.id, ask.path["session"])
        live = operator.connections.get(row.connection)
        told = False
        if live is not None and row.player and Capability.END_SESSION in live.adapter.spec.capabilities:
            alias = await self.parts.sessions.alias(live.connection, row.player)
            try:
                flow = live.adapter.end_session(alias, live.credentials, self.parts.clock.now())
                await self.parts.outbound(flow, live, operation="end_session", trace=ask.trace.trace)
                told = True
            except CroupierError:
                told = False
        names = await names_of(self.parts.ledger, operator, [row.player])
        return EndedSession(session=session_view(row, names), provider_told=told)

    async def replay(self, ask: OperatorAsk[ReplayQuery, Nothing]) -> LaunchAnswer:
        """Show a round again."""
        return await self._replay(ask.caller, ask.path["round"], ask.query.language, ask.trace.trace)

    async def begin_replay(self, ask: OperatorAsk[Nothing, ReplayQuery]) -> LaunchAnswer:
        """Show a round again."""
        return await self._replay(ask.caller, ask.path["round"], ask.body.language, ask.trace.trace)

    async def _replay(self, caller: Caller, round: str, language: str, trace: str) -> LaunchAnswer:
        operator = caller.operator
        seen = await self.parts.ledger.look(Look(operator=operator.id, round=round, round_movements=True))
        if seen.round is None:
            raise NotFoundError("there is no such round")
        live = operator.connections.get(seen.round.connection)
        if live is None or Capability.ROUND_REPLAY not in live.adapter.spec.capabilities:
            raise UnsupportedOperationError("the provider shows no replays", where="round")
        code = next((movement.route for movement in seen.round_movements if movement.route), None)
        launch_codes = {route.route.code: route.document.code for route in operator.routes.values()
                        if route.document.connection == live.id}  # fmt: skip
        query = ProviderReplay(
            player=await self.parts.sessions.alias(live.connection, seen.round.player),
            round=seen.round.provider_round,
            game=launch_codes.get(code or "", code or ""),
            language=language,
            transaction=next((movement.reference for movement in seen.round_movements), None),
        )
        flow = live.adapter.replay(query, live.credentials, self.parts.clock.now())
        launched = _complete(await self.parts.outbound(flow, live, operation="replay", trace=trace))
        return _answer(live, launched, None)

    def _choose(self, caller: Caller, body: LaunchBody) -> tuple[LiveConnection, LiveRoute]:
        """The route that serves a launch: the first that can, or that of the connection that was named."""
        view = self.parts.catalogue.game(caller.operator.id, body.game)
        named = caller.connection(body.connection) if body.connection is not None else None
        needed = Capability.LAUNCH_DEMO if body.demo else Capability.LAUNCH
        for route in view.routes:
            live = caller.operator.connections[route.document.connection]
            able = needed in live.adapter.spec.capabilities and (route.document.demo or not body.demo)
            if able and (named is None or named.id == live.id):
                return live, route
        raise DeclinedError("no connection can launch the game now", where="body.game")


def _game(view: GameView, caller: Caller) -> Game:
    routes = [(caller.operator.connections[route.document.connection], route.document) for route in view.routes]
    game = view.document
    return Game(
        id=view.id,
        title=game.title,
        studio=game.studio,
        category=game.category,
        rtp=game.rtp,
        volatility=game.volatility,
        features=game.features,
        devices=tuple(sorted(game.devices, key=lambda device: device.value)),
        enabled=game.enabled,
        thumbnail=game.thumbnail,
        routes=tuple(
            GameRoute(
                connection=live.name,
                provider=live.connection.provider,
                demo=document.demo,
                free_rounds=document.free_rounds,
            )
            for live, document in routes
        ),
    )


def _query(body: LaunchBody, live: LiveConnection, route: LiveRoute, launch: Launch) -> LaunchQuery:
    currency = live.connection.currencies.get(body.currency)
    wire = live.connection.policies.of("launch").shown_currency(currency.code)
    return LaunchQuery(
        game=route.document.code,
        demo=body.demo,
        player=launch.alias,
        token=launch.token,
        session=launch.session.session,
        currency=wire.code if wire else currency.code,
        scale=currency,
        language=body.language,
        device=body.device,
        country=body.country,
        jurisdiction=body.jurisdiction,
        address=body.address,
        return_url=body.return_url,
        deposit_url=body.deposit_url,
        history_url=body.history_url,
        person=body.person,
        options=body.options,
    )


def _complete(launched: Launched) -> Launched:
    given = [launched.url is not None, launched.html is not None, bool(launched.parameters)]
    if given.count(True) != 1:
        raise UpstreamError("the provider's launch cannot be used: expected one of url, html and parameters")
    return launched


def _answer(live: LiveConnection, launched: Launched, session: SessionRow | None) -> LaunchAnswer:
    return LaunchAnswer(
        session=session.session if session else None,
        connection=live.name,
        provider=live.connection.provider,
        url=launched.url,
        html=launched.html,
        parameters=dict(launched.parameters) or None,
        expires_at=moment(session.expires_at) if session else None,
    )
