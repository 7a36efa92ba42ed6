"""What a connection to Tom Horn Gaming may be set to.

Where `reference/protocols/tomhorn.md` leaves a question open (section "Open questions"), the answer is a setting here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from attrs import field, frozen

from croupier.contract.errors import SettingsError
from croupier.contract.fields import is_address

SECRET: Final = "secret_key"  # noqa: S105 # the name of the secret, not its value

DepositKind = Literal["win", "jackpot_win", "promo_win"]


@frozen(kw_only=True)
class TomhornSettings:
    """One connection's settings.

    Attributes:
        partner_id: The casino's id with the provider; a request that names another one is answered 4.
        api_url: The provider's host as an address: `/services/gms/...` and `/Integration/...` stand behind it.
        encoding: How the hub's own calls are written; the provider's are understood in both codecs always.
        integration_namespace: The namespace of the integration service, from its WSDL; needed for `encoding = "soap"`.
        launch: How real-money games start: by the parameters that a client-side loader embeds (`GetModuleInfo`), or by
            an address (`GetGameLaunchToken` and `GameLauncher`).
        round_end: What ends a round: `isRoundEnd` of a Deposit, where the provider has enabled it for the account, or
            the hub's own reckoning (`settled`: every bet was paid or rolled back), which lets a round go on, too.
        duplicates: What a repeated reference is answered: `success`, or the documented `duplicate` (code 11),
            which the provider may not take for success; both with the transaction.
        transaction_id: What `Transaction.ID` tells: the hub's id of the movement, or the provider's own reference.
        general_error_rolls_back: Whether the account was set up so that code 1 on a Withdraw makes the provider roll
            back. If not, a Withdraw whose outcome is not known gets no answer of the protocol, as if it timed out.
        deposit_types: What the values of a Deposit's `type` mean; a type that is not named is a win.
    """

    partner_id: str
    api_url: str
    encoding: Literal["json", "soap"] = "json"
    integration_namespace: str = ""
    launch: Literal["parameters", "launcher"] = "parameters"
    round_end: Literal["flag", "settled"] = "flag"
    duplicates: Literal["success", "duplicate"] = "success"
    transaction_id: Literal["hub", "reference"] = "hub"
    general_error_rolls_back: bool = False
    deposit_types: Mapping[str, DepositKind] = field(factory=dict)

    def check(self) -> None:
        """Refuse what cannot work.

        Raises:
            SettingsError: `where` is the setting's path.
        """
        if not self.partner_id or not self.partner_id.isprintable():
            raise SettingsError("the provider must have given the partner's id", where="settings.partner_id")
        if not is_address(self.api_url) or set(self.api_url) & set("?#"):
            raise SettingsError("expected an address that begins with https://", where="settings.api_url")
        if self.encoding == "soap" and not self.integration_namespace:
            raise SettingsError("SOAP needs the namespace that the WSDL names", where="settings.integration_namespace")
        for number in self.deposit_types:
            if not (number.isascii() and number.isdigit()):
                raise SettingsError("a type is a whole number", where=f"settings.deposit_types.{number}")
