"""What a rule for wallets is written with: calls as the hub makes them, answers as it reads them, and money counted.

A `Story` belongs to one rule. Its ids follow from the run's seed, so that no two runs share one. What it raises says
what was sent and what came back, without secrets and session tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from hashlib import sha256
from typing import Any, Final, NoReturn
from uuid import UUID

from attrs import evolve, frozen

from croupier.contract import (
    AmountError,
    DeclineReason,
    HttpRequest,
    HttpResponse,
    LateOriginal,
    Money,
    PlayContext,
    TransportError,
    WalletApplied,
    WalletBalance,
    WalletBatch,
    WalletCall,
    WalletCapability,
    WalletMove,
    WalletMovement,
    WalletOperation,
    WalletPlayer,
    WalletRefused,
    WalletReply,
    WalletStatusReply,
    WalletUnknown,
)
from croupier_conformance.certification.bench import WalletBench, shown
from croupier_conformance.certification.rule import WALLET_RULES, Layer, RuleBrokenError, Tier

HIDDEN: Final = "(hidden)"

LARGE: Final = 100
"""A bet or win of more, in minor units, is rolled back when its rule is broken: the others need the money as it was."""


@frozen
class Heard:
    """What one request came to.

    Attributes:
        reply: As the dialect reads it.
        response: The answer itself, if one came.
    """

    reply: WalletReply
    response: HttpResponse | None = None


class Story:
    """One rule's conversation with a wallet.

    Args:
        bench: What the rule works with.
        slug: The rule's name.
    """

    def __init__(self, bench: WalletBench, slug: str) -> None:
        self.bench = bench
        self.subject = bench.subject
        self._slug = slug
        self._sent = self._came_back = ""
        self._large: list[WalletMove] = []
        credentials = self.subject.credentials.values.values()
        hidden = {text for values in credentials for text in values}
        hidden |= {text for one in self.subject.players for text in (one.session, one.ended_session) if text}
        self._hidden: Sequence[str] = sorted(hidden, key=len, reverse=True)

    # --- calls --------------------------------------------------------------------------------------------------------

    def id(self, name: str) -> str:
        """An id of this rule and run, a UUID."""
        digest = sha256(f"{self.bench.seed}|{self._slug}|{name}".encode()).digest()
        return str(UUID(bytes=digest[:16], version=4))

    def player(self, number: int = 0) -> WalletPlayer:
        """A test player with the session that is live."""
        one = self.subject.players[number]
        return WalletPlayer(player=one.player, currency=one.currency, session=one.session)

    def player_of_an_ended_session(self) -> WalletPlayer:
        """The first test player with a session that has ended, or that the wallet has long forgotten."""
        ended = self.subject.players[0].ended_session
        return evolve(self.player(), session=ended or self.id("a session long ago"))

    def bet(self, name: str, minor: int, *, player: WalletPlayer | None = None, kind: str = "bet") -> WalletMove:
        """A bet; its id follows from its name."""
        return self._move(WalletOperation.BET, self.id(name), minor, player, kind=kind)

    def bet_of_everything(self, name: str, least: int) -> WalletMove:
        """A bet that takes all that the player has, and so much at least."""
        move = self.bet(name, least)
        self._large.append(move)
        return evolve(move, movement=evolve(move.movement, operator_decides=True))

    def win(self, name: str, minor: int, *, bet: WalletMove | None = None) -> WalletMove:
        """A win, of a bet if there is one."""
        player = bet.player if bet is not None else None
        target = bet.movement.transaction if bet is not None else None
        return self._move(WalletOperation.WIN, self.id(name), minor, player, target=target)

    def undo(self, move: WalletMove, name: str = "rollback") -> WalletMove:
        """The rollback of a bet or win; another name makes another id."""
        target = move.movement
        return self._move(
            WalletOperation.ROLLBACK,
            self.id(f"{name} of {target.transaction}"),
            target.amount.minor,
            move.player,
            kind="rollback",
            target=target.transaction,
            undoes=target.operation,
        )

    def largest(self, minor: int) -> int:
        """An amount in minor units, or so many digits fewer that the protocol has room for it."""
        while minor > LARGE:
            bet = self._move(WalletOperation.BET, self.id("largest"), 0, None)
            try:
                amount = Money(minor, bet.player.currency)
                self.written(evolve(bet, movement=evolve(bet.movement, amount=amount)))
            except AmountError:
                minor //= 10
            else:
                break
        return minor

    def batch(self, name: str, *moves: WalletMove) -> WalletBatch:
        """Several movements in one call."""
        movements = tuple(move.movement for move in moves)
        return WalletBatch(player=moves[0].player, context=moves[0].context, batch=self.id(name), movements=movements)

    def _move(
        self,
        operation: WalletOperation,
        transaction: str,
        minor: int,
        player: WalletPlayer | None,
        *,
        kind: str | None = None,
        target: str | None = None,
        undoes: WalletOperation | None = None,
    ) -> WalletMove:
        who = player or self.player()
        movement = WalletMovement(
            operation=operation,
            transaction=transaction,
            amount=Money(minor, who.currency),
            kind=kind or operation.value,
            target=target,
            undoes=undoes,
        )
        move = WalletMove(player=who, context=self.context(), movement=movement)
        if minor > LARGE and undoes is None:
            self._large.append(move)
        return move

    def context(self) -> PlayContext:
        """Where the movements of this rule belong: one round."""
        return PlayContext(
            provider="certification",
            connection="certification",
            game=self.subject.game,
            round=self.id("round"),
            provider_round=f"certification-{self._slug}",
        )

    # --- asking -------------------------------------------------------------------------------------------------------

    def written(self, call: WalletCall) -> HttpRequest:
        """The request of a call, signed now."""
        return self.subject.dialect.request(call, self.subject.credentials, self.subject.now())

    def post(self, call: WalletCall, request: HttpRequest, title: str, timeout_seconds: float | None = None) -> Heard:
        """Send a request and read the answer as that of a call."""
        seconds = self.subject.timeout_seconds if timeout_seconds is None else timeout_seconds
        self._sent, self._came_back = self._clean(request), ""
        began = time.perf_counter()
        try:
            response = self.subject.send(request, seconds)
        except TransportError as error:
            self._came_back = f"no answer: {error.message}"
            self.bench.notebook.note(title, self._sent, self._came_back)
            return Heard(WalletUnknown(detail=error.message))
        self.bench.seconds.append(time.perf_counter() - began)
        self._came_back = self._clean(response)
        self.bench.notebook.note(title, self._sent, self._came_back)
        return Heard(self.subject.dialect.reply(call, response), response)

    def ask(self, call: WalletCall, title: str) -> WalletReply:
        """Send a call and read its answer."""
        return self.post(call, self.written(call), title).reply

    def at_once(self, calls: Sequence[WalletCall], title: str) -> Sequence[WalletReply]:
        """Send calls at the same moment, each in its own thread; the replies stand in the order of the calls."""
        requests = [self.written(call) for call in calls]

        def send(number: int) -> tuple[WalletReply, str]:
            try:
                response = self.subject.send(requests[number], self.subject.timeout_seconds * 3)
            except TransportError as error:
                return WalletUnknown(detail=error.message), f"no answer: {error.message}"
            return self.subject.dialect.reply(calls[number], response), self._clean(response)

        with ThreadPoolExecutor(max_workers=len(calls)) as pool:
            heard = list(pool.map(send, range(len(calls))))
        for number in range(min(3, len(calls))):
            self.bench.notebook.note(
                f"{title}: {number + 1} of {len(calls)}", self._clean(requests[number]), heard[number][1]
            )
        unknown = [number for number, (reply, _) in enumerate(heard) if isinstance(reply, WalletUnknown)]
        worst = unknown[0] if unknown else 0
        self._sent, self._came_back = self._clean(requests[worst]), heard[worst][1]
        return [reply for reply, _ in heard]

    # --- expecting ----------------------------------------------------------------------------------------------------

    def broken(self, message: str, hint: str = "") -> NoReturn:
        """The wallet breaks the rule.

        Raises:
            RuleBrokenError: Always, with the last exchange.
        """
        raise RuleBrokenError(message, sent=self._sent, came_back=self._came_back, hint=hint)

    def applied(self, call: WalletCall, title: str, hint: str = "") -> WalletApplied:
        """The wallet does it, or the rule is broken."""
        reply = self.ask(call, title)
        if not isinstance(reply, WalletApplied):
            self.broken(f"{title}: expected that it is done, but it {told(reply)}", hint)
        return reply

    def refused(
        self, call: WalletCall, title: str, reasons: Iterable[DeclineReason] | None = None, hint: str = ""
    ) -> WalletRefused:
        """The wallet definitely refuses, for one of the reasons if some are given, or the rule is broken."""
        reply = self.ask(call, title)
        if not isinstance(reply, WalletRefused):
            self.broken(f"{title}: expected a definite refusal, but it {told(reply)}", hint)
        if reasons is not None and reply.reason not in (allowed := tuple(reasons)):
            wanted = " or ".join(reason.value for reason in allowed)
            self.broken(f"{title}: expected the reason {wanted}, but it {told(reply)}", hint)
        return reply

    def left_alone(self, call: WalletMove, title: str, hint: str = "") -> None:
        """What arrives after its rollback is refused, or accepted where that is the protocol's answer to it."""
        if self.subject.dialect.spec.late_original is LateOriginal.ACCEPT:
            self.applied(call, title, hint)
        else:
            self.refused(call, title, hint=hint)

    def not_accepted(self, call: WalletCall, request: HttpRequest, title: str) -> Heard:
        """The wallet answers, but neither with success nor with a fault of its own; or the rule is broken."""
        heard = self.post(call, request, title)
        if heard.response is None:
            self.broken(
                f"{title}: there is no answer", "Answer 401 to what is not proven, and 400 to what is no message."
            )
        if isinstance(heard.reply, WalletApplied | WalletStatusReply):
            self.broken(f"{title}: it was accepted")
        if heard.response.status >= 500:
            self.broken(
                f"{title}: the wallet failed with HTTP {heard.response.status}",
                "The hub would take this for a wallet in trouble and try again. Answer 401 or 400.",
            )
        return heard

    def balance(self, player: WalletPlayer | None = None) -> int:
        """The player's balance in minor units."""
        who = player or self.player()
        before = (self._sent, self._came_back)
        reply = self.ask(WalletBalance(player=who), "the balance")
        if not isinstance(reply, WalletApplied) or reply.balance is None:
            self.broken(f"the balance was asked for, but it {told(reply)}")
        self._sent, self._came_back = before if before[0] else (self._sent, self._came_back)
        return reply.balance.cash.minor

    def must_hold(self, minor: int, after: str, player: WalletPlayer | None = None, hint: str = "") -> None:
        """The player holds exactly so much now, or the rule is broken."""
        actual = self.balance(player)
        if actual != minor:
            self.broken(f"after {after} the player should have {minor} minor units, but has {actual}", hint)

    def settle(self) -> None:
        """Wait until what was given up can no longer take effect."""
        if self.subject.settle_seconds:
            time.sleep(self.subject.settle_seconds)

    def give_back(self) -> None:
        """Roll back what was large; whatever the wallet answers."""
        for move in reversed(self._large):
            self.ask(self.undo(move), "the rule is broken: what was large is rolled back")

    def _clean(self, message: HttpRequest | HttpResponse) -> str:
        text = shown(message)
        for secret in self._hidden:
            text = text.replace(secret, HIDDEN)
        return text


def told(reply: WalletReply) -> str:
    """A reply in words, for a message."""
    match reply:
        case WalletApplied(nothing_moved=True):
            return "was answered as done, with nothing to move"
        case WalletApplied():
            return "was answered as done"
        case WalletRefused(reason=reason):
            return f"was refused with {reason.value}"
        case WalletStatusReply(state=state):
            return f"was answered with the state {state.value}"
        case WalletUnknown(detail=detail):
            return f"got no definite answer ({detail})"


def wallet_rule(
    slug: str, tier: Tier, title: str, *, expects: str, needs: str = ""
) -> Callable[[Callable[[Story], None]], Callable[[WalletBench], None]]:
    """Make a rule of a check that is told as a story.

    Args:
        slug: As `Rule.slug`.
        tier: As `Rule.tier`.
        title: As `Rule.title`.
        expects: As `Rule.expects`.
        needs: The capability without which the rule is not collected.
    """
    sets: tuple[frozenset[Any], ...] = (frozenset({WalletCapability(needs)}),) if needs else ()

    def register(check: Callable[[Story], None]) -> Callable[[WalletBench], None]:
        @wraps(check)
        def run(bench: WalletBench) -> None:
            story = Story(bench, slug)
            try:
                check(story)
            except RuleBrokenError:
                story.give_back()
                raise

        decorate = WALLET_RULES.rule(slug, layer=Layer.WALLET, tier=tier, title=title, expects=expects, needs=sets)
        return decorate(run)

    return register
