"""How values are made that only the hub makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

__all__ = ["immutable"]

if TYPE_CHECKING:
    from attrs import frozen as immutable
else:

    def immutable(cls: type | None = None, **options: Any) -> Any:
        """`attrs.frozen`, held by the type checker alone.

        Every line of the hub is checked. To freeze a value at run time too is a call for each of its attributes, more
        than two hundred for a bet. What adapters and dialects make, and what is shared, is frozen at run time.
        """
        return attrs.define(cls, unsafe_hash=options.get("eq", True), **options)
