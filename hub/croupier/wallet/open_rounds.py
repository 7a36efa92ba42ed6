"""What people can do about a round that never goes on: give the stakes back, or end it as it stands. It takes two.

The hub itself does neither, whatever a round's age: a provider that was told that a bet stands is never contradicted by
a machine. One person proposes, another, with a key of his own, says the same of the same state of the round: then it
is done, in one commit. A round that has changed in between has to be proposed anew.

What is proposed, and was decided, stands among the versions of configured things under a kind of its own: each
version says who and why, and of two who write the same version one is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, unique
from typing import Any, Final

from attrs import evolve, frozen

from croupier.contract import Direction, MovementKind
from croupier.contract.errors import ConflictError, ForbiddenError, NotFoundError
from croupier.ledger.port import Change, Ledger, Look, Refused
from croupier.ledger.records import ConfigurationRow, Event, MovementRow, MovementState, RoundRow, RoundState
from croupier.wallet.draft import Draft
from croupier.wallet.machine import FINAL
from croupier.wallet.machine import Event as Happening
from croupier.wallet.parties import Connections
from croupier.wallet.ports import Clock
from croupier.wallet.rows import is_bet

KIND: Final = "round"
"""Under which kind decisions are stored; it is none of what can be configured."""

_NET: Final = MovementKind.BET_AND_WIN.value
_TIP: Final = MovementKind.TIP.value


@unique
class Decision(Enum):
    """How people end a round."""

    VOID = "void"
    """Its stakes are given back to the player."""
    COMPLETE = "complete"
    """It ends as it stands; what it wins later is still paid."""


@frozen(kw_only=True)
class RoundProposal:
    """What one person has proposed for a round as it is now.

    Attributes:
        decision: How the round is to end.
        who: Who says so.
    """

    decision: Decision
    who: str


@frozen(kw_only=True)
class Standing:
    """How a round stands.

    Attributes:
        row: The round.
        staked: What its bets that stand have cost the player, in minor units, those net of a win included.
        won: What it has paid the player.
        proposal: What is proposed for it as it is now, if anything is.
    """

    row: RoundRow
    staked: int
    won: int
    proposal: RoundProposal | None

    @property
    def short(self) -> int:
        """How much less than its stakes it has paid so far, from 0."""
        return max(0, self.staked - self.won)


@frozen
class _Reading:
    """A round with its movements and the newest version of what was proposed."""

    row: RoundRow
    movements: Sequence[MovementRow]
    newest: ConfigurationRow | None

    @property
    def standing(self) -> Standing:
        """How it stands."""
        rows = [row for row in self._applied() if row.currency == self.row.currency]
        debits = (row.amount for row in rows if row.direction == Direction.DEBIT.value and row.kind != _TIP)
        credits_ = (row.amount for row in rows if row.direction == Direction.CREDIT.value)
        return Standing(row=self.row, staked=sum(debits), won=sum(credits_), proposal=self._proposal())

    def stakes(self) -> Sequence[MovementRow]:
        """The bets that stand and are nothing but bets."""
        return [row for row in self._applied() if is_bet(row) and row.kind != _NET]

    def beyond_stakes(self) -> MovementRow | None:
        """The first movement that stands and is more than a bet."""
        stakes = self.stakes()
        return next((row for row in self._applied() if row not in stakes), None)

    def unsettled(self) -> MovementRow | None:
        """The first movement about which something is still to come."""
        return next((row for row in self.movements if row.state not in FINAL), None)

    def _applied(self) -> Sequence[MovementRow]:
        return [
            row
            for row in self.movements
            if row.state is MovementState.APPLIED and row.direction != Direction.REVERSAL.value
        ]

    def _proposal(self) -> RoundProposal | None:
        newest = self.newest
        if newest is None or not newest.active or newest.body["round_version"] != self.row.version:
            return None
        return RoundProposal(decision=Decision(newest.body["decision"]), who=newest.who)


class OpenRounds:
    """Decides about rounds that stay open; every decision is recorded with who took it and why."""

    def __init__(
        self,
        ledger: Ledger,
        connections: Connections,
        clock: Clock,
        notify: Callable[[str], None],
        wake: Callable[[], None],
    ) -> None:
        """Everything it needs is handed in.

        Args:
            ledger: The durable record.
            connections: Finds a round's connection.
            clock: Time.
            notify: Told of every movement that changed, after it is durable.
            wake: Called when there is something to deliver.
        """
        self._ledger = ledger
        self._connections = connections
        self._clock = clock
        self._notify = notify
        self._wake = wake

    async def standing(self, operator: str, round_id: str) -> Standing:
        """How a round stands.

        Raises:
            NotFoundError: There is no such round.
        """
        return (await self._read(operator, round_id)).standing

    async def void(self, operator: str, round_id: str, *, who: str, why: str) -> Standing:
        """Propose that a round's stakes are given back, or confirm it: then they are owed, and the round has ended.

        A provider's own rollback of such a bet, then or later, is the same rollback; a win that it sends is refused,
        as of any bet that was rolled back.

        Raises:
            NotFoundError: There is no such round.
            ConflictError: It has ended; something of it is not settled yet; it has paid something, or holds something
                else that would have to be taken back; or somebody else was faster.
            ForbiddenError: The same person has proposed the same before.
        """
        reading = await self._open(operator, round_id)
        other = reading.beyond_stakes()
        if other is not None:
            raise ConflictError(
                f"the round holds a {other.kind} that stands: it would have to be taken back from the player",
                where=round_id,
                hint="complete the round instead",
            )
        return await self._agree(reading, Decision.VOID, who, why)

    async def complete(self, operator: str, round_id: str, *, who: str, why: str, short: int = 0) -> Standing:
        """Propose that a round ends as it stands, or confirm it. What it wins later is still paid.

        Args:
            operator: The operator.
            round_id: The round.
            who: Who says so.
            why: Why.
            short: How much less than its stakes the round has paid, in minor units: whoever ends it knows that. A
                round that was not played to its end owes the player this much, beside the hub.

        Raises:
            NotFoundError: There is no such round.
            ConflictError: It has ended; something of it is not settled yet; `short` is not what it is; its later
                wins would be refused; or somebody else was faster.
            ForbiddenError: The same person has proposed the same before.
        """
        reading = await self._open(operator, round_id)
        standing = reading.standing
        if short != standing.short:
            raise ConflictError(
                f"the round has paid {standing.won} of {standing.staked} minor units staked: {standing.short} short",
                where="short",
                hint="void it, or make the difference good beside the hub; then name what is short",
            )
        if not self._takes_late_wins(reading.row):
            raise ConflictError(
                "what the round wins later would be refused once it has ended",
                where=round_id,
                hint="the connection has to work, and its policy win_on_closed_round to be true",
            )
        return await self._agree(reading, Decision.COMPLETE, who, why)

    def _takes_late_wins(self, row: RoundRow) -> bool:
        connection = self._connections.connection(row.operator, row.connection)
        if connection is None:
            return False
        policies = connection.policies
        return all(policy.win_on_closed_round for policy in (policies.default, *policies.operations.values()))

    async def _agree(self, reading: _Reading, decision: Decision, who: str, why: str) -> Standing:
        """The first who says it proposes; another who says the same of the same state does it."""
        before = reading.standing.proposal
        if before is None or before.decision is not decision:
            return await self._propose(reading, decision, who, why)
        if before.who == who:
            raise ForbiddenError(
                "this key has proposed it already",
                where=reading.row.round,
                hint="an administrator with another key confirms it",
            )
        return await self._do(reading, decision, who, why, before.who)

    async def _propose(self, reading: _Reading, decision: Decision, who: str, why: str) -> Standing:
        row, now = reading.row, self._clock.now_ms()
        body = {"decision": decision.value, "round_version": row.version}
        said = self._version(reading, now, who, why, body, active=True)
        told = _decision_event("proposed", row, now, {"who": who, "why": why, "decision": decision.value})
        await self._commit(row, Change(operator=row.operator, configuration=(said,), events=(told,)))
        return evolve(reading.standing, proposal=RoundProposal(decision=decision, who=who))

    async def _do(self, reading: _Reading, decision: Decision, who: str, why: str, proposed_by: str) -> Standing:
        row, now, standing = reading.row, self._clock.now_ms(), reading.standing
        about = {"decision": decision.value, "proposed_by": proposed_by, "short": standing.short}
        draft = Draft(row.operator, now)
        draft.events.append(_decision_event("made", row, now, {"who": who, "why": why, **about}))
        if decision is Decision.VOID:
            for stake in reading.stakes():
                draft.advance(stake, Happening.TAKEN_BACK)
        money = standing.staked if decision is Decision.VOID else standing.won
        body = {"amount": money, "currency": row.currency}
        draft.events.append(Event(kind=_ENDED[decision], subject=row.round, at=now, body=body))
        change = draft.change(row, stored=True, closes=True)
        said = self._version(reading, now, who, why, {**about, "round_version": row.version}, active=False)
        await self._commit(row, evolve(change, configuration=(said,)))
        for _before, after in draft.updates:
            self._notify(after.movement)
        self._wake()
        return await self.standing(row.operator, row.round)

    def _version(
        self, reading: _Reading, now: int, who: str, why: str, body: Mapping[str, Any], *, active: bool
    ) -> ConfigurationRow:
        """The next version of what is said about a round."""
        row, newest = reading.row, reading.newest
        return ConfigurationRow(
            operator=row.operator,
            kind=KIND,
            name=row.round,
            version=1 if newest is None else newest.version + 1,
            body=body,
            at=now,
            who=who,
            why=why,
            active=active,
        )

    async def _commit(self, row: RoundRow, change: Change) -> None:
        if isinstance(await self._ledger.commit(change), Refused):
            raise ConflictError("the round was changed meanwhile", where=row.round, hint="look again")

    async def _open(self, operator: str, round_id: str) -> _Reading:
        """A round that may be decided about."""
        reading = await self._read(operator, round_id)
        if reading.row.state is not RoundState.OPEN:
            raise ConflictError("the round has ended", where=round_id)
        unsettled = reading.unsettled()
        if unsettled is not None:
            raise ConflictError(
                f"a {unsettled.kind} of the round is not settled: it is {unsettled.state.value}",
                where=unsettled.movement,
                hint="wait for it; work that is held has to be decided first",
            )
        return reading

    async def _read(self, operator: str, round_id: str) -> _Reading:
        said = await self._ledger.configuration_history(operator, KIND, round_id)
        snapshot = await self._ledger.look(Look(operator=operator, round=round_id, round_movements=True))
        if snapshot.round is None:
            raise NotFoundError("there is no such round", where=round_id)
        return _Reading(snapshot.round, snapshot.round_movements, said[-1] if said else None)


_ENDED: Final = {Decision.VOID: "round.voided", Decision.COMPLETE: "round.completed"}


def _decision_event(what: str, row: RoundRow, now: int, body: Mapping[str, Any]) -> Event:
    """For the hub's own people: unlike events of rounds, these are sent to no sink that does not ask for them."""
    return Event(kind=f"decision.{what}", subject=row.round, at=now, body={"round": row.round, **body})
