"""Three books are compared transaction by transaction, so that errors cannot cancel out."""

from __future__ import annotations

from attrs import evolve

from croupier_conformance.books import Account, Comparison, Entry, Side, compare

BET = Entry(transaction="p-1", player="anna", kind="bet", amount=100, provider="lucky")
WIN = Entry(transaction="p-2", player="anna", kind="win", amount=250, provider="lucky")


def at_hub(entry: Entry) -> Entry:
    return evolve(entry, transaction=f"hub-{entry.transaction}", reference=entry.transaction)


def at_operator(entry: Entry) -> Entry:
    return evolve(entry, transaction=f"hub-{entry.transaction}", provider="", reference="")


def compared(
    provider: list[Entry], hub: list[Entry], operator: list[Entry], *, balance: int, opening: int = 1000
) -> Comparison:
    return compare(
        provider,
        [at_hub(entry) for entry in hub],
        [at_operator(entry) for entry in operator],
        [Account(player="anna", opening=opening, balance=balance)],
    )


def test_equal_books_have_no_difference() -> None:
    found = compared([BET, WIN], [BET, WIN], [BET, WIN], balance=1150)
    assert found.difference == 0
    assert found.transactions == 2
    assert found.totals["lucky", Side.OPERATOR].net == 150


def test_a_bet_and_its_win_may_have_one_id() -> None:
    bet, win = BET, evolve(WIN, transaction=BET.transaction)

    def hub(entry: Entry) -> Entry:
        return evolve(entry, transaction=f"hub-{entry.kind}", reference=entry.transaction)

    books = [hub(bet), hub(win)]
    account = [Account(player="anna", opening=1000, balance=1150)]
    assert compare([bet, win], books, books, account).difference == 0
    found = compare([bet, win], books[:1], books[:1], account)
    assert [row.what for row in found.differences] == ["lucky/p-1#win: provider win 250, hub nothing, operator nothing"]


def test_a_win_that_the_operator_lacks_is_a_difference_of_its_amount_and_of_the_balance() -> None:
    found = compared([BET, WIN], [BET, WIN], [BET], balance=900)
    assert [row.size for row in found.differences] == [250, 250]
    assert "provider win 250, hub win 250, operator nothing" in found.differences[0].what


def test_a_bet_that_only_the_operator_holds_is_a_difference() -> None:
    found = compared([], [], [BET], balance=900)
    assert [row.size for row in found.differences] == [100, 100]


def test_a_bet_that_only_the_provider_holds_is_a_difference() -> None:
    assert compared([BET], [], [], balance=1000).difference == 200


def test_a_missing_win_of_zero_is_a_difference() -> None:
    nothing = evolve(WIN, amount=0)
    assert compared([nothing], [nothing], [], balance=1000).difference == 1


def test_two_errors_that_cancel_out_in_the_sum_are_two_differences() -> None:
    other = evolve(BET, transaction="p-3", amount=100)
    found = compared([BET], [BET], [other], balance=900)
    assert len(found.differences) == 2


def test_an_amount_that_differs_in_one_book_is_a_difference_of_that_much() -> None:
    found = compared([BET], [BET], [evolve(BET, amount=130)], balance=900)
    assert [row.size for row in found.differences] == [30]


def test_a_movement_of_another_player_is_a_difference() -> None:
    found = compared([BET], [BET], [evolve(BET, player="bert")], balance=900)
    assert found.difference == 1


def test_a_transaction_that_stands_twice_in_one_book_is_a_difference() -> None:
    found = compared([BET], [BET], [BET, BET], balance=900)
    assert [row.size for row in found.differences] == [100]


def test_money_that_moved_without_a_transaction_is_a_difference() -> None:
    found = compared([BET], [BET], [BET], balance=1000)
    assert found.differences[0].what == "player anna: the balance is 1000, by the provider's book it is 900"


def test_a_player_whom_the_operator_does_not_know_is_a_difference() -> None:
    found = compare([BET], [at_hub(BET)], [at_operator(BET)], [])
    assert found.difference == 100


def test_the_same_reference_of_two_providers_is_two_transactions() -> None:
    other = evolve(BET, provider="other", amount=40)
    hub = [at_hub(BET), evolve(at_hub(other), transaction="hub-other")]
    operator = [at_operator(BET), evolve(at_operator(other), transaction="hub-other")]
    found = compare([BET, other], hub, operator, [Account(player="anna", opening=1000, balance=860)])
    assert (found.difference, found.transactions) == (0, 2)
