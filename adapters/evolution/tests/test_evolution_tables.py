"""Tables through the whole hub: many bets in a round, its end, session ids that are renewed, and what is answered."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve

from croupier.contract import (
    HttpRequest,
    MovementKind,
    PeerAuthenticate,
    PeerBalance,
    PeerMove,
    PeerPlay,
    PeerPlayer,
)
from croupier.ledger.port import Page
from croupier.ledger.records import RoundState
from croupier_conformance.certification.operator import OPENING, ModelOperator
from croupier_conformance.simulated_hub import SimulatedHub, SimulatedOperator, SimulatedProvider
from croupier_conformance.virtual_time import simulate
from croupier_evolution.peer import EvolutionPeer
from croupier_evolution.settings import EvolutionSettings

SETTINGS = {"api_url": "https://evolution.example", "casino_key": "acme0001"}
SECRETS = {"auth_token": "a-test-token", "ua_token": "ua", "lobby_token": "lobby", "history_token": "history"}
TABLES = {"roulette0000001": "Roulette", "blackjack000001": "Blackjack"}
ROUND = "round-1"


@define(eq=False)
class Table:
    """A hub, a wallet and a player at a table."""

    hub: SimulatedHub
    operator: ModelOperator
    seat: PeerPlayer

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, **changes: Any) -> AsyncIterator[Table]:
        settings = {**SETTINGS, **changes}
        provider = SimulatedProvider(
            name="evo",
            adapter="evolution",
            peer=EvolutionPeer(EvolutionSettings(**settings)),
            host="evolution.example",
            settings=settings,
            secrets=SECRETS,
            games=TABLES,
        )
        operator = ModelOperator()
        secret = "whsec_" + base64.b64encode(b"a-test-secret-of-thirty-two-bytes").decode()
        wallet = SimulatedOperator(secrets={"signing_secret": secret})
        async with SimulatedHub.open(folder, wallet=operator.answer, providers=[provider], operator=wallet) as hub:
            operator.open("player-1")
            operator.open("player-2")
            yield cls(hub, operator, await hub.launch("evo", "player-1"))

    async def ask(self, request: HttpRequest) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads((await self.hub.handle("evo", request)).body, parse_float=Decimal)
        return answer

    async def status(self, kind: MovementKind, id_: str, amount: str = "0", of: str | None = None, **more: Any) -> str:
        return str((await self.told(kind, id_, amount, of, **more))["status"])

    async def told(
        self,
        kind: MovementKind,
        id_: str,
        amount: str = "0",
        of: str | None = None,
        *,
        round: str = ROUND,
        seat: PeerPlayer | None = None,
    ) -> dict[str, Any]:
        move = PeerMove(kind=kind, id=id_, amount=Decimal(amount), target=of)
        play = PeerPlay(player=seat or self.seat, round=round, moves=(move,))
        return await self.ask(self.hub.signed("evo", play))

    async def debit(self, ref: str, amount: str, **more: Any) -> str:
        return await self.status(MovementKind.BET, ref, amount, **more)

    async def credit(self, id_: str, ref: str, amount: str, **more: Any) -> str:
        return await self.status(MovementKind.WIN, id_, amount, ref, **more)

    async def cancel(self, ref: str, **more: Any) -> str:
        return await self.status(MovementKind.ROLLBACK, ref, "1", ref, **more)

    async def check(self, seat: PeerPlayer) -> dict[str, Any]:
        return await self.ask(self.hub.signed("evo", PeerAuthenticate(player=seat)))

    def change(self, player: str = "player-1") -> int:
        return self.operator.balances[player] - OPENING

    async def rounds(self) -> list[RoundState]:
        return [row.state for row in await self.hub.ledger.rounds(self.hub.operator, None, Page(limit=10))]


def test_a_players_round_ends_when_the_last_of_many_bets_is_settled(tmp_path: Path) -> None:
    async def story() -> None:
        async with Table.open(tmp_path) as table:
            for ref, amount in (("main", "10"), ("side", "2.50"), ("insurance", "5"), ("mistake", "1")):
                assert await table.debit(ref, amount) == "OK"
            assert await table.credit("c1", "side", "0") == "OK"
            assert await table.cancel("mistake") == "OK"
            assert await table.credit("c2", "insurance", "15") == "OK"
            assert await table.rounds() == [RoundState.OPEN]
            answer = await table.told(MovementKind.WIN, "c3", "20", "main")
            assert (answer["status"], answer["balance"]) == ("OK", Decimal("1017.5"))
            assert await table.rounds() == [RoundState.CLOSED]
            assert table.change() == 1750

    simulate(story())


def test_each_player_at_a_table_has_a_round_of_his_own(tmp_path: Path) -> None:
    async def story() -> None:
        async with Table.open(tmp_path) as table:
            other = await table.hub.launch("evo", "player-2")
            await table.debit("mine", "10")
            await table.debit("theirs", "4", seat=other)
            await table.credit("c1", "mine", "20")
            assert sorted(await table.rounds(), key=str) == [RoundState.CLOSED, RoundState.OPEN]
            await table.credit("c2", "theirs", "0", seat=other)
            assert await table.rounds() == [RoundState.CLOSED, RoundState.CLOSED]
            assert (table.change(), table.change("player-2")) == (1000, -400)

    simulate(story())


def test_a_player_may_take_the_only_bet_back_and_bet_again_while_the_table_is_open(tmp_path: Path) -> None:
    async def story() -> None:
        async with Table.open(tmp_path) as table:
            await table.debit("first", "10")
            await table.cancel("first")
            assert await table.rounds() == [RoundState.CLOSED]
            assert await table.debit("second", "3") == "OK"
            assert await table.rounds() == [RoundState.OPEN]
            await table.credit("c1", "second", "6")
            assert await table.rounds() == [RoundState.CLOSED]
            assert table.change() == 300

    simulate(story())


def test_a_bet_is_settled_once_whatever_comes_after(tmp_path: Path) -> None:
    async def story() -> None:
        async with Table.open(tmp_path) as table:
            await table.debit("ref", "10")
            again = await table.told(MovementKind.BET, "ref", "10")
            assert (again["status"], again["balance"]) == ("BET_ALREADY_EXIST", Decimal(990))
            assert await table.debit("ref", "11") == "INVALID_PARAMETER"
            assert await table.credit("c1", "ref", "25") == "OK"
            for id_, amount in (("c1", "25"), ("c2", "25"), ("c3", "1")):
                assert await table.credit(id_, "ref", amount) == "BET_ALREADY_SETTLED"
            assert await table.credit("c1", "ref", "26") == "INVALID_PARAMETER"
            assert await table.cancel("ref") == "BET_ALREADY_SETTLED"
            assert table.change() == 1500

    simulate(story())


def test_a_cancelled_bet_stays_cancelled(tmp_path: Path) -> None:
    async def story() -> None:
        async with Table.open(tmp_path) as table:
            await table.debit("ref", "10")
            assert await table.cancel("ref") == "OK"
            assert await table.cancel("ref") == "BET_ALREADY_SETTLED"
            assert await table.credit("c1", "ref", "25") == "BET_ALREADY_SETTLED"
            assert await table.debit("ref", "10") == "FINAL_ERROR_ACTION_FAILED"
            assert table.change() == 0

    simulate(story())


def test_a_cancel_that_comes_first_is_remembered(tmp_path: Path) -> None:
    async def story() -> None:
        async with Table.open(tmp_path) as table:
            assert await table.cancel("ref") == "BET_DOES_NOT_EXIST"
            assert await table.debit("ref", "10") == "FINAL_ERROR_ACTION_FAILED"
            assert await table.cancel("ref") == "BET_DOES_NOT_EXIST"
            assert await table.credit("c1", "ref", "25") in {"BET_ALREADY_SETTLED", "BET_DOES_NOT_EXIST"}
            assert table.change() == 0

    simulate(story())


def test_what_has_no_bet_is_answered_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with Table.open(tmp_path) as table:
            assert await table.credit("c1", "nothing", "25") == "BET_DOES_NOT_EXIST"
            assert await table.debit("refused", "9999999") == "INSUFFICIENT_FUNDS"
            assert await table.cancel("refused") == "BET_DOES_NOT_EXIST"
            assert await table.credit("c2", "refused", "25") == "BET_DOES_NOT_EXIST"
            assert table.change() == 0

    simulate(story())


def test_a_payout_of_a_promotion_is_paid_once_and_settles_no_bet(tmp_path: Path) -> None:
    async def story() -> None:
        async with Table.open(tmp_path) as table:
            await table.debit("ref", "10")
            for kind in (MovementKind.PROMO_WIN, MovementKind.JACKPOT_WIN):
                for _ in range(2):
                    assert await table.status(kind, f"p-{kind.value}", "7") == "OK"
            assert await table.rounds() == [RoundState.OPEN]
            assert await table.cancel("ref") == "OK"
            assert table.change() == 1400

    simulate(story())


def test_a_check_whose_answer_is_lost_costs_the_player_no_win_and_no_stake(tmp_path: Path) -> None:
    async def story() -> None:
        async with Table.open(tmp_path) as table:
            await table.debit("won", "10")
            await table.debit("undone", "5")
            await table.check(table.seat)  # and nobody hears the answer
            assert await table.credit("c1", "won", "30") == "OK"
            assert await table.cancel("undone") == "OK"
            assert (await table.check(table.seat))["sid"] == table.seat.token
            assert table.change() == 2000

    simulate(story())


def test_the_launch_token_is_replaced_by_the_first_check_and_pays_nothing_after_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with Table.open(tmp_path) as table:
            await table.debit("ref", "10")
            launched = evolve(table.seat, token=table.hub.seats[0].token)
            assert launched.token != table.seat.token
            assert (await table.check(launched))["sid"] == table.seat.token
            assert await table.credit("c1", "ref", "20", seat=launched) == "INVALID_SID"
            assert await table.credit("c1", "ref", "20") == "OK"
            await table.hub.clock.sleep(61)
            assert (await table.check(launched))["status"] == "INVALID_SID"
            assert table.change() == 1000

    simulate(story())


def test_every_check_gives_a_new_session_id_and_money_moves_under_the_newest_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with Table.open(tmp_path, renew_sid="every") as table:
            await table.debit("ref", "10")
            old = table.seat
            answer = await table.check(old)
            table.seat = evolve(old, token=answer["sid"])
            assert answer["sid"] != old.token
            assert (await table.check(old))["sid"] == answer["sid"]
            for told in (
                await table.debit("more", "1", seat=old),
                await table.credit("c1", "ref", "20", seat=old),
                await table.cancel("ref", seat=old),
                await table.status(MovementKind.PROMO_WIN, "p", "5", seat=old),
                (await table.ask(table.hub.signed("evo", PeerBalance(player=old))))["status"],
            ):
                assert told == "INVALID_SID"
            assert table.change() == -1000
            assert await table.credit("c1", "ref", "20") == "OK"
            assert table.change() == 1000

    simulate(story())


def test_under_another_players_session_id_nothing_is_done(tmp_path: Path) -> None:
    async def story() -> None:
        async with Table.open(tmp_path) as table:
            other = await table.hub.launch("evo", "player-2")
            await table.debit("ref", "10")
            mixed = evolve(table.seat, token=other.token)
            assert (await table.check(mixed))["status"] == "INVALID_SID"
            assert await table.debit("more", "1", seat=mixed) == "INVALID_SID"
            assert await table.credit("c1", "ref", "20", seat=mixed) == "INVALID_SID"
            assert (await table.ask(table.hub.signed("evo", PeerBalance(player=other))))["status"] == "OK"
            assert (table.change(), table.change("player-2")) == (-1000, 0)

    simulate(story())


@pytest.mark.parametrize("strict", [True, False])
def test_what_is_owed_is_done_under_an_expired_session_id(tmp_path: Path, *, strict: bool) -> None:
    async def story() -> None:
        async with Table.open(tmp_path, refuse_foreign_sid=strict) as table:
            table.seat = await table.hub.launch("evo", "player-1", lifetime_seconds=60)
            await table.debit("won", "10")
            await table.debit("lost", "5")
            await table.hub.clock.sleep(61)
            assert await table.debit("more", "1") == "INVALID_SID"
            assert (await table.check(table.seat))["status"] == "INVALID_SID"
            assert await table.credit("c1", "won", "30") == "OK"
            assert await table.cancel("lost") == "OK"
            assert await table.status(MovementKind.JACKPOT_WIN, "p", "1") == "OK"
            stranger = evolve(table.seat, token="never-given")  # nobody's
            told = await table.status(MovementKind.PROMO_WIN, "q", "1", seat=stranger)
            assert told == ("INVALID_SID" if strict else "OK")
            assert table.change() == (2100 if strict else 2200)

    simulate(story())


def test_the_launch_token_stays_the_session_id_where_the_setting_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with Table.open(tmp_path, renew_sid="never") as table:
            assert (await table.check(table.seat))["sid"] == table.seat.token
            assert await table.debit("ref", "10") == "OK"
            assert await table.cancel("ref") == "OK"

    simulate(story())


def test_a_player_may_change_the_table_under_one_session_id(tmp_path: Path) -> None:
    async def story() -> None:
        async with Table.open(tmp_path) as table:
            elsewhere = evolve(table.seat, game="blackjack000001")
            assert await table.debit("ref", "10", seat=elsewhere) == "OK"
            assert await table.debit("off", "10", seat=evolve(table.seat, game="closed")) == "INVALID_PARAMETER"
            (row, _refused) = await table.hub.rows()
            assert row.game == table.hub.games["blackjack000001"]

    simulate(story())
