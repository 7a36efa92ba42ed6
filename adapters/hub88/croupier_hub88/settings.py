"""What a connection to Hub88 is configured with; every default is explained in the package's README."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from croupier.contract.errors import SettingsError
from croupier.contract.fields import check_base_address
from croupier.contract.secrets import SecretField
from croupier_hub88.wire import read_private, read_public

PRIVATE_KEY: Final = "private_key"
PUBLIC_KEY: Final = "provider_public_key"

SECRETS: Final = (
    SecretField(PRIVATE_KEY, "The hub's own RSA key in PEM; Hub88 has its public half.", check=read_private),
    SecretField(PUBLIC_KEY, "The public RSA key of Hub88 in PEM, which proves its calls.", check=read_public),
)

MOST_MINUTES: Final = 24 * 60


@frozen(kw_only=True)
class Hub88Settings:
    """One connection's settings.

    Attributes:
        api_url: The provider's address; `/operator/generic/v2/...` lies below it.
        operator_id: The operator's number with Hub88, sent with every call to it.
        sub_partner_id: The brand's name with Hub88, or nothing where the operator has one brand alone.
        charge_free_bets: Whether an `is_free` bet is charged like any other. By default its amount is a value that
            nobody is charged, and it belongs to the free rounds that `reward_uuid` names.
        reward_reference: The field in which the hub's own reference of free rounds goes to Hub88 and comes back.
        log_window_minutes: How long a time one request for the log of transactions asks for, 1 to 1440.
    """

    api_url: str
    operator_id: int
    sub_partner_id: str | None = None
    charge_free_bets: bool = False
    reward_reference: str = "operator_reference"
    log_window_minutes: int = 60

    def check(self) -> None:
        """Refuse what cannot work.

        Raises:
            SettingsError: `where` is the setting's path.
        """
        check_base_address(self.api_url, "settings.api_url")
        if self.operator_id < 1:
            raise SettingsError("expected the number that Hub88 gave", where="settings.operator_id")
        if self.sub_partner_id == "":
            raise SettingsError("expected a brand's name, or no such setting", where="settings.sub_partner_id")
        if not self.reward_reference.isidentifier():
            raise SettingsError("expected the name of a field", where="settings.reward_reference")
        if not 1 <= self.log_window_minutes <= MOST_MINUTES:
            raise SettingsError(f"expected 1 to {MOST_MINUTES} minutes", where="settings.log_window_minutes")
