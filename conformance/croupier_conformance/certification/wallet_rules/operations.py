"""Bronze: every operation does what it says, to the minor unit."""

from __future__ import annotations

from attrs import evolve

from croupier.contract import (
    Currency,
    DeclineReason,
    Money,
    WalletApplied,
    WalletAuthenticate,
    WalletBalance,
    WalletMove,
    WalletRefused,
)
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.wallet_story import Story, told, wallet_rule

SESSION_IS_OVER = (DeclineReason.SESSION_EXPIRED, DeclineReason.SESSION_UNKNOWN)
NOT_ENOUGH = (DeclineReason.INSUFFICIENT_FUNDS, DeclineReason.BET_LIMIT, DeclineReason.LOSS_LIMIT)


@wallet_rule(
    "balance-is-told",
    Tier.BRONZE,
    "The balance is told, and asking changes nothing",
    expects="the balance of each test player, the same when it is asked for again",
)
def balance_is_told(story: Story) -> None:
    """Games show the balance before the first bet, and every other rule counts with it.

    Each test player's balance is asked for twice. It is usually broken by a balance in major units where minor units
    are wanted, or told in another currency; such an answer is not believed. It has to be told after the session's
    end, too, unless the protocol ties it to a session: then a definite refusal is as good.
    """
    for number in range(2):
        player = story.player(number)
        story.must_hold(story.balance(player), "asking for the balance", player)
    ended = story.player_of_an_ended_session()
    if not story.subject.dialect.spec.balance_needs_session:
        story.balance(ended)
        return
    title = "the balance after the session's end"
    reply = story.ask(WalletBalance(player=ended), title)
    is_refused = isinstance(reply, WalletRefused) and reply.reason in SESSION_IS_OVER
    if not (is_refused or isinstance(reply, WalletApplied)):
        story.broken(f"{title}: expected it, or a refusal for the session's sake, but it {told(reply)}")


@wallet_rule(
    "session-is-confirmed",
    Tier.BRONZE,
    "A live session is confirmed, with the balance",
    expects="authenticate is answered with the player's balance",
)
def session_is_confirmed(story: Story) -> None:
    """A provider asks who plays before the game opens.

    The first test player's session is confirmed, and the balance told with it compared with the one that is asked for.
    It is usually broken by a session token that is used up by the first question: a player who reloads the page asks
    again, so the rule asks twice.
    """
    player = story.player()
    for _ in range(2):
        reply = story.applied(WalletAuthenticate(player=player), "authenticate", "Is the session of this player live?")
        if reply.balance is not None and reply.balance.cash.minor != story.balance(player):
            story.broken("authenticate tells another balance than balance does")


@wallet_rule(
    "bet-takes-its-amount",
    Tier.BRONZE,
    "A bet takes exactly its amount",
    expects="each bet lowers the balance by its amount, and its answer tells the balance after it",
)
def bet_takes_its_amount(story: Story) -> None:
    """What a bet takes is what the game shows.

    Two bets of one round are sent, and the balance is read after each. It is usually broken by an amount that is read
    in the wrong unit, or by an answer that tells the balance from before the bet. An answer that names another
    transaction than the request is not believed, and breaks this rule as well.
    """
    before = story.balance()
    for name, minor, left in (("first", 7, before - 7), ("second", 13, before - 20)):
        _done(story, story.bet(name, minor), left)


@wallet_rule(
    "win-pays-its-amount",
    Tier.BRONZE,
    "A win pays exactly its amount",
    expects="each win raises the balance by its amount, and its answer tells the balance after it",
)
def win_pays_its_amount(story: Story) -> None:
    """What a player won is what the player gets, in one win or in several of a round.

    Two wins of one bet are sent, and one that belongs to no bet, as promotions pay them. It is usually broken by a
    wallet that takes the second win of a round for a repeat of the first: what makes a repeat is the transaction's id,
    never the round's.
    """
    bet = story.bet("bet", 7)
    before = story.balance()
    _done(story, bet, before - 7)
    _done(story, story.win("first", 3, bet=bet), before - 4)
    _done(story, story.win("second", 11, bet=bet), before + 7)
    _done(story, story.win("of no bet", 5), before + 12)


@wallet_rule(
    "rollback-of-a-bet-gives-back",
    Tier.BRONZE,
    "A rolled back bet is given back whole",
    expects="the balance is as before the bet",
)
def rollback_of_a_bet_gives_back(story: Story) -> None:
    """A bet whose round never began has to be given back.

    A bet is sent and rolled back; its neighbour in the round stands. It is usually broken by a rollback that undoes
    the whole round, or that looks for the bet under the rollback's own id instead of under `target`.
    """
    before = story.balance()
    _done(story, story.bet("stands", 11), before - 11)
    bet = story.bet("undone", 7)
    _done(story, bet, before - 18)
    _done(story, story.undo(bet), before - 11)


@wallet_rule(
    "rollback-of-a-win-takes-back",
    Tier.BRONZE,
    "A rolled back win is taken back whole",
    expects="the balance is as before the win",
)
def rollback_of_a_win_takes_back(story: Story) -> None:
    """Providers take back wins that were paid by mistake.

    A win is sent and rolled back. It is usually broken by a wallet that knows rollbacks of bets only and pays the
    amount a second time: the sign follows from what is undone, not from the word rollback.
    """
    before = story.balance()
    win = story.win("win", 9)
    _done(story, win, before + 9)
    _done(story, story.undo(win), before)


@wallet_rule(
    "own-ids-differ",
    Tier.BRONZE,
    "Each movement has an id of the wallet's own",
    expects="two bets have two ids of the wallet's own, where it tells any",
)
def own_ids_differ(story: Story) -> None:
    """Support and reconciliation find a movement on both sides by two ids.

    Two bets are sent and the wallet's own ids compared. It is usually broken by an id of the request or of the player
    in the place of the movement's.
    """
    told = []
    for name in ("first", "second"):
        bet = story.bet(name, 2)
        told.append(story.applied(bet, f"the {name} bet").operator_transactions.get(bet.movement.transaction))
    if told[0] is not None and told[0] == told[1]:
        story.broken(f"two bets have the same id of the wallet's own: {told[0]}")


@wallet_rule(
    "insufficient-funds-are-refused",
    Tier.BRONZE,
    "A bet that the player cannot pay is refused whole",
    expects="a definite refusal with insufficient_funds, and the balance unchanged",
)
def insufficient_funds_are_refused(story: Story) -> None:
    """A player never bets more than there is, and a refusal has to be definite: else the hub takes it for trouble.

    A bet of one minor unit more than the balance is sent. It is usually broken by an answer with an HTTP error, which
    tells the hub nothing, or by a wallet that takes what there is.
    """
    before = story.balance()
    story.refused(story.bet("too much", before + 1), "a bet of one more than the balance", NOT_ENOUGH)
    story.must_hold(before, "a refused bet")


@wallet_rule(
    "unknown-player-is-refused",
    Tier.BRONZE,
    "An unknown player is refused",
    expects="a definite refusal with player_unknown, for a balance as for a bet",
)
def unknown_player_is_refused(story: Story) -> None:
    """A wrong id must not open an account.

    A balance, a bet and a win of a player that nobody has are asked for. It is usually broken by a wallet that makes
    an account of whoever is named, or that fails with an HTTP error.
    """
    nobody = evolve(story.player(), player=f"nobody-{story.id('nobody')}")
    reasons = (DeclineReason.PLAYER_UNKNOWN, DeclineReason.SESSION_UNKNOWN)
    story.refused(WalletBalance(player=nobody), "the balance of an unknown player", reasons)
    story.refused(story.bet("bet", 1, player=nobody), "a bet of an unknown player", reasons)
    win = story.win("win", 1)
    story.refused(evolve(win, player=nobody), "a win of an unknown player", reasons)


@wallet_rule(
    "foreign-currency-is-refused",
    Tier.BRONZE,
    "A currency that is not the player's is refused",
    expects="a definite refusal with currency_wrong, and the balance unchanged",
)
def foreign_currency_is_refused(story: Story) -> None:
    """Seven yen are not seven euros.

    A bet and a win in a currency that is not the test player's are sent. It is usually broken by a wallet that reads
    the amount and not the currency.
    """
    player, before = story.player(), story.balance()
    code, scale = ("JPY", 0) if player.currency.code != "JPY" else ("EUR", 2)
    foreign = evolve(player, currency=Currency(code, scale))
    for move in (story.bet("bet", 1), story.win("win", 1)):
        amount = Money(1, foreign.currency)
        call = WalletMove(player=foreign, context=move.context, movement=evolve(move.movement, amount=amount))
        title = f"a {move.movement.operation.value} in {code}"
        story.refused(call, title, (DeclineReason.CURRENCY_WRONG,))
        story.must_hold(before, title)


def _done(story: Story, move: WalletMove, left: int) -> None:
    """A movement is applied, and its answer and the wallet tell this balance."""
    title = f"a {move.movement.operation.value} of {move.movement.amount.minor} minor units"
    reply = story.applied(move, title)
    if reply.balance is not None and reply.balance.cash.minor != left:
        story.broken(f"{title}: the answer tells {reply.balance.cash.minor} minor units, expected {left}")
    if reply.nothing_moved:
        story.broken(f"{title}: the answer says that nothing moved")
    story.must_hold(left, title)
