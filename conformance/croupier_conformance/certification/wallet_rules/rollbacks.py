"""Silver: rollbacks in every order, and what is owed after the session's end."""

from __future__ import annotations

from attrs import evolve

from croupier.contract import DeclineReason, Money, RollbackShortfall, WalletApplied, WalletRefused
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.wallet_story import Story, told, wallet_rule

SHORTFALL = "rollback_shortfall"


@wallet_rule(
    "second-rollback-id-pays-nothing",
    Tier.SILVER,
    "A movement is undone once, whatever ids its rollbacks have",
    expects="success for the second rollback, and the money given back once",
)
def second_rollback_id_pays_nothing(story: Story) -> None:
    """Two who ask for the same rollback must not be paid twice.

    A bet is rolled back under two ids, then a win. It is usually broken by a wallet that recognises rollbacks by their
    own id alone: mark the movement as undone, and look at the mark.
    """
    before = story.balance()
    for move in (story.bet("bet", 7), story.win("win", 7)):
        story.applied(move, f"a {move.movement.operation.value}")
        story.applied(story.undo(move, "one rollback"), "its rollback")
        story.must_hold(before, "a rollback")
        story.applied(story.undo(move, "another rollback"), "its rollback under another id")
        story.must_hold(before, "a second rollback under another id")


@wallet_rule(
    "rollback-of-unknown-moves-nothing",
    Tier.SILVER,
    "A rollback of something unknown moves nothing and says so",
    expects="success with nothing moved, and the balance unchanged",
)
def rollback_of_unknown_moves_nothing(story: Story) -> None:
    """A bet that never arrived is rolled back all the same: the hub cannot know.

    Rollbacks of a bet and of a win that were never sent are asked for. It is usually broken by a wallet that pays what
    the request names, by an error, which makes the hub ask for ever, or by a plain success, which makes the hub
    believe that the bet had been there.
    """
    before = story.balance()
    for move in (story.bet("never sent", 7), story.win("never sent either", 7)):
        title = f"the rollback of a {move.movement.operation.value} that was never sent"
        reply = story.applied(story.undo(move), title)
        if not reply.nothing_moved:
            story.broken(f"{title}: the answer does not say that nothing moved")
        story.must_hold(before, title)


@wallet_rule(
    "rollback-of-a-refused-bet-moves-nothing",
    Tier.SILVER,
    "The rollback of a bet that was refused moves nothing",
    expects="success with nothing moved, and the balance unchanged",
)
def rollback_of_a_refused_bet_moves_nothing(story: Story) -> None:
    """Some providers roll back whatever was not a success, refusals included.

    A bet that is too large is refused, then rolled back. It is usually broken by a wallet that writes the movement
    before it looks at the balance and finds it there later.
    """
    before = story.balance()
    bet = story.bet("too much", before + 7)
    story.refused(bet, "a bet of more than the balance")
    story.applied(story.undo(bet), "the rollback of a refused bet")
    story.must_hold(before, "the rollback of a refused bet")


@wallet_rule(
    "rollback-undoes-what-was-recorded",
    Tier.SILVER,
    "A rollback gives back what was taken, whatever amount it names",
    expects="exactly the bet's amount is given back",
)
def rollback_undoes_what_was_recorded(story: Story) -> None:
    """The wallet knows best what it took.

    A bet is sent, and a rollback that names ten times its amount. It is usually broken by a wallet that pays the
    request's amount without a look at the bet.
    """
    before, bet = story.balance(), story.bet("bet", 7)
    story.applied(bet, "a bet of 7")
    undo = story.undo(bet)
    wrong = evolve(undo, movement=evolve(undo.movement, amount=Money(70, bet.player.currency)))
    story.applied(wrong, "its rollback, which names 70")
    story.must_hold(before, "a rollback that names another amount")


@wallet_rule(
    "rollback-by-another-player-moves-nothing",
    Tier.SILVER,
    "A rollback of another player's bet moves nothing",
    expects="a definite answer, and both balances unchanged",
)
def rollback_by_another_player_moves_nothing(story: Story) -> None:
    """Money goes back to whom it came from, or stays.

    The second test player's rollback names the first one's bet. It is usually broken by a wallet that finds the bet by
    its id and pays whoever asks. The first player's own rollback has to work after it.
    """
    first, second = story.player(0), story.player(1)
    before, others = story.balance(first), story.balance(second)
    bet = story.bet("bet", 7)
    story.applied(bet, "a bet of the first player")
    reply = story.ask(story.undo(evolve(bet, player=second), "not mine"), "its rollback by the second player")
    if not isinstance(reply, WalletApplied | WalletRefused):
        story.broken(f"the rollback of another player's bet {told(reply)}")
    story.must_hold(before - 7, "another player's rollback", first)
    story.must_hold(others, "a rollback of somebody else's bet", second)
    story.applied(story.undo(bet), "its rollback by the first player")
    story.must_hold(before, "the right rollback after a wrong one", first)


@wallet_rule(
    "rollback-of-a-spent-win-is-accepted",
    Tier.SILVER,
    "A win that the player has spent can be rolled back",
    expects="a deficit that the next credit pays, or a rollback that is recorded and moves nothing",
)
def rollback_of_a_spent_win_is_accepted(story: Story) -> None:
    """A provider that paid by mistake takes it back days later; the player may have spent it.

    A win is paid, everything is staked, the win is rolled back, and the stake is given back. After that the player has
    what was there in the beginning (a deficit, paid by the next credit) or the win in addition (a rollback that is
    recorded alone); the run tells which, as `rollback_shortfall`. It is usually broken by an error that makes the hub
    ask for ever, or by a deficit that is forgotten at zero. The test player needs to be free of bet limits.
    """
    before = story.balance()
    win, stake = story.win("win", 50), story.bet("everything", before + 50)
    story.applied(win, "a win of 50")
    story.applied(stake, "a bet of everything", "The test player may have no limits.")
    title = "the rollback of a win that was spent"
    reply = story.ask(story.undo(win), title)
    match reply:
        case WalletApplied(nothing_moved=False):
            kept, shortfall = 0, RollbackShortfall.DEFICIT
        case WalletApplied() | WalletRefused(reason=DeclineReason.INSUFFICIENT_FUNDS):
            kept, shortfall = 50, RollbackShortfall.RECORD
        case _:
            story.broken(f"{title} {told(reply)}")
    story.must_hold(0, title)
    story.applied(story.undo(stake), "the rollback of the bet of everything")
    story.must_hold(before + kept, f"{title}, and credits that pay for it")
    story.bench.facts[SHORTFALL] = shortfall.value


@wallet_rule(
    "win-after-the-session-is-paid",
    Tier.SILVER,
    "A win is paid after the session's end",
    expects="success, and the balance raised by the win",
)
def win_after_the_session_is_paid(story: Story) -> None:
    """A win can come days after the player left, and is owed.

    A win is sent with the token of a session that has ended, or, if the run was given none, with one that the wallet
    does not know, as it would if it had deleted the session. It is usually broken by a check of the session that
    stands before every operation. Only bets may be refused for the session's sake.
    """
    before, win = story.balance(), story.win("win", 7)
    late = evolve(win, player=story.player_of_an_ended_session())
    story.applied(late, "a win after the session's end")
    story.must_hold(before + 7, "a win after the session's end")


@wallet_rule(
    "rollback-after-the-session-is-done",
    Tier.SILVER,
    "A rollback is done after the session's end",
    expects="success, and the bet given back",
)
def rollback_after_the_session_is_done(story: Story) -> None:
    """A bet can be rolled back days after the player left.

    A bet is sent with a live session, its rollback with one that has ended or is unknown. It is usually broken by a
    check of the session that stands before every operation.
    """
    before, bet = story.balance(), story.bet("bet", 7)
    story.applied(bet, "a bet")
    late = evolve(story.undo(bet), player=story.player_of_an_ended_session())
    story.applied(late, "its rollback after the session's end")
    story.must_hold(before, "a rollback after the session's end")
