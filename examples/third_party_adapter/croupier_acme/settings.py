"""What a connection to Acme Games is configured with."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from croupier.contract import SettingsError, is_address

SECRET: Final = "signing_key"  # noqa: S105 # the name of the secret, not its value


@frozen(kw_only=True)
class AcmeSettings:
    """One connection's settings.

    Attributes:
        api_url: Acme's address for this casino, with its version.
        casino_id: The number that Acme gave the casino.
    """

    api_url: str
    casino_id: str

    def check(self) -> None:
        """Refuse what cannot work.

        Raises:
            SettingsError: `where` is the setting's path.
        """
        if not is_address(self.api_url) or set(self.api_url) & set("?#"):
            raise SettingsError("expected an address that begins with https://", where="settings.api_url")
        if not self.casino_id.isdigit():
            raise SettingsError("expected the number that Acme gave the casino", where="settings.casino_id")
