"""What a connection to SOFTSWISS is configured with; every default is explained in the package's README."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, unique
from typing import Final

from attrs import field, frozen

from croupier.contract.errors import SettingsError
from croupier.contract.fields import is_address
from croupier.contract.money import MINOR, Unit

MAX_SUBUNIT_DIGITS: Final = 18
MAX_TIMESTAMP_DIGITS: Final = 6


@unique
class CatalogueFormat(Enum):
    """How the provider's catalogue files are written."""

    JSON = "json"
    YAML = "yaml"


@frozen(kw_only=True)
class SoftswissSettings:
    """One connection's settings.

    Attributes:
        api_url: The provider's address; `/sessions`, `/demo`, `/freespins/issue` and `/freespins/cancel` lie below it.
        casino_id: The casino's name with the provider, sent with every call to it.
        catalogue_urls: The resource addresses of the catalogue files, most often one for each studio.
        catalogue_format: How these files are written.
        callback_prefix: A path that stands before `/play`, `/rollback` and `/freespins`; empty, or `/wallet` say.
        subunits: Currency code to digits, for currencies whose subunit on the wire is not the hub's own minor unit
            (crypto): `{"ETH": 18}` makes one ETH 10**18 on the wire.
        processed_at_digits: Digits of a second in `processed_at`, 0 to 6; more are cut.
        final_statuses: Words in `/freespins` by which free rounds have ended: the total is credited, once.
        ongoing_statuses: Words in `/freespins` by which they go on: nothing is credited.
    """

    api_url: str
    casino_id: str
    catalogue_urls: tuple[str, ...] = ()
    catalogue_format: CatalogueFormat = CatalogueFormat.JSON
    callback_prefix: str = ""
    subunits: Mapping[str, int] = field(factory=dict)
    processed_at_digits: int = 3
    final_statuses: tuple[str, ...] = ("played", "finished", "expired", "canceled", "cancelled")
    ongoing_statuses: tuple[str, ...] = ("active",)

    def check(self) -> None:
        """Refuse what cannot work.

        Raises:
            SettingsError: `where` is the setting's path.
        """
        addresses = {f"catalogue_urls[{index}]": address for index, address in enumerate(self.catalogue_urls)}
        for name, address in {"api_url": self.api_url, **addresses}.items():
            if not is_address(address):
                raise SettingsError("expected an address that begins with https://", where=f"settings.{name}")
        if not self.casino_id:
            raise SettingsError("the provider must have named the casino", where="settings.casino_id")
        prefix = self.callback_prefix
        if prefix and (not prefix.startswith("/") or prefix.endswith("/") or set(prefix) & set("?#")):
            raise SettingsError("expected a path like /wallet, or nothing", where="settings.callback_prefix")
        for code, digits in self.subunits.items():
            if not 0 <= digits <= MAX_SUBUNIT_DIGITS:
                raise SettingsError(f"expected 0 to {MAX_SUBUNIT_DIGITS} digits", where=f"settings.subunits.{code}")
        if not 0 <= self.processed_at_digits <= MAX_TIMESTAMP_DIGITS:
            raise SettingsError(f"expected 0 to {MAX_TIMESTAMP_DIGITS}", where="settings.processed_at_digits")
        both = {word.lower() for word in self.final_statuses} & {word.lower() for word in self.ongoing_statuses}
        if both:
            raise SettingsError(f"{min(both)!r} is also an ongoing status", where="settings.final_statuses")

    def unit(self, currency: str) -> Unit:
        """What one step of an amount in a currency is worth: the hub's minor unit unless a setting says otherwise."""
        digits = self.subunits.get(currency)
        return MINOR if digits is None else Unit(-digits)

    def is_final(self, status: str) -> bool:
        """Whether free rounds with this status have ended."""
        return status.lower() in {word.lower() for word in self.final_statuses}

    def is_ongoing(self, status: str) -> bool:
        """Whether free rounds with this status go on."""
        return status.lower() in {word.lower() for word in self.ongoing_statuses}
