"""Play'n GO simulated: what it answers to the hub's calls, and what stands behind an address that launches a game."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit
from xml.etree.ElementTree import Element

from attrs import evolve, frozen

from croupier.contract import (
    Credentials,
    Headers,
    HttpRequest,
    HttpResponse,
    MalformedRequestError,
    NotFoundError,
    PeerPlayer,
    iso_utc,
    same_secret,
    write_json,
)
from croupier_playngo import soap, wire
from croupier_playngo.outbound import DEMO_TICKET, LAUNCHER
from croupier_playngo.settings import API_PASSWORD, PlayngoSettings, is_number


@frozen(kw_only=True)
class Game:
    """A game that the peer offers.

    Attributes:
        number: Its `gameId`.
        gid: Its name at launch.
        title: Its title.
        lines: The lines it can be played on.
    """

    number: str
    gid: str
    title: str
    lines: tuple[int, ...]


GAMES: Final = (
    Game(number="100310", gid="peerfruits", title="Peer Fruits", lines=(1, 5, 10)),
    Game(number="100311", gid="peerdiamonds", title="Peer Diamonds", lines=(20,)),
)
"""What the peer offers; no real games."""

_TEXT_XML: Final = Headers((("Content-Type", soap.XML),))
_LARGEST_PAGE: Final = 500


@frozen(kw_only=True)
class Offer:
    """Free games that were offered.

    Attributes:
        number: The provider's own id.
        user: The player.
        request: The `RequestId`.
        external: The `FreegameExternalId`.
        rounds: How many.
        bet: Lines, coins and the coin's value, as far as they were sent.
        games: In which games.
        expires: When they end.
        cancelled: Whether they were taken back.
    """

    number: int
    user: str
    request: str
    external: str
    rounds: int
    bet: tuple[str, str, str]
    games: tuple[str, ...]
    expires: str
    cancelled: bool = False


class _Fault(Exception):  # noqa: N818 # what SOAP calls it
    """A definite refusal, by its `ErrorId`."""


class ServedApi:
    """The provider's own interfaces, with the proof of every call checked.

    Attributes:
        settings: The settings of the connection on the other side.
        offers: Free games by their `RequestId`.
    """

    def __init__(self, settings: PlayngoSettings) -> None:
        self.settings = settings
        self.offers: dict[str, Offer] = {}
        self._operations: Mapping[str, Callable[[Element, datetime], str]] = {
            "GetGamesConfigurations": self._games,
            "AddFreegameOffers": self._offer,
            "CancelFreegame": self._cancel,
            "GetFreegameOffers": self._list,
        }

    def launched(self, url: str) -> PeerPlayer:
        """The player of a launch: the ticket and the game; who that is, `authenticate` tells.

        Raises:
            NotFoundError: The address launches no game of this provider.
        """
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        game = next((game for game in GAMES if game.gid == query.get("gid")), None)
        ours = (parts.scheme, parts.netloc, parts.path) == ("https", self.settings.game_host, LAUNCHER)
        complete = query.get("pid") == self.settings.product_id and query.get("channel") in {"desktop", "mobile"}
        ticket = query.get("ticket", "")
        if game is None or not (ours and complete and ticket and query.get("lang")):
            raise NotFoundError("this peer launched no such game", where="url")
        if query.get("practice") == "1":
            return PeerPlayer(player="", token="", game=game.number, currency="")
        if query.get("practice") != "0" or ticket == DEMO_TICKET:
            raise NotFoundError("real money is played with a ticket", where="url")
        return PeerPlayer(player="", token=ticket, game=game.number, currency="")

    def serve(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        """Answer a call of the hub as the provider would."""
        proofs = [soap.basic(self.settings, Credentials({API_PASSWORD: (key,)})) for key in _keys(credentials)]
        given = request.headers.get("Authorization") or ""
        if not any(same_secret(proof, given) for proof in proofs):
            return HttpResponse.text("no such user", 401)
        games = urlsplit(self.settings.games_url)
        if games.netloc and request.path == games.path:
            return self._games_as_json(request)
        if request.method != "POST" or request.path != urlsplit(self.settings.api_url).path:
            return HttpResponse.text("no such address", 404)
        return self._operation(request, now)

    def _operation(self, request: HttpRequest, now: datetime) -> HttpResponse:
        try:
            root = wire.parsed(request.body)
        except MalformedRequestError:
            return HttpResponse.text("no XML", 400)
        asked = root.find(f"{{{soap.ENVELOPE}}}Body/*")
        name = "" if asked is None else asked.tag.removeprefix(f"{{{soap.NAMESPACE}}}")
        operation = self._operations.get(name)
        if asked is None or operation is None or request.headers.get(soap.SOAP_ACTION) != soap.action(name):
            return _fault("", "the action is none of this service's")
        try:
            inner = operation(asked, now)
        except _Fault as fault:
            return _fault(str(fault), "refused")
        response = f'<{name}Response xmlns="{soap.NAMESPACE}">{inner}</{name}Response>'
        return HttpResponse(200, _TEXT_XML, _enveloped(response))

    def _games_as_json(self, request: HttpRequest) -> HttpResponse:
        if request.method != "GET" or request.headers.get("pid") != self.settings.product_id:
            return HttpResponse.text("no such product group", 403)
        listed = [{"gameId": game.number, "gid": game.gid, "name": game.title, "gameType": "Slot"} for game in GAMES]
        return HttpResponse.json(write_json(listed))

    def _games(self, asked: Element, _now: datetime) -> str:
        self._is_our_group(asked)
        last, size = _number(asked, "LastGameId", 0), _number(asked, "PageSize", _LARGEST_PAGE)
        only = soap.numbers(asked, "GameIdList")
        known = [game for game in GAMES if int(game.number) > last and (not only or game.number in only)][:size]
        rows = "".join([_configuration(game) for game in known])
        count = wire.element("GameConfigurationsReturnCount", str(len(known)))
        return f"<GamesConfigurations>{count}<GameConfigurations>{rows}</GameConfigurations></GamesConfigurations>"

    def _offer(self, asked: Element, now: datetime) -> str:
        told = soap.texts(asked, "")
        user, request, rounds = told.word("UserId"), told.word("RequestId"), _number(asked, "Rounds", 0)
        games = soap.numbers(asked, "GameIdList")
        bet = tuple([told.word(name) or "" for name in ("Lines", "Coins", "Denomination")])
        expires = told.word("ExpireTime") or ""
        if not user or not request or rounds < 1 or not games or expires <= iso_utc(now, 0):
            raise _Fault("InvalidArguments")
        if len(bet) != 3 or not (all(bet) or told.word("TriggerId")):
            raise _Fault("InvalidArguments")
        offered = {game.number: game for game in GAMES}
        if any(game not in offered or (bet[0] and int(bet[0]) not in offered[game].lines) for game in games):
            raise _Fault("InvalidGame")
        known = self.offers.get(request)
        if known is None:
            known = self.offers[request] = Offer(
                number=len(self.offers) + 1,
                user=user,
                request=request,
                external=told.word("FreegameExternalId") or "",
                rounds=rounds,
                bet=bet,
                games=games,
                expires=expires,
            )
        return f"<AddFreegameOffersResult>{_shown(known)}</AddFreegameOffersResult>"

    def _cancel(self, asked: Element, _now: datetime) -> str:
        self._is_our_group(asked)
        offer = self.offers.get(soap.texts(asked, "").word("RequestId") or "")
        if offer is None:
            raise _Fault("InvalidID")
        self.offers[offer.request] = evolve(offer, cancelled=True)
        return ""

    def _list(self, asked: Element, _now: datetime) -> str:
        told = soap.texts(asked, "")
        active = [offer for offer in self.offers.values() if offer.user == told.word("UserId") and not offer.cancelled]
        skip, take = _number(asked, "Skip", 0), _number(asked, "Take", 0)
        if told.word("State") != "Active":
            raise _Fault("InvalidArguments")
        rows = [f"<FreegameOffer>{_shown(offer)}</FreegameOffer>" for offer in active[skip : skip + take]]
        return f"<Offers>{''.join(rows)}</Offers>"

    def _is_our_group(self, asked: Element) -> None:
        if soap.texts(asked, "").word("ProductGroup") != self.settings.product_id:
            raise _Fault("AccessRestricted")


def _keys(credentials: Credentials) -> Sequence[str]:
    return [key for key in credentials.every(API_PASSWORD) if key]


def _number(asked: Element, name: str, absent: int) -> int:
    text = soap.texts(asked, "").word(name)
    if text is None:
        return absent
    if not (is_number(text)):
        raise _Fault("InvalidArguments")
    return int(text)


def _configuration(game: Game) -> str:
    lines = "".join([wire.element("a:int", str(number)) for number in game.lines])
    told = (("GameId", game.number), ("GId", game.gid), ("Name", game.title), ("GameType", "Slot"))
    settings = "".join([wire.element(name, text) for name, text in told])
    settings += f'<SupportedLines xmlns:a="{soap.ARRAYS}">{lines}</SupportedLines>'
    default = f"<DefaultGameSettings>{settings}</DefaultGameSettings>"
    inner = f"{wire.element('GameId', game.number)}<GameConfiguration>{default}</GameConfiguration>"
    return f"<GameConfigurationResourceWrapper>{inner}</GameConfigurationResourceWrapper>"


def _shown(offer: Offer) -> str:
    lines, coins, value = offer.bet
    told = (
        ("OfferId", str(offer.number)),
        ("UserId", offer.user),
        ("Lines", lines),
        ("Coins", coins),
        ("Rounds", str(offer.rounds)),
        ("Denomination", value),
        ("ExpireTime", offer.expires),
        ("FreegameExternalId", offer.external),
        ("Turnover", "0"),
        ("RoundsUsed", "0"),
        ("OfferCancelled", "true" if offer.cancelled else "false"),
    )
    return "".join([wire.element(name, text) for name, text in told if text])


def _enveloped(inner: str) -> bytes:
    return f'<s:Envelope xmlns:s="{soap.ENVELOPE}"><s:Body>{inner}</s:Body></s:Envelope>'.encode()


def _fault(error: str, text: str) -> HttpResponse:
    """A SOAP fault, which comes with HTTP 500."""
    told = wire.element("ErrorId", error) + wire.element("ErrorMessage", text)
    detail = f'<detail><ServiceFault xmlns="{soap.NAMESPACE}">{told}</ServiceFault></detail>' if error else ""
    inner = f"<s:Fault><faultcode>s:Client</faultcode>{wire.element('faultstring', text)}{detail}</s:Fault>"
    return HttpResponse(500, _TEXT_XML, _enveloped(inner))
