"""Languages in the provider's style, `en_GB` (`reference/protocols/playngo.md`, section "Operator → provider")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_REGIONS: Final[Mapping[str, str]] = {
    "ar": "AE",
    "cs": "CZ",
    "da": "DK",
    "el": "GR",
    "en": "GB",
    "et": "EE",
    "ja": "JP",
    "ka": "GE",
    "ko": "KR",
    "nb": "NO",
    "pt": "PT",
    "sl": "SI",
    "sq": "AL",
    "sr": "RS",
    "sv": "SE",
    "uk": "UA",
    "vi": "VN",
    "zh": "CN",
}
"""The region of languages that are not called like their first country."""


def locale(language: str, overrides: Mapping[str, str]) -> str:
    """A language in the provider's style.

    Args:
        language: ISO 639-1, or with a region.
        overrides: What a connection calls languages whose region is not told.

    Example:
        >>> locale("en-US", {}), locale("sv", {}), locale("de", {}), locale("en", {"en": "en_MT"})
        ('en_US', 'sv_SE', 'de_DE', 'en_MT')
    """
    name, _, region = language.replace("_", "-").partition("-")
    name = name.lower()
    if region:
        return f"{name}_{region.upper()}"
    return overrides.get(name) or f"{name}_{_REGIONS.get(name, name.upper())}"
