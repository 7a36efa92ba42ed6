"""Where an operator's wallet is, and which variant of the protocol it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, unique
from typing import Final

from attrs import field, frozen

from croupier.contract import SettingsError, check_base_address, check_path

MAX_DIGITS: Final = 18


@unique
class AmountForm(Enum):
    """How amounts and balances are written."""

    SUBUNITS = "subunits"
    """Whole numbers of the currency's subunit (`reference/protocols/softswiss.md`, "Amounts")."""
    DECIMAL = "decimal"
    """Decimal text in major units (`reference/wallet-semantics.md`, section 4, row "A8R v2")."""


@frozen(kw_only=True)
class SoftswissWalletSettings:
    """One operator's wallet.

    Attributes:
        url: The absolute address under which the paths are, without query.
        play_path: The path of bets, wins, balances and ends of rounds.
        rollback_path: The path of rollbacks.
        amounts: How amounts are written.
        subunits: Currency code to digits, for currencies whose subunit on the wire is not the hub's own minor unit:
            `{"ETH": 18}` makes one ETH 10**18 on the wire. Only for `subunits`.
        zero_wins: Whether a win of zero is sent as an action. Without it, it is told as `finished` if it ends the
            round, and else asks for the balance.
        lobby: The game that is named where the hub knows none, as in a balance before a game.
    """

    url: str = field()
    play_path: str = field(default="/play")
    rollback_path: str = field(default="/rollback")
    amounts: AmountForm = AmountForm.SUBUNITS
    subunits: Mapping[str, int] = field(factory=dict)
    zero_wins: bool = True
    lobby: str = "croupier:lobby"

    @url.validator
    def _url_is_absolute(self, _attribute: object, value: str) -> None:
        check_base_address(value, "url")

    @play_path.validator
    def _play_path_is_a_path(self, _attribute: object, value: str) -> None:
        check_path(value, "play_path")

    @rollback_path.validator
    def _rollback_path_is_a_path(self, _attribute: object, value: str) -> None:
        check_path(value, "rollback_path")
        if value == self.play_path:
            raise SettingsError("bets and rollbacks have different paths", where="rollback_path")

    @subunits.validator
    def _subunits_have_digits(self, _attribute: object, value: Mapping[str, int]) -> None:
        for code, digits in value.items():
            if not 0 <= digits <= MAX_DIGITS:
                raise SettingsError(f"a subunit has 0 to {MAX_DIGITS} digits", where=f"subunits.{code}")
        if value and self.amounts is AmountForm.DECIMAL:
            raise SettingsError("decimal amounts have no subunits", where="subunits")

    def address(self, path: str) -> str:
        """The absolute address of a path."""
        return self.url.rstrip("/") + path
