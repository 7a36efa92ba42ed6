"""What a wallet declares beyond the operations: movements of zero, tombstones, statuses, adjustments."""

from __future__ import annotations

from croupier.contract import TransactionState, WalletBalance, WalletMove, WalletPlayer, WalletStatus, WalletStatusReply
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.wallet_story import Story, told, wallet_rule


@wallet_rule(
    "zero-amounts-are-accepted",
    Tier.SILVER,
    "Movements of zero are accepted, and remembered",
    expects="success with one id of the wallet's own for a repeat, and the balance unchanged",
    needs="zero_amount",
)
def zero_amounts_are_accepted(story: Story) -> None:
    """Free rounds stake nothing, and a lost round may end with a win of zero.

    A bet and a win of zero are sent twice and rolled back. It is usually broken by a check that an amount is above
    zero. A wallet that wants no such calls leaves `zero_amount` out, and is spared them.
    """
    before = story.balance()
    for move in (story.bet("bet", 0), story.win("win", 0)):
        word, transaction = move.movement.operation.value, move.movement.transaction
        first = story.applied(move, f"a {word} of zero").operator_transactions.get(transaction)
        if story.applied(move, f"the same {word} of zero").operator_transactions.get(transaction) != first:
            story.broken(f"a repeated {word} of zero has another id of the wallet's own")
        story.applied(story.undo(move), f"the rollback of a {word} of zero")
        story.must_hold(before, f"a {word} of zero")


@wallet_rule(
    "late-bet-moves-nothing",
    Tier.PLATINUM,
    "A bet that arrives after its rollback moves nothing",
    expects="a definite refusal such as already_rolled_back (success, where the protocol has it so), and the balance "
    "unchanged",
    needs="tombstones",
)
def late_bet_moves_nothing(story: Story) -> None:
    """Networks deliver in any order: the rollback of a bet can overtake it.

    A bet is rolled back before it is sent, then sent, then sent again; the same with a win. It is usually broken by a
    rollback of something unknown that is answered and forgotten. Remember the id under `target`, as if the movement
    had been there: a tombstone.
    """
    before = story.balance()
    for move in (story.bet("bet", 7), story.win("win", 7)):
        word = move.movement.operation.value
        story.applied(story.undo(move), f"the rollback of a {word} that has not come yet")
        for title in (f"the {word}, late", f"the {word}, late and again"):
            story.left_alone(move, title, hint="The rollback has to leave a tombstone.")
            story.must_hold(before, title)


@wallet_rule(
    "tombstone-outlives-repeats",
    Tier.PLATINUM,
    "A tombstone stays, however often the rollback is repeated",
    expects="success for every rollback, and a late bet that moves nothing",
    needs="tombstones",
)
def tombstone_outlives_repeats(story: Story) -> None:
    """A provider repeats the rollback while the bet is still on its way.

    A bet that was not sent is rolled back twice under one id and once under another, then sent. It is usually broken
    by an insert of the tombstone that fails the second time, or by a tombstone that counts as a movement and is itself
    rolled back.
    """
    before, bet = story.balance(), story.bet("bet", 7)
    for name in ("one rollback", "one rollback", "another rollback"):
        reply = story.applied(story.undo(bet, name), f"{name} of a bet that has not come yet")
        if not reply.nothing_moved:
            story.broken(f"{name} of a bet that never came: the answer does not say that nothing moved")
    story.left_alone(bet, "the bet, late")
    story.must_hold(before, "a bet after three rollbacks")


@wallet_rule(
    "status-of-an-applied-movement",
    Tier.PLATINUM,
    "What was applied is told as applied",
    expects="the state applied for a bet and a win, from their first moment",
    needs="transaction_status",
)
def status_of_an_applied_movement(story: Story) -> None:
    """The hub asks when it does not know, and acts with money on the answer.

    A bet and a win are sent and asked about at once, and again after a repeat. It is usually broken by a status that is
    read from a copy of the database that is behind.
    """
    for move in (story.bet("bet", 2), story.win("win", 2)):
        word = move.movement.operation.value
        for title in (f"a {word}", f"the same {word} again"):
            story.applied(move, title)
            _state(story, move, TransactionState.APPLIED, f"the status of {title}")


@wallet_rule(
    "status-of-a-rolled-back-movement",
    Tier.PLATINUM,
    "What was rolled back is told as rolled back",
    expects="the state rolled_back for a bet and a win after their rollback",
    needs="transaction_status",
)
def status_of_a_rolled_back_movement(story: Story) -> None:
    """A bet that was undone must not be undone again, and one that was not must be.

    A bet and a win are sent, rolled back and asked about. It is usually broken by a status that tells whether the id is
    known, and not what became of it.
    """
    for move in (story.bet("bet", 2), story.win("win", 2)):
        word = move.movement.operation.value
        story.applied(move, f"a {word}")
        story.applied(story.undo(move), f"its rollback, of a {word}")
        _state(story, move, TransactionState.ROLLED_BACK, f"the status of a {word} that was rolled back")


@wallet_rule(
    "status-of-an-unknown-movement",
    Tier.PLATINUM,
    "What never took effect is told as not found",
    expects="the state not_found for an id that is unknown or was refused, and for another player's",
    needs="transaction_status",
)
def status_of_an_unknown_movement(story: Story) -> None:
    """`not_found` lets the hub say for sure that the player lost nothing.

    An id that nobody has is asked about, one of a bet that was refused, and one of another player's bet. It is usually
    broken by an HTTP 404, which is no definite answer, or by a row that is written before the bet is refused.
    """
    never = story.bet("never sent", 2)
    _state(story, never, TransactionState.NOT_FOUND, "the status of a bet that was never sent")
    refused = story.bet("too much", story.balance() + 1)
    story.refused(refused, "a bet of more than the balance")
    _state(story, refused, TransactionState.NOT_FOUND, "the status of a refused bet")
    bet = story.bet("bet", 2)
    story.applied(bet, "a bet of the first player")
    _state(story, bet, TransactionState.NOT_FOUND, "its status, asked for the second player", story.player(1))


@wallet_rule(
    "adjustment-is-never-refused",
    Tier.PLATINUM,
    "An adjustment is taken from a player who has too little",
    expects="success, a balance of zero, and credits that pay the deficit first",
    needs="adjustment",
)
def adjustment_is_never_refused(story: Story) -> None:
    """A correction of what happened is no bet: it is owed, whatever the player has.

    An adjustment of five more than the balance is taken; then a win of the same amount is paid, after which the balance
    is as before. It is usually broken by the same check of funds that bets have, or by a deficit that is forgotten at
    zero.
    """
    before = story.balance()
    debit = story.bet("adjustment", before + 5, kind="adjustment")
    story.applied(debit, "an adjustment of more than the balance")
    story.must_hold(0, "an adjustment of more than the balance")
    story.applied(story.win("pays", before + 5), "a win of the same amount")
    story.must_hold(before, "a win after a deficit")


@wallet_rule(
    "connections-are-kept",
    Tier.PLATINUM,
    "The wallet keeps connections open",
    expects="no answer that closes its connection",
)
def connections_are_kept(story: Story) -> None:
    """A new connection with TLS costs more time than the bet.

    Several balances are asked for, and their answers' header fields looked at. It is usually broken by a proxy that
    speaks HTTP/1.0 to the wallet, or by a server with keep-alive turned off. Connections should be kept longer than
    the hub keeps them, which is four seconds.
    """
    for _ in range(3):
        call = WalletBalance(player=story.player())
        heard = story.post(call, story.written(call), "a balance")
        if heard.response is None:
            story.broken("there is no answer")
        if (heard.response.headers.get("Connection") or "").lower() == "close":
            story.broken("the answer closes its connection")


def _state(
    story: Story, move: WalletMove, state: TransactionState, title: str, player: WalletPlayer | None = None
) -> None:
    reply = story.ask(WalletStatus(player=player or move.player, transaction=move.movement.transaction), title)
    if not isinstance(reply, WalletStatusReply) or reply.state is not state:
        story.broken(f"{title}: expected {state.value}, but it {told(reply)}")
