"""Tom Horn Gaming simulated: the requests that it sends, and how it reads the answers.

What it serves to the hub stands in `croupier_tomhorn.peer_api`. Its references and rounds are whole numbers; an id that
is none is written as a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from croupier.contract.calls import MovementKind
from croupier.contract.errors import MalformedRequestError, NotFoundError, UnsupportedOperationError
from croupier.contract.flows import Launched
from croupier.contract.http import JSON_HEADERS, Headers, HttpRequest, HttpResponse
from croupier.contract.peer import (
    Peer,
    PeerAction,
    PeerAnswer,
    PeerAuthenticate,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    Verdict,
)
from croupier.contract.policy import OnSilence
from croupier.contract.secrets import Credentials
from croupier.contract.strict_json import read_json_object, write_json
from croupier_tomhorn.adapter import TomhornAdapter
from croupier_tomhorn.codes import DEPOSIT, GET_BALANCE, ROLLBACK, WITHDRAW
from croupier_tomhorn.peer_api import Services
from croupier_tomhorn.settings import SECRET, TomhornSettings
from croupier_tomhorn.sign import SIGN, amount_text, sign, signed_text
from croupier_tomhorn.soap import WALLET, XML, content_of, elements, envelope, local

OK: Final = 0
GENERAL: Final = 1
ROLLED_BACK: Final = 9
DUPLICATE: Final = 11
UNKNOWN: Final = 12
CODES: Final = frozenset({0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12})

_FREE: Final = frozenset({MovementKind.FREE_BET, MovementKind.FREE_WIN})
_LONGEST: Final = 18
"""Digits of the largest number that a long holds for certain."""


class TomhornPeer(Services, Peer):
    """The provider of a connection with these settings.

    Requests are pure. What it keeps are identities, sessions, launches and campaigns.

    Args:
        settings: The settings of the connection on the other side.
    """

    bet_on_silence = OnSilence.CANCELS
    rollback_key_is_target = True
    closes_by_call = False
    combines = False

    def __init__(self, settings: TomhornSettings) -> None:
        super().__init__(settings)
        self.capabilities = TomhornAdapter(settings).spec.capabilities
        self._types = {MovementKind(kind): number for number, kind in settings.deposit_types.items()}
        self._types |= {MovementKind.WIN: "0", MovementKind.FREE_WIN: "0"}

    def request(self, action: PeerAction, credentials: Credentials, now: datetime) -> HttpRequest:
        """Build and sign what the provider would send.

        Raises:
            UnsupportedOperationError: More or fewer than one movement, a kind of movement that the protocol has not, a
                round's end on anything but a Deposit, or free games without a campaign.
            AmountError: More than two decimals.
        """
        method, said = self._said(action)
        fields = {"partnerID": self.settings.partner_id, "name": action.player.player, **said}
        fields[SIGN] = sign(signed_text(method, fields), credentials.current(SECRET))
        if self.settings.encoding == "soap":
            inner = elements(fields)
            headers = Headers((("Content-Type", XML), ("SOAPAction", f'"{WALLET}/{method}"')))
            return HttpRequest("POST", "/", headers, envelope(f'<{method} xmlns="{WALLET}">{inner}</{method}>'))
        return HttpRequest("POST", f"/{method}", JSON_HEADERS, write_json(fields))

    def answer(self, action: PeerAction, response: HttpResponse) -> PeerAnswer:
        """Read the hub's answer: what is not HTTP 200 or no answer of the method is none at all."""
        method, _ = self._said(action)
        if response.status != 200:
            return _none(f"http {response.status}")
        try:
            told = self._told(method, response.body)
            code = int(str(told["Code"]))
        except (MalformedRequestError, KeyError, ValueError):
            return _none("unreadable")
        if code not in CODES:
            return _none(str(code))
        done = code == OK or (method == ROLLBACK and code in {ROLLED_BACK, UNKNOWN})
        if done or (code == DUPLICATE and told.get("Transaction")):
            return self._booked(method, code, told)
        # After code 1 a Deposit or a rollback is pending; a Withdraw is rolled back if the account was set up so.
        pends = code == GENERAL and method != GET_BALANCE
        again = pends and (method != WITHDRAW or self.settings.general_error_rolls_back)
        return PeerAnswer(verdict=Verdict.RETRY if again else Verdict.REFUSED, code=str(code))

    def serve(self, request: HttpRequest, credentials: Credentials, now: datetime) -> HttpResponse:
        """Answer a call of the hub as the provider would."""
        return self.answer_to(request, credentials)

    def launched(self, url: str) -> PeerPlayer:
        """The player of an address of the game launcher.

        Raises:
            NotFoundError: No such launch.
        """
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        if not parts.path.endswith(f"/Integration/{self.settings.partner_id}/GameLauncher"):
            raise NotFoundError("this is no address of the game launcher", where="url")
        return self.launch_of(Launched(url=f"{query.get('gameId')} {query.get('token')}"))

    def started(self, launch: Launched) -> PeerPlayer:
        """The player whose game starts by an address or by a loader's parameters.

        Raises:
            NotFoundError: No such launch.
        """
        return self.launched(launch.url) if launch.url else self.launch_of(launch)

    def _said(self, action: PeerAction) -> tuple[str, dict[str, Any]]:
        player = action.player
        session = _number(player.session or "0")
        match action:
            case PeerBalance():
                fields = {"currency": player.currency, "sessionID": session, "gameModule": player.game, "type": 0}
                return GET_BALANCE, fields
            case PeerPlay(moves=(move,)) if move.kind is MovementKind.ROLLBACK:
                if move.target is None or action.closes_round or action.grant is not None:
                    raise UnsupportedOperationError("a rollback names its withdraw, and nothing else", where=move.id)
                return ROLLBACK, {"reference": _number(move.target), "sessionID": session}
            case PeerPlay(moves=(move,)):
                return self._moved(action, move, session)
            case PeerPlay() | PeerAuthenticate() | PeerCloseRound():
                raise UnsupportedOperationError("the protocol has no such request")

    def _moved(self, play: PeerPlay, move: PeerMove, session: int | str) -> tuple[str, dict[str, Any]]:
        if (move.kind in _FREE) is not (play.grant is not None):
            raise UnsupportedOperationError("a campaign belongs to free games, and to all of them", where=move.id)
        if play.round == "0":
            raise UnsupportedOperationError("0 is no round", where="round")
        bets = move.kind in {MovementKind.BET, MovementKind.FREE_BET}
        if not bets and move.kind not in self._types:
            raise UnsupportedOperationError("the protocol has no such movement", where=move.kind.value)
        free_bet = move.kind is MovementKind.FREE_BET
        fields = {
            "amount": _decimal(Decimal(0) if free_bet else move.amount),
            "currency": play.player.currency,
            "reference": _number(move.id),
            "sessionID": session,
            "gameRoundID": _number(play.round),
            "gameModule": play.player.game,
        }
        if bets:
            if play.closes_round:
                raise UnsupportedOperationError("a Withdraw ends no round", where=move.id)
            if free_bet:
                fields |= {"fgbCampaignCode": play.grant, "fgbBetAmount": _decimal(move.amount)}
            return WITHDRAW, fields
        fields["type"] = int(self._types[move.kind])
        if play.grant is not None:
            fields["fgbCampaignCode"] = play.grant
        if self.settings.round_end == "flag":
            fields["isRoundEnd"] = str(play.closes_round)
        return DEPOSIT, fields

    def _told(self, method: str, body: bytes) -> Mapping[str, Any]:
        if self.settings.encoding == "json":
            return read_json_object(body)
        content = content_of(body)
        if local(content) != f"{method}Response" or len(content) != 1 or content[0].tag != _tag(f"{method}Result"):
            raise MalformedRequestError("it answers something else")
        told: dict[str, Any] = {}
        for child in content[0]:
            told[local(child)] = {local(leaf): leaf.text for leaf in child} if len(child) else child.text
        return told

    def _booked(self, method: str, code: int, told: Mapping[str, Any]) -> PeerAnswer:
        """What a success says; without one of its fields it is none."""
        if method == ROLLBACK:
            return PeerAnswer(verdict=Verdict.DONE, code=str(code))
        block = told.get("Balance" if method == GET_BALANCE else "Transaction")
        shown = block.get("Amount" if method == GET_BALANCE else "Balance") if isinstance(block, Mapping) else None
        try:
            balance = Decimal(amount_text(shown))
        except MalformedRequestError:
            return _none("no balance")
        transaction = None
        if method != GET_BALANCE and self.settings.transaction_id == "hub":
            transaction = str(told["Transaction"].get("ID") or "") or None
        return PeerAnswer(verdict=Verdict.DONE, code=str(code), balance=balance, transaction=transaction)


def _tag(name: str) -> str:
    return f"{{{WALLET}}}{name}"


def _number(text: str) -> int | str:
    """A whole number where it is one that a long holds."""
    plain = text.isascii() and text.isdigit() and len(text) <= _LONGEST and str(int(text)) == text
    return int(text) if plain else text


def _decimal(amount: Decimal) -> Decimal:
    """An amount as the provider's JSON has it, without the zeros at the end that its signature wants."""
    return Decimal(amount_text(amount)).normalize()


def _none(code: str) -> PeerAnswer:
    return PeerAnswer(verdict=Verdict.RETRY, code=code)
