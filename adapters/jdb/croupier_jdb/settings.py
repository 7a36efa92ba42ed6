"""What a connection to JDB is configured with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from attrs import Factory, frozen

from croupier.contract import AmountError, SettingsError, WireAmount, is_address

KEY: Final = "key"
IV: Final = "iv"


@frozen(kw_only=True)
class JdbSettings:
    """One connection's settings.

    Attributes:
        api_url: The provider's address; `/apiRequest.do` below it takes the hub's calls.
        domain: The customer's domain code, `dc` in every call to the provider.
        agents: The agent's account (`parent`) for each currency, by JDB's own code of the currency. An agent has one
            currency; the first one is asked for the list of games, and for the log where a query names none.
        own_keys: Whether the agents have a key and an iv of their own: then `parent` also stands beside `x`.
        currencies: What JDB's codes of currencies mean, where they are no ISO codes: JDB's code to the hub's.
        languages: JDB's word for a language, where it is not its two letters.
        free_spins: What free spins are given for: the base game, or a feature that can be bought.
        min_withdrawal: The least that free spins pay out, in major units; -1 for no limit.
        max_withdrawal: The most that free spins pay out, in major units; -1 for no limit.
        report_offset_hours: The offset from UTC of the times in JDB's reports.
    """

    api_url: str
    domain: str
    agents: Mapping[str, str]
    own_keys: bool = False
    currencies: Mapping[str, str] = Factory(lambda: {"RB": "CNY", "RM": "MYR"})
    languages: Mapping[str, str] = Factory(dict)
    free_spins: Literal["NORMAL", "FEATURE"] = "NORMAL"
    min_withdrawal: str = "-1"
    max_withdrawal: str = "-1"
    report_offset_hours: int = -4

    def check(self) -> None:
        """Refuse what cannot work.

        Raises:
            SettingsError: `where` is the setting's path.
        """
        if not is_address(self.api_url) or set(self.api_url) & set("?#"):
            raise SettingsError("expected an address that begins with https://", where="settings.api_url")
        if not self.domain:
            raise SettingsError("the provider must have given a domain code", where="settings.domain")
        if not self.agents or not all([*self.agents, *self.agents.values()]):
            raise SettingsError("expected an agent for each currency", where="settings.agents")
        if len(set(self.agents.values())) != len(self.agents):
            raise SettingsError("an agent has one currency", where="settings.agents")
        if not all([*self.currencies, *self.currencies.values()]):
            raise SettingsError("expected JDB's code and the hub's", where="settings.currencies")
        if not -14 <= self.report_offset_hours <= 14:
            raise SettingsError("expected hours from -14 to 14", where="settings.report_offset_hours")
        for name in ("min_withdrawal", "max_withdrawal"):
            try:
                WireAmount.of(getattr(self, name))
            except AmountError as error:
                raise SettingsError(error.message, where=f"settings.{name}") from None
