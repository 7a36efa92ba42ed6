"""Silver: one id has one effect, for ever."""

from __future__ import annotations

from attrs import evolve

from croupier.contract import Money, WalletMove, WalletOperation
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.wallet_story import Story, wallet_rule

ONE_ID = "Write the movement and the balance in one database transaction, with a unique index on the transaction's id."


@wallet_rule(
    "repeated-bet-moves-once",
    Tier.SILVER,
    "A bet that is sent again moves nothing and is answered alike",
    expects="success with the same id of the wallet's own, and money moved once",
)
def repeated_bet_moves_once(story: Story) -> None:
    """An answer that is lost makes the hub ask again.

    A bet is sent three times, each time signed anew. It is usually broken in one of two ways: the copy takes money
    again, or it is refused as a duplicate, which tells the hub that the bet never was.
    """
    before = story.balance()
    _repeat(story, story.bet("bet", 7), before - 7)


@wallet_rule(
    "repeated-win-moves-once",
    Tier.SILVER,
    "A win that is sent again moves nothing and is answered alike",
    expects="success with the same id of the wallet's own, and money moved once",
)
def repeated_win_moves_once(story: Story) -> None:
    """A win is sent until the wallet has answered, for days if need be.

    A win is sent three times, each time signed anew. It is usually broken as the repeat of a bet is.
    """
    before = story.balance()
    _repeat(story, story.win("win", 7), before + 7)


@wallet_rule(
    "repeated-rollback-moves-once",
    Tier.SILVER,
    "A rollback that is sent again moves nothing and is answered alike",
    expects="success, and money given back once",
)
def repeated_rollback_moves_once(story: Story) -> None:
    """A rollback is sent until the wallet has answered, for days if need be.

    The rollback of a bet and of a win are sent three times each. It is usually broken by a wallet that remembers bets
    and wins by their ids, and rollbacks not at all.
    """
    before = story.balance()
    bet, win = story.bet("bet", 7), story.win("win", 3)
    story.applied(bet, "a bet")
    story.applied(win, "a win")
    _repeat(story, story.undo(bet), before + 3)
    _repeat(story, story.undo(win), before)


@wallet_rule(
    "repeat-after-the-rollback-moves-nothing",
    Tier.SILVER,
    "A copy of a bet or win that was rolled back moves nothing",
    expects="a definite refusal such as already_rolled_back (success, where the protocol has it so), and the balance "
    "unchanged",
)
def repeat_after_the_rollback_moves_nothing(story: Story) -> None:
    """A copy may be under way while the movement is rolled back, and arrive after it.

    A bet is sent, rolled back, and sent again; so is a win. It is usually broken by a rollback that deletes the
    movement's row, so that the copy looks new. Keep the row and mark it.
    """
    before = story.balance()
    for move in (story.bet("bet", 7), story.win("win", 7)):
        word = move.movement.operation.value
        story.applied(move, f"a {word}")
        story.applied(story.undo(move), f"the rollback of the {word}")
        story.left_alone(move, f"the {word} again, after its rollback")
        story.must_hold(before, f"the copy of a {word} that was rolled back")


@wallet_rule(
    "conflicting-amount-is-refused",
    Tier.SILVER,
    "A known id with another amount is refused",
    expects="a definite refusal, no money moved, and the first movement stands",
)
def conflicting_amount_is_refused(story: Story) -> None:
    """One id with two contents means that something is wrong: neither the old nor the new answer is right.

    A bet is sent, then one of another amount under its id; so is a win. It is usually broken by a wallet that answers
    by the id alone, as if what was asked now had been done. The reason is `conflict`.
    """
    before = story.balance()
    for move, left in ((story.bet("bet", 7), before - 7), (story.win("win", 7), before)):
        other = evolve(move, movement=evolve(move.movement, amount=Money(9, move.player.currency)))
        _conflict(story, move, other, left, "another amount")


@wallet_rule(
    "conflicting-player-is-refused",
    Tier.SILVER,
    "A known id of another player is refused",
    expects="a definite refusal, no money moved for either, and the first movement stands",
)
def conflicting_player_is_refused(story: Story) -> None:
    """The hub's ids are unique over all players.

    A bet of the first test player is sent, then the same of the second; so is a win. It is usually broken by a key of
    player and id together, which lets one id move money twice.
    """
    first, second = story.player(0), story.player(1)
    before, others = story.balance(first), story.balance(second)
    for move, left in ((story.bet("bet", 7), before - 7), (story.win("win", 7), before)):
        _conflict(story, move, evolve(move, player=second), left, "another player")
        story.must_hold(others, "a movement under another player's id", second)


@wallet_rule(
    "conflicting-operation-is-refused",
    Tier.SILVER,
    "A known id of another operation is refused",
    expects="a definite refusal, no money moved, and the first movement stands",
)
def conflicting_operation_is_refused(story: Story) -> None:
    """Bets and wins share one space of ids.

    A win is sent under the id of a bet. It is usually broken by a table of bets and another of wins, each with its
    own ids.
    """
    before, bet = story.balance(), story.bet("bet", 7)
    win = evolve(bet.movement, operation=WalletOperation.WIN, kind="win")
    _conflict(story, bet, evolve(bet, movement=win), before - 7, "another operation")


def _repeat(story: Story, move: WalletMove, left: int) -> None:
    """A movement is sent three times and done once."""
    word = move.movement.operation.value
    transaction = move.movement.transaction
    first = story.applied(move, f"a {word}").operator_transactions.get(transaction)
    for _ in range(2):
        again = story.applied(move, f"the same {word} again", ONE_ID).operator_transactions.get(transaction)
        if again != first:
            story.broken(f"the same {word} again has another id of the wallet's own: {again} instead of {first}")
        story.must_hold(left, f"the same {word} again", hint=ONE_ID)


def _conflict(story: Story, move: WalletMove, other: WalletMove, left: int, what: str) -> None:
    word = move.movement.operation.value
    story.applied(move, f"a {word}")
    story.refused(other, f"the id of the {word} with {what}")
    story.must_hold(left, f"the id of a {word} with {what}")
    story.applied(move, f"the {word} as it was, again")
    story.must_hold(left, f"the {word} as it was, again")
