"""What a play asks for, in the hub's own terms: keys, amounts and fingerprints."""

from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from croupier.contract import (
    Applied,
    Credentials,
    Currencies,
    Currency,
    Declined,
    DeclineReason,
    DedupeScope,
    Direction,
    Funding,
    Movement,
    MovementKey,
    MovementKind,
    NetSettlement,
    OperatorDecides,
    Play,
    Policies,
    Policy,
    RoundFacts,
    Target,
    Unit,
    WireAmount,
    WireCurrency,
)
from croupier.contract.money import MINOR
from croupier.ledger.records import Key, MovementState
from croupier.wallet.identity import movement_id
from croupier.wallet.intended import Attempt, Identity, Intended, intend, same_content, scope_of
from croupier.wallet.parties import Connection, Operator
from croupier_conformance.model_wallet import ModelDialect, ModelSettings
from croupier_conformance.money_path import CONNECTION, OPERATOR, MoneyPath, bet, rollback, win
from croupier_conformance.virtual_time import simulate

PARTY = Connection(
    id=CONNECTION,
    name="acme",
    provider="model",
    operator=Operator(id=OPERATOR, dialect=ModelDialect(ModelSettings()), credentials=Credentials()),
    policies=Policies(),
)
EUR = Currency("EUR", 2)
HOME = Identity(connection=PARTY, operation="play", player="player-1", currency=EUR, provider_round="r1")


def play(*movements: Movement, **rest: object) -> Play:
    return Play(operation="play", movements=movements, **rest)  # type: ignore[arg-type] # a play's own fields


def one(movement: Movement, policy: Policy | None = None, identity: Identity = HOME, **rest: object) -> Intended:
    (intended,) = intend(play(movement, **rest), policy or Policy(), identity)
    return intended


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (DedupeScope.PROVIDER, "connection-1"),
        (DedupeScope.PLAYER, "connection-1/player-1"),
        (DedupeScope.ROUND, "connection-1/player-1/r1"),
    ],
)
def test_a_key_holds_in_the_scope_of_the_policy(scope: DedupeScope, expected: str) -> None:
    policy = Policy(dedupe_scope=scope)
    assert scope_of(policy, HOME) == expected
    assert one(bet("b1"), policy).keys == (Key(OPERATOR, expected, "tx", "b1"),)


@pytest.mark.parametrize("scope", list(DedupeScope))
def test_two_players_may_carry_one_id_only_where_ids_belong_to_players(tmp_path: Path, scope: DedupeScope) -> None:
    async def story() -> None:
        async with MoneyPath.open(tmp_path / "l.db") as path:
            path.reconfigure(dedupe_scope=scope)
            await path.play(bet("b1"), player="p1")
            other = (await path.play(bet("b1"), player="p2")).outcome
            assert isinstance(other, Declined if scope is DedupeScope.PROVIDER else Applied)
            again = (await path.play(bet("b1"), player="p1", round="r2")).outcome
            assert isinstance(again, Applied if scope is DedupeScope.ROUND else Declined)
            assert isinstance((await path.play(rollback("x", "b1"), player="p1")).outcome, Applied)
            assert path.balance("p1") == (9_900 if scope is DedupeScope.ROUND else 10_000)
            assert path.balance("p2") == (10_000 if scope is DedupeScope.PROVIDER else 9_900)

    simulate(story())


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (WireAmount.of("1.50"), 150),
        (WireAmount.of(150, MINOR), 150),
        (WireAmount.of(150_000, Unit(-5)), 150),
        (WireAmount.of("1.50", currency="EUR"), 150),
    ],
)
def test_an_amount_is_read_in_its_unit(wire: WireAmount, expected: int) -> None:
    movement = Movement(MovementKind.BET, keys=(MovementKey("tx", "b1"),), amount=wire)
    assert (one(movement).amount, one(movement).refusal) == (expected, None)


@pytest.mark.parametrize("wire", ["1.505", "0.001", "92233720368547758.08"])
def test_an_amount_that_does_not_fit_is_refused_and_never_rounded(wire: str) -> None:
    assert one(bet("b1", wire)).refusal is DeclineReason.AMOUNT_INVALID


@given(st.integers(0, 2**63 - 1))
def test_every_amount_that_fits_is_read_exactly(minor: int) -> None:
    text = f"{minor // 100}.{minor % 100:02d}"
    assert one(bet("b1", text)).amount == minor


@pytest.mark.parametrize(("named", "wire"), [("IDR2", None), (None, "IDR2"), (None, None)])
def test_a_currency_that_counts_in_thousands_is_scaled_wherever_it_is_named(
    named: str | None, wire: str | None
) -> None:
    policy = Policy(currencies=(WireCurrency("IDR2", "IDR", Decimal(1000)),))
    identity = evolve(HOME, currency=Currencies().get("IDR"), wire_currency=wire)
    amount = WireAmount.of("1.5", currency=named)
    movement = Movement(MovementKind.BET, keys=(MovementKey("tx", "b1"),), amount=amount)
    scale = Currencies().get("IDR").scale
    assert one(movement, policy, identity).amount == 1_500 * 10**scale


def test_the_currency_of_an_amount_counts_before_that_of_its_request() -> None:
    policy = Policy(currencies=(WireCurrency("IDR2", "IDR", Decimal(1000)),))
    identity = evolve(HOME, currency=Currencies().get("IDR"), wire_currency="IDR2")
    movement = Movement(MovementKind.BET, keys=(MovementKey("tx", "b1"),), amount=WireAmount.of("1.5", currency="IDR"))
    assert one(movement, policy, identity).amount == 150


@pytest.mark.parametrize(("named", "wire"), [("USD", None), (None, "USD"), ("EURO", None)])
def test_an_amount_in_a_foreign_currency_is_refused(named: str | None, wire: str | None) -> None:
    movement = Movement(MovementKind.BET, keys=(MovementKey("tx", "b1"),), amount=WireAmount.of("1.50", currency=named))
    assert one(movement, identity=evolve(HOME, wire_currency=wire)).refusal is DeclineReason.CURRENCY_WRONG


def test_without_a_currency_nobody_knows_what_an_amount_is_worth() -> None:
    assert one(bet("b1"), identity=evolve(HOME, currency=None)).refusal is DeclineReason.SESSION_UNKNOWN


@pytest.mark.parametrize("field", ["stake", "funds_required"])
def test_every_amount_of_a_movement_must_fit(field: str) -> None:
    good = evolve_movement(bet("b1"), **{field: WireAmount.of("2.00")})
    assert getattr(one(good), field) == 200
    bad = evolve_movement(bet("b1"), **{field: WireAmount.of("2.001")})
    assert one(bad).refusal is DeclineReason.AMOUNT_INVALID


def evolve_movement(movement: Movement, **changes: object) -> Movement:
    return Movement(
        changes.pop("kind", movement.kind),  # type: ignore[arg-type] # a movement's own fields
        **{"keys": movement.keys, "amount": movement.amount, "target": movement.target, **changes},  # type: ignore[arg-type] # likewise
    )


def test_a_correction_below_zero_is_a_debit_of_its_size() -> None:
    for text, direction in (("-1.50", Direction.DEBIT), ("1.50", Direction.CREDIT)):
        movement = Movement(MovementKind.ADJUSTMENT, keys=(MovementKey("tx", "a1"),), amount=WireAmount.of(text))
        assert (one(movement).amount, one(movement).direction) == (150, direction)
    below = Movement(MovementKind.ADJUSTMENT, keys=(MovementKey("tx", "a1"),), amount=WireAmount.of("-1.50"))
    above = Movement(MovementKind.ADJUSTMENT, keys=(MovementKey("tx", "a1"),), amount=WireAmount.of("1.50"))
    assert not same_content(one(below).fingerprint, one(above).fingerprint, Policy())


def test_the_id_of_a_movement_is_that_of_its_first_key_or_of_the_message_that_it_sends_again() -> None:
    keys = (MovementKey("tx", "b1"), MovementKey("reference", "r"))
    two = Movement(MovementKind.BET, keys=keys, amount=WireAmount.of("1.00"))
    assert one(two).id == movement_id(Key(OPERATOR, CONNECTION, "tx", "b1"))
    again = evolve_movement(bet("b1-again"), resend_of=MovementKey("tx", "b1"))
    assert one(again).id == one(two).id
    assert one(again).every_key == (
        Key(OPERATOR, CONNECTION, "tx", "b1-again"),
        Key(OPERATOR, CONNECTION, "tx", "b1"),
    )


def test_a_net_bet_and_win_is_split_into_two_movements_with_keys_of_their_own() -> None:
    movement = Movement(
        MovementKind.BET_AND_WIN,
        keys=(MovementKey("tx", "n1"),),
        amount=WireAmount.of("2.00"),
        win_amount=WireAmount.of("5.00"),
    )
    stake, payout = intend(play(movement), Policy(), HOME)
    assert (stake.direction, stake.amount, stake.net) == (Direction.DEBIT, 200, False)
    assert (payout.direction, payout.amount, payout.net) == (Direction.CREDIT, 500, False)
    assert payout.target == stake.keys[0]
    assert payout.id != stake.id
    assert payout.keys == (Key(OPERATOR, CONNECTION, "tx#win", "n1"),)
    assert (stake.takes_stake, payout.takes_stake) == (True, False)


@pytest.mark.parametrize(
    ("stake", "payout", "direction", "amount"),
    [
        ("2.00", "5.00", Direction.CREDIT, 300),
        ("5.00", "2.00", Direction.DEBIT, 300),
        ("2.00", "2.00", Direction.DEBIT, 0),
    ],
)
def test_a_net_bet_and_win_may_be_the_difference_with_the_stake_beside_it(
    stake: str, payout: str, direction: Direction, amount: int
) -> None:
    movement = Movement(
        MovementKind.BET_AND_WIN,
        keys=(MovementKey("tx", "n1"),),
        amount=WireAmount.of(stake),
        win_amount=WireAmount.of(payout),
    )
    net = one(movement, Policy(net_settlement=NetSettlement.NET))
    assert (net.direction, net.amount) == (direction, amount)
    assert (net.stake, net.funds_required) == (int(Decimal(stake) * 100),) * 2
    assert net.takes_stake
    other = evolve_movement(movement, win_amount=WireAmount.of("9.00"), amount=WireAmount.of(stake))
    changed = one(other, Policy(net_settlement=NetSettlement.NET))
    assert not same_content(net.fingerprint, changed.fingerprint, Policy())


def test_an_amount_that_the_operator_decides_is_its_least_and_is_compared_as_such() -> None:
    least = OperatorDecides(at_least=WireAmount.of("1.00"))
    movement = evolve_movement(bet("b1"), amount=least)
    assert (one(movement).amount, one(movement).fingerprint["amount"]) == (100, "decided")
    assert one(evolve_movement(bet("b1"), amount=OperatorDecides())).amount == 0
    assert not same_content(one(movement).fingerprint, one(bet("b1")).fingerprint, Policy())


CHANGES = {
    "amount": (one(bet("b1", "2.00")),),
    "player": (one(bet("b1"), identity=evolve(HOME, player="player-2")),),
    "round": (one(bet("b1"), round="r2"),),
    "game": (one(bet("b1"), game="other", round="r1"),),
    "kind": (one(evolve_movement(bet("b1"), kind=MovementKind.TIP)),),
    "currency": (one(bet("b1"), identity=evolve(HOME, currency=Currency("USD", 2))),),
    "target": (one(evolve_movement(bet("b1"), target=Target(key=MovementKey("tx", "other")))),),
}
FIRST = one(evolve_movement(bet("b1"), target=Target(key=MovementKey("tx", "named"))), round="r1", game="acme:one")


@pytest.mark.parametrize("field", CHANGES)
def test_a_repeat_with_one_field_changed_is_another_content_unless_the_policy_ignores_it(field: str) -> None:
    (changed,) = CHANGES[field]
    others = frozenset(CHANGES) - {field}
    assert not same_content(FIRST.fingerprint, changed.fingerprint, Policy(fingerprint_ignores=others))
    assert same_content(FIRST.fingerprint, changed.fingerprint, Policy(fingerprint_ignores=frozenset({field})))


def test_what_a_repeat_does_not_say_is_not_compared() -> None:
    bare = one(bet("b1"), identity=evolve(HOME, player=""))
    assert same_content(FIRST.fingerprint, bare.fingerprint, Policy())
    assert same_content(bare.fingerprint, FIRST.fingerprint, Policy())


def test_a_rollback_is_compared_without_amount_and_currency() -> None:
    plain = rollback("x", "b1")
    with_amount = evolve_movement(plain, amount=WireAmount.of("7.00", currency="USD"))
    assert one(plain).fingerprint == one(with_amount).fingerprint
    assert (one(with_amount).amount, one(with_amount).refusal) == (0, None)


def test_a_row_keeps_what_the_movement_says() -> None:
    movement = evolve_movement(
        bet("b1"),
        stake=WireAmount.of("2.00"),
        funding=Funding.OPERATOR,
        funds_required=WireAmount.of("3.00"),
        facts=RoundFacts(turnover=WireAmount.of("2.50"), details={"line": "7"}),
        reference="ref",
    )
    attempt = Attempt(play="play-1", owner="hub", epoch=3, nonce="n", now=5, lease_until=9)
    row = one(movement).row(HOME, attempt, MovementState.INTENT)
    assert (row.operation, row.connection, row.player, row.round) == ("play", CONNECTION, "player-1", HOME.round)
    assert (row.stake, row.funding, row.funds_required, row.reference) == (200, "operator", 300, "ref")
    assert row.facts == {"turnover": "2.50", "details": {"line": "7"}}
    assert (row.amount, row.currency, row.state) == (100, "EUR", MovementState.INTENT)


@pytest.mark.parametrize(("kind", "is_bet"), [(MovementKind.BET, True), (MovementKind.TIP, True)])
def test_tips_and_bets_follow_the_rules_for_bets(kind: MovementKind, is_bet: bool) -> None:
    assert one(evolve_movement(bet("b1"), kind=kind)).is_bet is is_bet
    assert not one(win("w1")).is_bet
    down = Movement(MovementKind.ADJUSTMENT, keys=(MovementKey("tx", "a1"),), amount=WireAmount.of("-1.00"))
    assert not one(down).is_bet


def test_a_movement_without_player_has_no_round() -> None:
    assert evolve(HOME, player="").round is None
    assert evolve(HOME, provider_round=None).round is None
    assert HOME.round is not None
