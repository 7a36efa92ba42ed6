"""A stage for scenarios: a whole hub on virtual time between the subject's peer and a model operator.

Rules tell stories on it as coroutines. What a story sends is built by the peer and read by the peer; money is read
from the operator's accounts, never from the hub.
"""

from __future__ import annotations

import base64
import functools
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final, NoReturn, TypeVar
from uuid import UUID

from attrs import define, evolve, field, frozen

from croupier.contract import (
    Calls,
    Capability,
    DialectSpec,
    HttpRequest,
    HttpResponse,
    MovementKind,
    PackageError,
    Peer,
    PeerAction,
    PeerAnswer,
    PeerAuthenticate,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    Policies,
    UnsupportedOperationError,
    Verdict,
    minor_to_decimal,
)
from croupier.registry import Registry
from croupier_conformance.certification.bench import AdapterBench, shown
from croupier_conformance.certification.operator import CURRENCY, OPENING, ModelOperator
from croupier_conformance.certification.rule import RuleBrokenError, RuleNotApplicableError
from croupier_conformance.simulated_hub import ApiAnswerError, SimulatedHub, SimulatedOperator, SimulatedProvider
from croupier_conformance.virtual_time import simulate

T = TypeVar("T")

NAME: Final = "subject"
"""The connection's name."""
PLAYER: Final = "player-one"
"""The operator's id of the player that every story has."""
OTHER: Final = "player-two"
"""The operator's id of another player."""
SCALE: Final = 2
"""Digits of the currency that stories are told in."""

_SECRET: Final = "whsec_" + base64.b64encode(b"certification-only-certification").decode()
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 # a folder of its own is made in it
_DIALECT: Final = "native"


@frozen(kw_only=True)
class Told:
    """One request and what came of it.

    Attributes:
        action: What the peer wanted.
        request: What it sent.
        response: What came back; `None` is silence.
        answer: How the peer understands that.
    """

    action: PeerAction
    request: HttpRequest
    response: HttpResponse | None
    answer: PeerAnswer

    @property
    def verdict(self) -> Verdict:
        """How the peer understands the answer."""
        return self.answer.verdict

    @property
    def came_back(self) -> str:
        """The answer for a failure's message."""
        heard = "nothing" if self.response is None else shown(self.response)
        return f"{heard}\n\n(the peer reads this as {self.verdict.value}, code {self.answer.code or 'none'})"

    def breaks(self, message: str, hint: str = "") -> NoReturn:
        """Fail: this exchange is what is wrong.

        Raises:
            RuleBrokenError: Always.
        """
        raise RuleBrokenError(
            f"{named(self.action)}: {message}", sent=shown(self.request), came_back=self.came_back, hint=hint
        )

    def expect(self, *verdicts: Verdict, why: str, hint: str = "") -> Told:
        """This, if the peer understands it as one of these.

        Raises:
            RuleBrokenError: It does not.
        """
        if self.verdict not in verdicts:
            wanted = " or ".join(verdict.value for verdict in verdicts)
            self.breaks(f"{why}: expected {wanted}, and the peer understands {self.verdict.value}", hint)
        return self


@define(eq=False)
class Stage:
    """A hub at work with what is around it.

    Attributes:
        bench: The rule's.
        hub: The hub.
        operator: The operator's accounts.
        dice: Of every id.
    """

    bench: AdapterBench
    hub: SimulatedHub
    operator: ModelOperator
    dice: Random
    _rounds: int = field(default=0)

    @property
    def peer(self) -> Peer:
        """The provider."""
        return self.hub.providers[NAME].peer

    @property
    def policies(self) -> Policies:
        """The policy that the adapter declares."""
        return self.bench.adapter().policies

    # --- people and ids -----------------------------------------------------------------------------------------------

    async def sit(self, player: str = PLAYER, **launch: Any) -> PeerPlayer:
        """A player with money launches the subject's first game.

        Raises:
            RuleBrokenError: The launch does not lead to a game that can be played.
        """
        self.operator.open(player)
        try:
            return await self.hub.launch(NAME, player, currency=CURRENCY, **launch)
        except ApiAnswerError as error:
            hint = "the launch flow, the peer's `serve` and `launched`, and the answer to authenticate belong together"
            raise RuleBrokenError(f"a player cannot sit down: {error}", hint=hint) from None

    def new_id(self) -> str:
        """An id as most providers write them."""
        return UUID(int=self.dice.getrandbits(128), version=4).hex

    def new_round(self) -> str:
        """A round's id."""
        self._rounds += 1
        return str(7_000_000_000 + self._rounds)

    # --- what the peer does -------------------------------------------------------------------------------------------

    def can_say(self, action: PeerAction) -> bool:
        """Whether the protocol has words for it."""
        try:
            self.hub.signed(NAME, action)
        except UnsupportedOperationError:
            return False
        return True

    def needs_words_for(self, *actions: PeerAction) -> None:
        """Go on only if the protocol can say all of this.

        Raises:
            RuleNotApplicableError: It cannot.
        """
        for action in actions:
            if not self.can_say(action):
                raise RuleNotApplicableError(f"the protocol cannot say: {named(action)}")

    async def tell(self, action: PeerAction) -> Told:
        """Send what the peer wants straight to the hub."""
        return await self.pass_on(action, self.hub.signed(NAME, action))

    async def pass_on(self, action: PeerAction, request: HttpRequest) -> Told:
        """Send a request that is already written, and read the answer as the peer does."""
        response = await self.hub.handle(NAME, request)
        return Told(action=action, request=request, response=response, answer=self.peer.answer(action, response))

    async def done(self, action: PeerAction, why: str) -> Told:
        """Send what must be accepted.

        Raises:
            RuleBrokenError: It is not.
        """
        return (await self.tell(action)).expect(Verdict.DONE, why=why)

    async def until_definite(self, action: PeerAction, seconds: float = 600) -> Told:
        """Ask as a provider does that goes on until it is answered, for so long at most."""
        end = self.hub.clock.monotonic() + seconds
        told = await self.tell(action)
        while told.verdict is Verdict.RETRY and self.hub.clock.monotonic() < end:
            await self.hub.clock.sleep(2)
            told = await self.tell(evolve(action, resend=True) if isinstance(action, PeerPlay) else action)
        return told

    def parsed(self, request: HttpRequest) -> Calls:
        """What the adapter reads in a request."""
        adapter = self.bench.adapter()
        return adapter.parse(adapter.verify(request, self.bench.credentials, self.hub.clock.now()))

    # --- money --------------------------------------------------------------------------------------------------------

    def change(self, player: str = PLAYER) -> int:
        """What a player has more than at the beginning, in minor units."""
        return self.operator.balances[player] - OPENING

    def note(self, told: Told, title: str) -> None:
        """Keep an exchange for the report."""
        self.bench.notebook.note(title, told.request, told.response if told.response is not None else "")

    def expect_change(self, change: int, told: Told, why: str, player: str = PLAYER) -> None:
        """Fail if the wallet holds anything else.

        Raises:
            RuleBrokenError: It does.
        """
        held = self.change(player)
        if held != change:
            told.breaks(f"{why}: the balance changed by {held} minor units in all, and {change} is right")


def tell_story(
    bench: AdapterBench,
    story: Callable[[Stage], Awaitable[T]],
    *,
    policy: Mapping[str, Any] | None = None,
    wallet: Mapping[str, Any] | None = None,
) -> T:
    """Run a story on virtual time.

    Args:
        bench: The rule's.
        story: What happens.
        policy: Knobs of the connection that differ from the adapter's.
        wallet: Knobs of the wallet that differ from the simulation's.
    """
    return simulate(_told(bench, story, policy or {}, wallet or {}))


async def _told(
    bench: AdapterBench,
    story: Callable[[Stage], Awaitable[T]],
    policy: Mapping[str, Any],
    wallet: Mapping[str, Any],
) -> T:
    subject = bench.subject
    registry = Registry(discover=False)
    registry.register(subject.spec)
    registry.register(_native())
    provider = SimulatedProvider(
        name=NAME,
        adapter=subject.spec.slug,
        peer=subject.peer(),
        host=subject.host,
        settings=subject.settings_raw,
        secrets=subject.secrets,
        games=subject.games,
        wallet_codes=subject.wallet_codes,
        policy=policy,
    )
    operator = ModelOperator()
    configured = SimulatedOperator(
        dialect=_DIALECT,
        secrets={"signing_secret": _SECRET},
        policy={"retry_safe": True, "tombstones": True, "timeout_ms": 2_000, **wallet},
    )
    # In memory where there is such a folder: what dies here is a simulated process, never the computer.
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else bench.folder) as folder:
        async with SimulatedHub.open(
            folder,
            wallet=operator.answer,
            providers=[provider],
            operator=configured,
            seed=bench.seed,
            registry=registry,
        ) as hub:
            return await story(Stage(bench, hub, operator, Random(f"{bench.seed}/{subject.spec.slug}")))


@functools.cache
def _native() -> DialectSpec:
    """The native wallet protocol.

    Raises:
        RuleNotApplicableError: Its package is not installed.
    """
    with suppress(PackageError):
        return Registry().dialect(_DIALECT)
    raise RuleNotApplicableError("scenarios need the native wallet protocol: install croupier-wallet-native")


# --- what a peer may want -------------------------------------------------------------------------------------------


def bet(seat: PeerPlayer, round: str, id: str, minor: int) -> PeerPlay:
    """One bet."""
    return PeerPlay(player=seat, round=round, moves=(_move(MovementKind.BET, id, minor),))


def win(seat: PeerPlayer, round: str, id: str, minor: int, of: str, *, closes: bool = False) -> PeerPlay:
    """One win of a named bet."""
    move = evolve(_move(MovementKind.WIN, id, minor), target=of)
    return PeerPlay(player=seat, round=round, moves=(move,), closes_round=closes)


def undo(peer: Peer, play: PeerPlay, mark: str = "undo") -> PeerPlay:
    """The rollback of everything that a play moves, the last first; its ids follow from the play's and the mark."""
    moves = tuple(
        PeerMove(
            kind=MovementKind.ROLLBACK,
            id=move.id if peer.rollback_key_is_target else _derived(move.id, mark),
            amount=move.amount,
            target=move.id,
        )
        for move in reversed(play.moves)
    )
    return PeerPlay(player=play.player, round=play.round, moves=moves)


def both(seat: PeerPlayer, round: str, ids: tuple[str, str], stake: int, prize: int) -> PeerPlay:
    """A bet and its win in one request."""
    moves = (_move(MovementKind.BET, ids[0], stake), _move(MovementKind.WIN, ids[1], prize))
    return PeerPlay(player=seat, round=round, moves=moves)


def closing(peer: Peer, seat: PeerPlayer, round: str, id: str, of: str) -> PeerAction:
    """How this provider ends a round: by a request of its own, or by a last play that brings nothing."""
    if Capability.CLOSE_ROUND in peer.capabilities:
        return PeerCloseRound(player=seat, round=round)
    return win(seat, round, id, 0, of, closes=True)


def named(action: PeerAction) -> str:
    """An action in a few words."""
    match action:
        case PeerPlay(moves=moves):
            words = [f"{move.kind.value} of {move.amount}" for move in moves]
            return " and ".join(words) + (", and the round's end" if action.closes_round else "")
        case PeerAuthenticate():
            return "authenticate"
        case PeerBalance():
            return "the balance"
        case PeerCloseRound():
            return "the round's end"


def major(minor: int) -> Decimal:
    """Minor units of the stories' currency as the peer says them."""
    return minor_to_decimal(minor, SCALE)


def _move(kind: MovementKind, id: str, minor: int) -> PeerMove:
    return PeerMove(kind=kind, id=id, amount=major(minor))


def _derived(id: str, mark: str) -> str:
    """An id that follows from another: the same undoing has the same."""
    return UUID(int=Random(f"{id}/{mark}").getrandbits(128), version=4).hex
