"""What an adapter, a dialect or a wallet says it can do. The hub never calls what is not declared."""

from __future__ import annotations

from enum import Enum, unique
from typing import Self


@unique
class Capability(Enum):
    """One ability of an adapter; the conformance kit tests what is declared and collects nothing else."""

    AUTHENTICATE = "authenticate"
    """The provider exchanges a launch token for the player's facts."""
    PLAYER_LOOKUP = "player_lookup"
    """The provider asks for facts about a player whom it knows."""
    BALANCE = "balance"
    """The provider asks for the balance."""
    BET = "bet"
    """Debits."""
    WIN = "win"
    """Credits."""
    BET_AND_WIN = "bet_and_win"
    """A bet and its win in one request, as two movements or as one net movement."""
    BATCH = "batch"
    """Several movements in one request."""
    ROLLBACK_BET = "rollback_bet"
    """The provider can undo a bet."""
    ROLLBACK_WIN = "rollback_win"
    """The provider can undo a win."""
    ADJUSTMENT = "adjustment"
    """Signed corrections."""
    STAKE_TRANSFER = "stake_transfer"
    """Money moves into the game and back as a stake; it is not turnover."""
    TIP = "tip"
    """The player tips a dealer."""
    CLOSE_ROUND = "close_round"
    """A request that ends a round without money."""
    PROMO_WIN = "promo_win"
    """Promotion and tournament wins outside rounds."""
    JACKPOT_WIN = "jackpot_win"
    """Jackpot wins as movements of their own."""
    BONUS_WIN = "bonus_win"
    """Free rounds paid as one total at their end."""
    FREE_BET = "free_bet"
    """Bets of free rounds are sent, and charge nothing."""
    QUERY = "query"
    """The provider asks for the record of a transaction or a round."""
    LAUNCH = "launch"
    LAUNCH_DEMO = "launch_demo"
    GAME_LIST = "game_list"
    BET_SCALES = "bet_scales"
    FREE_ROUNDS_ISSUE = "free_rounds_issue"
    FREE_ROUNDS_CANCEL = "free_rounds_cancel"
    FREE_ROUNDS_LIST = "free_rounds_list"
    ROUND_REPLAY = "round_replay"
    TRANSACTION_LOG = "transaction_log"
    """A log with a row a transaction."""
    ROUND_LOG = "round_log"
    """A log with a row a round."""
    END_SESSION = "end_session"
    CANCEL_ROUND = "cancel_round"

    @classmethod
    def of(cls, words: str) -> frozenset[Self]:
        """Several by their values, parted by white space: `Capability.of("bet win rollback_bet")`.

        Raises:
            ValueError: A word is no capability.
        """
        return frozenset(map(cls, words.split()))


@unique
class WalletCapability(Enum):
    """One ability of an operator's wallet behind a dialect."""

    ATOMIC_BATCH = "atomic_batch"
    """Several movements in one call, all or none."""
    TRANSACTION_STATUS = "transaction_status"
    """The wallet says what became of a transaction id."""
    TOMBSTONES = "tombstones"
    """A rollback of an unknown transaction is remembered: a late original moves nothing."""
    ZERO_AMOUNT = "zero_amount"
    """Movements of zero are accepted and recorded."""
    ROUND_END = "round_end"
    """The wallet wants to hear that a round ended."""
    ADJUSTMENT = "adjustment"
    """Debits that may not be refused for lack of funds."""
