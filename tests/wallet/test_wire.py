"""Between rows and calls: what the wallet is asked, and what its answer sets."""

import pytest
from attrs import evolve

from croupier.contract import (
    Balance,
    Credentials,
    Currency,
    Declined,
    DeclineReason,
    Funding,
    Money,
    Policies,
    UnknownCurrencyError,
    WalletApplied,
    WalletOperation,
    WalletRefused,
)
from croupier.contract.outcomes import Applied, AppliedEffect
from croupier.ledger.records import MovementRow, MovementState, RoundRow, RoundState
from croupier.wallet.parties import Connection, Operator
from croupier.wallet.rows import applied_outcome, declined_outcome, movement_event, tallied
from croupier.wallet.wire import (
    applied_columns,
    balance_columns,
    context_of,
    refused_columns,
    stored_balance,
    wallet_movement,
    wallet_rollback,
)
from croupier_conformance.model_wallet import ModelDialect, ModelSettings

PARTY = Connection(
    id="connection-1",
    name="acme",
    provider="model",
    operator=Operator(id="operator-1", dialect=ModelDialect(ModelSettings()), credentials=Credentials()),
    policies=Policies(),
)
EUR = Currency("EUR", 2)
ROW = MovementRow(
    operator="operator-1",
    movement="movement-1",
    play="play-1",
    ordinal=0,
    connection="connection-1",
    player="player-1",
    kind="bet",
    direction="debit",
    state=MovementState.APPLIED,
    amount=150,
    currency="EUR",
    reference="b1",
    fingerprint={"amount": "150"},
    owner="hub",
    epoch=1,
    nonce="n",
    lease_until=0,
    created_at=1_000,
    settled_at=2_000,
    round="round-1",
    target="movement-0",
    stake=200,
    funding="operator",
    funds_required=300,
    grant="issue-1",
    route="acme:one",
)


def test_a_bet_is_asked_for_with_everything_that_the_operator_must_know() -> None:
    asked = wallet_movement(ROW, PARTY)
    assert (asked.operation, asked.transaction, asked.amount) == (WalletOperation.BET, "movement-1", Money(150, EUR))
    assert (asked.kind, asked.target, asked.stake, asked.funds_required) == ("bet", "movement-0", 200, 300)
    assert asked.funding is Funding.OPERATOR
    assert not asked.operator_decides


def test_a_credit_is_a_win_and_a_decided_amount_is_said_to_be_one() -> None:
    win = evolve(ROW, direction="credit", kind="jackpot_win")
    assert wallet_movement(win, PARTY).operation is WalletOperation.WIN
    assert wallet_movement(evolve(ROW, fingerprint={"amount": "decided"}), PARTY).operator_decides


@pytest.mark.parametrize(("direction", "undoes"), [("debit", WalletOperation.BET), ("credit", WalletOperation.WIN)])
def test_a_rollback_has_one_id_for_each_generation_whoever_asks_for_it(direction: str, undoes: WalletOperation) -> None:
    row = evolve(ROW, direction=direction)
    first = wallet_rollback(row, PARTY)
    assert (first.operation, first.target, first.undoes, first.amount) == (
        WalletOperation.ROLLBACK,
        "movement-1",
        undoes,
        Money(150, EUR),
    )
    others = (evolve(row, undone_by="x"), evolve(row, version=9), evolve(row, play="p", nonce="m", epoch=7))
    assert {wallet_rollback(other, PARTY).transaction for other in others} == {first.transaction}
    assert wallet_rollback(evolve(row, generation=1), PARTY).transaction != first.transaction
    assert first.transaction != row.movement


def test_a_row_of_a_currency_that_is_not_registered_cannot_be_sent() -> None:
    for make in (wallet_movement, wallet_rollback):
        with pytest.raises(UnknownCurrencyError):
            make(evolve(ROW, currency="ZZZ"), PARTY)


def test_the_context_names_the_round_or_else_the_movement_itself() -> None:
    context = context_of(ROW, PARTY, "r1", round_closed=True)
    assert (context.provider, context.connection, context.game) == ("model", "acme", "acme:one")
    assert (context.round, context.provider_round, context.round_closed) == ("round-1", "r1", True)
    assert context.grant == "issue-1"
    assert context_of(evolve(ROW, round=None), PARTY, "", round_closed=False).round == "movement-1"
    assert context_of(evolve(ROW, game="game-1"), PARTY, "", round_closed=False).game == "game-1"


def test_an_answer_sets_what_it_says_and_nothing_else() -> None:
    told = WalletApplied(
        balance=Balance(Money(900, EUR), Money(50, EUR)),
        operator_transactions={"movement-1": "op-1", "another": "op-2"},
        amounts={"movement-1": 120, "another": 7},
    )
    assert applied_columns(ROW, told) == {
        "effect": "moved",
        "operator_transaction": "op-1",
        "balance": 900,
        "bonus": 50,
        "amount": 120,
    }
    assert applied_columns(ROW, WalletApplied()) == {"effect": "moved", "operator_transaction": None}
    assert balance_columns(Balance(Money(900, EUR))) == {"balance": 900, "bonus": None}


def test_a_refusal_keeps_its_reason_and_the_operators_text() -> None:
    refused = WalletRefused(reason=DeclineReason.BET_LIMIT, message="Take a break")
    columns = refused_columns(refused)
    row = evolve(ROW, state=MovementState.DECLINED, **columns)
    assert declined_outcome(row) == Declined(
        reason=DeclineReason.BET_LIMIT, message="Take a break", transaction="movement-1"
    )
    assert declined_outcome(evolve(row, reason=None)).reason is DeclineReason.OTHER


def test_a_refusal_for_a_reason_that_only_a_newer_release_knows_stays_a_refusal() -> None:
    row = evolve(ROW, state=MovementState.DECLINED, reason="a_reason_of_tomorrow")
    assert declined_outcome(row).reason is DeclineReason.OTHER


def test_a_stored_balance_is_what_was_told() -> None:
    assert stored_balance(ROW, PARTY) is None
    assert stored_balance(evolve(ROW, balance=900, bonus=None), PARTY) == Balance(Money(900, EUR))
    assert stored_balance(evolve(ROW, balance=0, bonus=5), PARTY) == Balance(Money(0, EUR), Money(5, EUR))


def test_an_applied_outcome_names_an_amount_only_where_something_moved() -> None:
    moved = applied_outcome(ROW, PARTY, AppliedEffect.MOVED)
    assert isinstance(moved, Applied)
    assert (moved.amount, moved.transaction) == (Money(150, EUR), "movement-1")
    assert moved.at is not None
    assert moved.at.timestamp() == 2.0
    assert applied_outcome(ROW, PARTY, AppliedEffect.NOTHING).amount is None
    grave = evolve(ROW, currency="", settled_at=None)
    assert applied_outcome(grave, PARTY, AppliedEffect.REPEATED).amount is None


def test_an_event_holds_surrogates_and_what_is_known() -> None:
    event = movement_event(ROW)
    assert (event.kind, event.subject, event.at) == ("movement.applied", "movement-1", 2_000)
    assert event.body["player"] == "player-1"
    assert "reason" not in event.body


ROUND = RoundRow(
    operator="operator-1",
    round="round-1",
    connection="connection-1",
    player="player-1",
    provider_round="r1",
    game=None,
    currency="EUR",
    state=RoundState.OPEN,
    opened_at=0,
    bets=3,
    wins=2,
    version=5,
)
WIN = evolve(ROW, kind="win", direction="credit", stake=None)
NET = evolve(ROW, kind="bet_and_win", direction="credit", stake=200)


def state(row: MovementRow, of: MovementState) -> MovementRow:
    return evolve(row, state=of)


@pytest.mark.parametrize(
    ("before", "after", "bets", "wins"),
    [
        (None, state(ROW, MovementState.INTENT), 4, 2),
        (None, state(WIN, MovementState.INTENT), 3, 3),
        (None, state(NET, MovementState.INTENT), 4, 2),
        (None, state(evolve(NET, stake=None), MovementState.INTENT), 3, 3),
        (None, state(ROW, MovementState.DECLINED), 3, 2),
        (None, state(evolve(ROW, kind="rollback", direction="reversal"), MovementState.INTENT), 3, 2),
        (None, state(evolve(ROW, kind="tip"), MovementState.APPLIED), 3, 2),
        (None, state(evolve(ROW, kind="promo_win", direction="credit"), MovementState.APPLIED), 3, 2),
        (state(ROW, MovementState.INTENT), state(ROW, MovementState.APPLIED), 3, 2),
        (state(ROW, MovementState.INTENT), state(ROW, MovementState.DECLINED), 2, 2),
        (state(ROW, MovementState.APPLIED), state(ROW, MovementState.REVERSING), 2, 2),
        (state(ROW, MovementState.REVERSING), state(ROW, MovementState.APPLIED), 4, 2),
        (state(ROW, MovementState.REVERSING), state(ROW, MovementState.REVERSED), 3, 2),
        (state(WIN, MovementState.OWED), state(WIN, MovementState.HELD), 3, 2),
        (state(WIN, MovementState.DECLINED), state(WIN, MovementState.INTENT), 3, 3),
    ],
)
def test_a_round_counts_the_bets_and_wins_that_stand(
    before: MovementRow | None, after: MovementRow, bets: int, wins: int
) -> None:
    (row,) = tallied(ROUND, [(before, after)], stored=True)
    assert (row.bets, row.wins, row.version) == (bets, wins, 6)


def test_a_change_in_another_round_or_in_none_leaves_a_round_as_it_is() -> None:
    elsewhere = (evolve(ROW, round="round-2"), evolve(ROW, round=None))
    assert tallied(ROUND, [(None, row) for row in elsewhere], stored=True) == ()
    assert tallied(None, [(None, ROW)], stored=False) == ()
    (new,) = tallied(ROUND, [(None, ROW), *((None, row) for row in elsewhere)], stored=False)
    assert (new.bets, new.version) == (4, 1)
