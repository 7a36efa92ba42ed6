"""Where an operator's wallet is, and what its family of the protocol calls things."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, unique
from typing import Final

from attrs import field, frozen

from croupier.contract import LateOriginal, SettingsError, check_base_address, check_path

PATHS: Final[Mapping[str, str]] = {
    "info": "/user/info",
    "balance": "/user/balance",
    "bet": "/transaction/bet",
    "win": "/transaction/win",
    "rollback": "/transaction/rollback",
}
"""Every operation's path (`reference/protocols/hub88.md`, "Transport & encoding")."""

SIGNATURE_HEADER: Final = "X-Hub88-Signature"

_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)


@unique
class AuthenticateBy(Enum):
    """What is asked when a provider wants to know who plays."""

    BALANCE = "balance"
    """`/user/balance` with the token: the wallet confirms the session and tells the balance."""
    INFO = "info"
    """`/user/info`, which has no token: the wallet tells the player's country and jurisdiction."""


@frozen(kw_only=True)
class Hub88WalletSettings:
    """One operator's wallet.

    Attributes:
        url: The absolute address under which the paths are, without query.
        paths: Operation (`info`, `balance`, `bet`, `win`, `rollback`) to its path, for those that differ.
        signature_header: The header field of the proof: sister protocols name it `X-Signature` or `X-Auth-Signature`.
        authenticate: What is asked when a provider wants to know who plays.
        late_original: How the wallet answers a bet or win that comes after its rollback: with
            `RS_ERROR_TRANSACTION_ROLLED_BACK` (`decline`) or with `RS_OK` (`accept`); money may move neither way.
    """

    url: str = field()
    paths: Mapping[str, str] = field(factory=dict)
    signature_header: str = field(default=SIGNATURE_HEADER)
    authenticate: AuthenticateBy = AuthenticateBy.BALANCE
    late_original: LateOriginal = LateOriginal.DECLINE

    @url.validator
    def _url_is_absolute(self, _attribute: object, value: str) -> None:
        check_base_address(value, "url")

    @paths.validator
    def _paths_are_of_operations(self, _attribute: object, value: Mapping[str, str]) -> None:
        for name, path in value.items():
            if name not in PATHS:
                raise SettingsError(
                    "there is no such operation", where=f"paths.{name}", hint=f"known: {', '.join(sorted(PATHS))}"
                )
            check_path(path, f"paths.{name}")
        if len({self.path(name) for name in PATHS}) < len(PATHS):
            raise SettingsError("each operation has a path of its own", where="paths")

    @signature_header.validator
    def _signature_header_is_a_name(self, _attribute: object, value: str) -> None:
        if not _HEADER.fullmatch(value):
            raise SettingsError("expected the name of a header field", where="signature_header")

    def path(self, operation: str) -> str:
        """The path of an operation."""
        return self.paths.get(operation, PATHS[operation])

    def address(self, operation: str) -> str:
        """The absolute address of an operation."""
        return self.url.rstrip("/") + self.path(operation)
