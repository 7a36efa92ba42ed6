"""What may stand in a request head: anything else could be read as another request on the wire."""

from __future__ import annotations

import re
from typing import Final

URL: Final = re.compile(r"https?://[\x21-\x7e]+")
"""An absolute URL as it is written in a request; whoever has other characters escapes them before."""

HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token (RFC 9110, section 5.6.2)."""

HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
"""Visible characters, spaces and tabs (RFC 9110, section 5.5)."""
