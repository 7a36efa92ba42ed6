"""Whose play it is: by token, alias, grant or the movement that is referred to, and by nothing else."""

from pathlib import Path

import pytest
from attrs import evolve

from croupier.contract import (
    Applied,
    BalanceQuery,
    Declined,
    DeclineReason,
    MovementKind,
    Play,
    Target,
    Unknown,
    WinWithoutBet,
)
from croupier.contract.calls import Movement, MovementKey
from croupier.contract.money import WireAmount
from croupier.contract.outcomes import BalanceResult
from croupier.ledger.port import Change
from croupier.ledger.records import GrantRow
from croupier.wallet.resolve import Resolver, unidentified
from croupier_conformance.money_path import CONNECTION, GAME, OPERATOR, MoneyPath, bet, reason, rollback, win
from croupier_conformance.virtual_time import simulate


def of_grant(name: str, kind: MovementKind = MovementKind.BONUS_WIN) -> Movement:
    return Movement(kind, keys=(MovementKey("tx", name),), amount=WireAmount.of("5.00"))


async def give_free_rounds(path: MoneyPath, player: str = "surrogate-p2", currency: str = "EUR") -> None:
    grant = GrantRow(
        operator=OPERATOR,
        connection=CONNECTION,
        grant="issue-1",
        player=player,
        currency=currency,
        games=(GAME,),
        rounds=10,
        state="active",
        valid_from=0,
        valid_until=2**60,
        created_at=0,
    )
    await path.ledger.commit(Change(operator=OPERATOR, grants=(grant,)))


def test_a_token_tells_the_player_the_game_and_the_currency(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            staked = await path.play(bet("b1"), player=None, session="token-p2")
            assert isinstance(staked.outcome, Applied)
            (row,) = await path.rows()
            assert (row.player, row.route, row.game, row.currency) == ("surrogate-p2", GAME, "game-1", "EUR")
            assert (path.balance("p1"), path.balance("p2")) == (10_000, 9_900)

    simulate(story())


def test_a_token_that_nobody_gave_out_is_an_unknown_session(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            assert (
                reason((await path.play(bet("b1"), player=None, session="x")).outcome) is DeclineReason.SESSION_UNKNOWN
            )
            assert await path.rows() == []

    simulate(story())


def test_an_alias_that_the_connection_never_gave_out_is_an_unknown_player(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            for play in (bet("b1"), win("w1"), rollback("x", "b1")):
                assert reason((await path.play(play, player="p9")).outcome) is DeclineReason.PLAYER_UNKNOWN
            assert await path.rows() == []

    simulate(story())


def test_a_token_of_another_player_opens_no_session_for_a_bet(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            wrong = (await path.play(bet("b1"), player="p1", session="token-p2")).outcome
            assert reason(wrong) is DeclineReason.SESSION_UNKNOWN
            await path.play(bet("b2"), player="p1")
            paid = await path.play(win("w1", "3.00"), player="p1", session="token-p2")
            assert isinstance(paid.outcome, Applied)
            assert (path.balance("p1"), path.balance("p2")) == (10_200, 10_000)

    simulate(story())


def test_a_win_without_player_and_session_finds_them_through_its_bet(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"), player="p2")
            paid = await path.play(win("w1", "3.00", of="b1"), player=None, round=None)
            assert isinstance(paid.outcome, Applied)
            assert path.balance("p2") == 10_200
            again = await path.play(win("w1", "3.00"), player=None, round=None)
            assert isinstance(again.outcome, Applied)
            assert path.balance("p2") == 10_200

    simulate(story())


def test_a_win_that_refers_to_nothing_known_belongs_to_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(win_without_bet=WinWithoutBet.ACCEPT)
            lost = (await path.play(win("w1", of="b1"), player=None)).outcome
            assert reason(lost) is DeclineReason.SESSION_UNKNOWN
            assert await path.rows() == []

    simulate(story())


def test_a_grant_tells_the_player_of_a_message_that_names_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await give_free_rounds(path)
            play = Play(operation="play", movements=(of_grant("f1"),), grant="issue-1", closes_grant=True)
            (result,) = await path.call(play)
            assert isinstance(result.outcome, Applied)
            assert (path.balance("p1"), path.balance("p2")) == (10_000, 10_500)
            grant = await path.ledger.grant(OPERATOR, CONNECTION, "issue-1")
            assert grant is not None
            assert grant.state == "finished"
            assert (await path.rows())[0].grant == "issue-1"
            (repeated,) = await path.call(play)
            assert isinstance(repeated.outcome, Applied)
            assert path.balance("p2") == 10_500

    simulate(story())


def test_an_unknown_grant_of_nobody_is_refused_by_name(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            (result,) = await path.call(Play(operation="play", movements=(of_grant("f1"),), grant="issue-9"))
            assert reason(result.outcome) is DeclineReason.FREE_ROUNDS_UNKNOWN

    simulate(story())


def test_a_grant_of_another_connection_is_unknown(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await give_free_rounds(path)
            path.connections.known = evolve(path.connection, id="another")
            (result,) = await path.call(Play(operation="play", movements=(of_grant("f1"),), grant="issue-1"))
            assert reason(result.outcome) is DeclineReason.FREE_ROUNDS_UNKNOWN

    simulate(story())


def test_a_movement_of_another_connection_is_unknown(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            path.connections.known = evolve(path.connection, id="another")
            undone = (await path.play(rollback("x", "b1"), player=None, round=None)).outcome
            assert isinstance(undone, Applied)
            assert path.balance() == 9_900
            assert len({row.movement for row in await path.rows()}) == 3

    simulate(story())


def test_a_game_that_the_connection_does_not_serve_takes_no_bet_and_pays_all_the_same(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            foreign = Play(operation="play", movements=(bet("b1"),), player="p1", round="r1", game="acme:none")
            (refused,) = await path.call(foreign)
            assert reason(refused.outcome) is DeclineReason.GAME_UNKNOWN
            await path.play(bet("b2"))
            (paid,) = await path.call(evolve(foreign, movements=(win("w1", "3.00"),)))
            assert isinstance(paid.outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


def test_a_player_without_any_session_is_paid_in_the_currency_of_the_bet(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            await path.play(bet("b1"))
            path.sessions.sessions.clear()
            paid = await path.play(win("w1", "3.00", of="b1"), player=None, round=None)
            assert isinstance(paid.outcome, Applied)
            assert path.balance() == 10_200

    simulate(story())


@pytest.mark.parametrize(("currency", "found"), [("EUR", True), ("USD", False), ("NONE", False), (None, True)])
def test_a_balance_is_told_only_in_the_players_currency(tmp_path: Path, currency: str | None, found: bool) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            (result,) = await path.call(BalanceQuery(operation="balance", player="p1", currency=currency))
            assert isinstance(result, BalanceResult)
            if found:
                assert result.balance is not None
                assert result.balance.cash.minor == 10_000
            else:
                assert reason(result.outcome) is DeclineReason.CURRENCY_WRONG

    simulate(story())


def test_a_session_of_a_currency_that_is_not_registered_takes_no_bet(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            session = path.sessions.sessions["surrogate-p1"]
            path.sessions.sessions["surrogate-p1"] = evolve(session, currency="ZZZ")
            outcome = (await path.play(bet("b1"))).outcome
            assert isinstance(outcome, Declined | Unknown)
            assert path.balance() == 10_000
            assert path.wallet.calls == []

    simulate(story())


def test_the_identity_of_a_play_says_where_everything_comes_from(tmp_path: Path) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            resolver = Resolver(path.ledger, path.sessions, path.games)
            play = Play(operation="play", movements=(bet("b1"),), player="p1", round="r1", currency="EUR")
            policy = path.connection.policies.of(play.operation)
            identity = await resolver.play(path.connection, play, policy)
            assert identity.session is not None
            assert (identity.player, identity.session.session, identity.live) == ("surrogate-p1", "session-p1", True)
            assert (identity.code, identity.wire_currency, identity.provider_round) == (GAME, "EUR", "r1")
            assert unidentified(identity, play, policy) is None
            nobody = await resolver.play(path.connection, evolve(play, player=None), policy)
            assert unidentified(nobody, evolve(play, player=None), policy) is DeclineReason.SESSION_UNKNOWN
            tied = evolve(play, player=None, movements=(win("w1", of="b1"),))
            assert unidentified(nobody, tied, policy) is DeclineReason.SESSION_UNKNOWN
            assert tied.movements[0].target == Target(key=MovementKey("tx", "b1"))

    simulate(story())
