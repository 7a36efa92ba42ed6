"""Layer of properties: what the peer built is what the adapter understands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, NoReturn

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from croupier.contract import (
    Adapter,
    AmountError,
    Authenticate,
    BalanceQuery,
    Call,
    Calls,
    Capability,
    CloseRound,
    CroupierError,
    Currencies,
    Currency,
    FreeRoundsCredit,
    HttpRequest,
    Movement,
    MovementKind,
    Notice,
    Peer,
    PeerAction,
    PeerAuthenticate,
    PeerBalance,
    PeerCloseRound,
    PeerMove,
    PeerPlay,
    PeerPlayer,
    Play,
    RoundEnd,
    UnsupportedOperationError,
    WireAmount,
    minor_to_decimal,
)
from croupier_conformance.certification.bench import AdapterBench, shown
from croupier_conformance.certification.drawing import for_every
from croupier_conformance.certification.rule import ADAPTER_RULES, Layer, RuleBrokenError, RuleNotApplicableError, Tier
from croupier_conformance.certification.sayings import ENDS_GRANT, Saying, player_of, sayings
from croupier_conformance.strategies import ids

_CURRENCIES: Final = Currencies()
_BY_SCALE: Final[Mapping[int, str]] = {0: "JPY", 2: "EUR", 3: "KWD", 5: "MBTC", 6: "USDT", 8: "BTC"}
_ROUNDLESS: Final = frozenset(
    {
        MovementKind.ROLLBACK,
        MovementKind.ADJUSTMENT,
        MovementKind.BONUS_WIN,
        MovementKind.PROMO_WIN,
        MovementKind.TOURNAMENT_WIN,
        MovementKind.JACKPOT_WIN,
        MovementKind.TIP,
    }
)
"""What may be said without its round: it is found by what is referred to, or belongs to none."""
_STAKES: Final = frozenset({MovementKind.TRANSFER_OUT, MovementKind.TRANSFER_IN})
"""Where a protocol has no round for them, the way out and back is one of its own, under the id that took the stake."""
_UNSAID: Final = frozenset({Capability.QUERY})
_SPOKEN: Final = (
    Capability.of(
        """
        authenticate balance bet win bet_and_win batch rollback_bet rollback_win adjustment stake_transfer tip
        close_round promo_win jackpot_win bonus_win free_bet query
        """
    )
    - _UNSAID
)
"""Capabilities of the provider's own requests; a peer has no action for `query`."""


class _OtherwiseError(Exception):
    """What was understood is not what was meant."""


@ADAPTER_RULES.rule(
    "peer-says-what-is-declared",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="The peer can say everything that the adapter declares",
    expects="for each declared capability of inbound requests the peer builds one; both declare the same, also what "
    "the provider does with a bet that got no answer",
)
def the_peer_says_what_is_declared(bench: AdapterBench) -> None:
    """A capability that the peer cannot say is one that nothing tests.

    The rule asks the peer for an example of each declared capability. It is usually broken by a capability that was
    declared because the documentation names it, while neither parse nor peer knows it. A policy that takes a provider
    which cancels for one that sends again (`on_silence`) lets a bet be paid that the provider has given up.
    """
    peer, declared = bench.peer(), bench.subject.spec.capabilities
    said = {saying.capability for saying in sayings(bench, peer)}
    unsaid = sorted(one.value for one in (declared & _SPOKEN) - said)
    if unsaid:
        raise RuleBrokenError(
            f"the peer has no request for {', '.join(unsaid)}",
            sent="; ".join(sorted(one.value for one in declared & _SPOKEN)),
            came_back="; ".join(sorted(one.value for one in said)),
            hint="teach the peer to say it, or do not declare it",
        )
    apart = sorted(one.value for one in declared ^ peer.capabilities)
    if apart:
        raise RuleBrokenError("adapter and peer do not declare the same", came_back=", ".join(apart))
    adapter = bench.adapter()
    for saying in sayings(bench, peer):
        if saying.capability is Capability.BET:
            request = peer.request(saying.action, bench.credentials, bench.now)
            for call in _parsed(bench, adapter, request).items:
                silence = adapter.policies.of(call.operation).on_silence
                if silence is not peer.bet_on_silence:
                    raise RuleBrokenError(
                        f"what the provider does with an unanswered bet: the policy of {call.operation} says "
                        f"{silence.value}, the peer {peer.bet_on_silence.value}",
                        sent=shown(request),
                        came_back=silence.value,
                    )


@ADAPTER_RULES.rule(
    "parse-is-what-was-meant",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="What the provider meant is what the hub understands",
    expects="kind, id, target, amount, player, round, game, currency and end of round are those of the peer's action",
)
def what_was_meant_is_understood(bench: AdapterBench) -> None:
    """A misread request moves the wrong money, and every other rule would still hold.

    The peer says everything that it can with drawn ids, in currencies of every scale from 0 to 8 digits, with amounts
    from nothing to near the largest; verify and parse must give back what was meant, exactly. An amount that the
    protocol cannot carry may be refused by the peer.

    It is usually broken by a float, by a factor of 100 that is right for euros only, by a win's id taken for its bet's,
    or by the flag of the round's end read from the wrong field. Adapter and peer by one author may share a mistake:
    the published vectors among the transcripts are what tells.
    """
    peer, adapter = bench.peer(), bench.adapter()
    base = sayings(bench, peer)
    if not base:
        raise RuleNotApplicableError("the peer says nothing")
    for saying in base:
        _check(bench, adapter, peer, saying.action)
    for code in _BY_SCALE.values():
        for amount in _edges(_CURRENCIES.get(code)):
            for saying in base:
                _check(bench, adapter, peer, _with_amount(saying.action, code, amount))
    for_every(bench, _drawn(bench, base), lambda action: _check(bench, adapter, peer, action), times=2)


@ADAPTER_RULES.rule(
    "parse-remembers-nothing",
    layer=Layer.PROPERTIES,
    tier=Tier.BRONZE,
    title="What a request says does not depend on the requests before it",
    expects="the same request gives equal calls, again and by a new adapter",
)
def parse_remembers_nothing(bench: AdapterBench) -> None:
    """Several processes answer for one connection: what one of them remembers, the others do not know.

    The rule parses each request twice, then others, then again, and compares with a new adapter. It is usually broken
    by a cache or a counter on the adapter. An adapter is immutable: state belongs to the ledger.
    """
    peer, adapter = bench.peer(), bench.adapter()
    requests = [peer.request(saying.action, bench.credentials, bench.now) for saying in sayings(bench, peer)]
    first = [_parsed(bench, adapter, request) for request in requests]
    again = [_parsed(bench, adapter, request) for request in reversed(requests)][::-1]
    for request, one, two in zip(requests, first, again, strict=True):
        three = _parsed(bench, bench.adapter(), request)
        if not one == two == three:
            raise RuleBrokenError(
                "the same request was understood in two ways", sent=shown(request), came_back=f"{one}\n{two}\n{three}"
            )


def _parsed(bench: AdapterBench, adapter: Adapter, request: HttpRequest) -> Calls:
    return adapter.parse(adapter.verify(request, bench.credentials, bench.now))


def _edges(currency: Currency) -> Iterator[Decimal]:
    for minor in (0, 1, 5, 10, 99, 100, 101, 1_999_999, 10**15 + 1):
        yield minor_to_decimal(minor, currency.scale)


def _drawn(bench: AdapterBench, base: tuple[Saying, ...]) -> SearchStrategy[PeerAction]:
    @st.composite
    def actions(draw: st.DrawFn) -> PeerAction:
        action = draw(st.sampled_from(base)).action
        scale, code = draw(st.sampled_from(sorted(_BY_SCALE.items())))
        player = evolve(
            player_of(bench, code), player=draw(ids(24)), token=draw(ids(32)), game=draw(st.sampled_from(games))
        )
        if not isinstance(action, PeerPlay):
            if isinstance(action, PeerCloseRound):
                return evolve(action, player=player, round=draw(ids(24)))
            return evolve(action, player=player)
        names = draw(st.lists(ids(24), min_size=2 * len(action.moves), max_size=2 * len(action.moves), unique=True))
        moves = []
        for move in action.moves:
            amount = minor_to_decimal(draw(st.integers(0, 10**12)), scale)
            moves.append(_renamed(move, names.pop(), names.pop(), -amount if move.amount < 0 else amount))
        grant = None if action.grant is None else draw(ids(24))
        return evolve(action, player=player, round=draw(ids(24)), moves=tuple(moves), grant=grant)

    games = [bench.subject.played_as(code) for code in bench.subject.games] or ["game"]
    return actions()


def _renamed(move: PeerMove, name: str, other: str, amount: Decimal) -> PeerMove:
    if move.target is None:
        return evolve(move, id=name, amount=amount)
    # A rollback under the id of what it undoes stays one.
    return evolve(move, id=other if move.id == move.target else name, target=other, amount=amount)


def _with_amount(action: PeerAction, code: str, amount: Decimal) -> PeerAction:
    player = evolve(action.player, currency=code)
    if not isinstance(action, PeerPlay):
        return evolve(action, player=player)
    moves = tuple([evolve(move, amount=-amount if move.amount < 0 else amount) for move in action.moves])
    return evolve(action, player=player, moves=moves)


def _check(bench: AdapterBench, adapter: Adapter, peer: Peer, action: PeerAction) -> None:
    try:
        request = peer.request(action, bench.credentials, bench.now)
    except (UnsupportedOperationError, AmountError):
        return  # the protocol cannot say it
    try:
        calls = _parsed(bench, adapter, request)
    except CroupierError as error:
        raise RuleBrokenError(
            f"a genuine request was refused: {type(error).__name__}: {error}",
            sent=shown(request),
            came_back=str(action),
        ) from None
    try:
        _Comparison(adapter, peer, action).with_calls(calls)
    except _OtherwiseError as otherwise:
        raise RuleBrokenError(
            str(otherwise), sent=f"{action}\n\n{shown(request)}", came_back="\n".join(map(str, calls.items))
        ) from None
    bench.notebook.note(f"understood: {type(action).__name__}", request, "\n".join(map(str, calls.items)))


class _Comparison:
    """What an action means, held against what was understood of it."""

    def __init__(self, adapter: Adapter, peer: Peer, action: PeerAction) -> None:
        self.adapter = adapter
        self.peer = peer
        self.action = action
        self.player: PeerPlayer = action.player

    def with_calls(self, calls: Calls) -> None:
        """Compare.

        Raises:
            _OtherwiseError: Something else was understood.
        """
        if not calls.items:
            _otherwise("the request asks for something", "nothing was understood")
        call = calls.items[0]
        match self.action:
            case PeerAuthenticate():
                self._authenticate(call)
            case PeerBalance():
                if not isinstance(call, BalanceQuery):
                    _otherwise("a question for the balance", type(call).__name__)
                self._who(call.player, call.session)
            case PeerCloseRound():
                self._close(call)
            case PeerPlay():
                self._play(self.action, calls)

    def _authenticate(self, call: Call) -> None:
        if not isinstance(call, Authenticate):
            _otherwise("an exchange of the launch token", type(call).__name__)
        _same("the token", self.player.token, call.token)
        _same("the game", self.player.game, call.game, absent=True)

    def _close(self, call: Call) -> None:
        assert isinstance(self.action, PeerCloseRound)
        if not isinstance(call, CloseRound):
            _otherwise("the end of a round", type(call).__name__)
        _same("the round", self.action.round, call.round)
        self._who(call.player, call.session)

    def _who(self, player: str | None, session: str | None, *, found_otherwise: bool = False) -> None:
        _same("the player", self.player.player, player, absent=session is not None or found_otherwise)
        known = {self.player.token, self.player.session}
        if session is not None and session not in known:
            _otherwise(f"the session {self.player.token!r}", repr(session))

    def _play(self, meant: PeerPlay, calls: Calls) -> None:
        if isinstance(calls.items[0], Notice):
            self._told_only(meant, calls.items[0])
            return
        if len(calls.items) != 1 or not isinstance(calls.items[0], Play):
            _otherwise("one play", ", ".join(type(call).__name__ for call in calls.items))
        call = calls.items[0]
        by_grant = meant.grant is not None and call.grant == meant.grant
        self._who(call.player, call.session, found_otherwise=by_grant)
        kinds = {move.kind for move in meant.moves}
        if not (kinds <= _STAKES and call.round is not None and _is_its_own(meant, call.round)):
            _same("the round", meant.round, call.round, absent=kinds <= _ROUNDLESS | _STAKES)
        _same("the game", self.player.game, call.game, absent=True)
        _same("the currency", self.player.currency, call.currency, absent=True)
        _same("the free rounds", meant.grant, call.grant, absent=MovementKind.ROLLBACK in kinds)
        derived = self.adapter.policies.of(call.operation).round_end is RoundEnd.SETTLED and not call.closes_round
        if call.closes_round is not meant.closes_round and not derived and not (meant.grant and call.closes_grant):
            _otherwise(f"closes_round {meant.closes_round}", str(call.closes_round))
        wanted = list(_said_as(meant.moves, call.movements))
        if len(wanted) != len(call.movements):
            _otherwise(f"{len(wanted)} movements", str(len(call.movements)))
        for move, movement in zip(wanted, call.movements, strict=True):
            self._movement(meant, move, movement, call)

    def _told_only(self, meant: PeerPlay, notice: Notice) -> None:
        """A total that moves nothing, because every win of the free rounds was paid."""
        policy = self.adapter.policies.of(notice.operation)
        only_total = [move.kind for move in meant.moves] == [ENDS_GRANT]
        if not only_total or policy.free_rounds_credit is not FreeRoundsCredit.PER_WIN:
            _otherwise("movements", "a notice, which moves nothing")

    def _movement(self, play: PeerPlay, meant: PeerMove, movement: Movement, call: Play) -> None:
        _same("the kind", meant.kind, movement.kind)
        names = {key.value for key in movement.keys}
        own = {meant.id, play.grant} if meant.kind is ENDS_GRANT else {meant.id}
        if not names & own:
            _otherwise(f"the id {meant.id!r}", ", ".join(sorted(names)))
        if meant.kind is MovementKind.ROLLBACK:
            self._target(meant, movement)
            return
        if meant.target is not None and movement.target is not None and movement.target.key is not None:
            _same("the bet that is settled", meant.target, movement.target.key.value)
        self._amount(meant, movement, call)
        if meant.win_amount is not None:
            _equal("the payout", meant.win_amount, movement.win_amount, self.player.currency)

    def _target(self, meant: PeerMove, movement: Movement) -> None:
        if movement.target is None or movement.target.key is None:
            if movement.target is None or not movement.target.latest_bet_of_round:
                _otherwise(f"the target {meant.target!r}", "none")
            return
        _same("the target", meant.target, movement.target.key.value)

    def _amount(self, meant: PeerMove, movement: Movement, call: Play) -> None:
        code = self.player.currency
        if meant.kind is MovementKind.FREE_BET:
            _equal("the charge of a free bet", Decimal(0), movement.amount, code)
            return
        credit = self.adapter.policies.of(call.operation).free_rounds_credit
        if meant.kind is MovementKind.FREE_WIN and credit is FreeRoundsCredit.TOTAL:
            told = movement.facts.payout if movement.facts else None
            _equal("the credit of a win that the total pays", Decimal(0), movement.amount, code)
            _equal("the win that is told", meant.amount, told, code)
            return
        _equal("the amount", meant.amount, movement.amount, code)


def _said_as(moves: tuple[PeerMove, ...], movements: tuple[Movement, ...]) -> Iterator[PeerMove]:
    """A bet with its win is one movement, or two."""
    together = any(movement.kind is MovementKind.BET_AND_WIN for movement in movements)
    for move in moves:
        if move.kind is MovementKind.BET_AND_WIN and not together and move.win_amount is not None:
            yield evolve(move, kind=MovementKind.BET, win_amount=None)
            yield evolve(move, kind=MovementKind.WIN, amount=move.win_amount, win_amount=None)
        else:
            yield move


def _is_its_own(stake: PeerPlay, round: str) -> bool:
    """Whether a round is named by the transfer that took the stake."""
    return all((move.target or move.id) in round for move in stake.moves)


def _equal(what: str, meant: Decimal, amount: object, code: str) -> None:
    if not isinstance(amount, WireAmount):
        _otherwise(f"{what} {meant}", str(amount))
    if amount.currency not in {None, code}:
        _otherwise(f"{what} in {code}", str(amount.currency))
    currency = _CURRENCIES.get(code)
    wanted = WireAmount(meant).to_minor(currency)
    try:
        minor = amount.to_minor(currency)
    except AmountError as error:
        _otherwise(f"{what} {meant}", str(error))
    if minor != wanted:
        _otherwise(f"{what} {meant} {code}", f"{minor_to_decimal(minor, currency.scale)}")


def _same(what: str, meant: object, understood: object, *, absent: bool = False) -> None:
    if understood != meant and not (absent and understood is None):
        _otherwise(f"{what} {meant!r}", repr(understood))


def _otherwise(meant: str, understood: str) -> NoReturn:
    raise _OtherwiseError(f"meant: {meant}; understood: {understood}")
