"""Every hook of the hub. A hook hands over typed records at start; nothing of pluggy runs for a bet.

A package implements a hook in a module that one of its entry points names:

| group of entry points | name | when it is imported | for |
|---|---|---|---|
| `croupier.adapters` | the adapter's slug | when a connection uses it, or somebody asks | game providers |
| `croupier.plugins` | the plugin's name | when the hub starts | everything else |

A package that cannot be imported, or hands over something that is not right, is put in quarantine as a whole and
reported with its distribution, version and the reason (`croupier adapters list`); the hub and all other packages go on.

A hook that this version of the hub does not know is an error, unless it is marked `@hookimpl(optionalhook=True)`:
so a plugin can serve several versions of the hub.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from croupier.contract import AdapterSpec, DialectSpec, SinkSpec

hookspec = pluggy.HookspecMarker("croupier")

# pluggy never calls a specification: the bodies are there for the type checker.


@hookspec
def croupier_adapters() -> Iterable[AdapterSpec]:
    """The adapters of game providers that the package brings.

    Of a module that an entry point in `croupier.adapters` names, the specs' slugs are the names of the entry points
    that name this module: no more, no less.

    Example:
        In `pyproject.toml`:

        ```toml
        [project.entry-points."croupier.adapters"]
        acme = "croupier_acme.plugin"
        ```

        In `croupier_acme/plugin.py`:

        ```python
        from croupier import hookimpl
        from croupier.contract import AdapterSpec
        from croupier_acme.adapter import SPEC  # slug="acme"

        @hookimpl
        def croupier_adapters() -> list[AdapterSpec]:
            return [SPEC]
        ```
    """
    return ()


@hookspec
def croupier_wallet_dialects() -> Iterable[DialectSpec]:
    """The wallet protocols of operators that the package brings. Only packages in `croupier.plugins` may.

    Example:
        In `pyproject.toml`:

        ```toml
        [project.entry-points."croupier.plugins"]
        wallet_acme = "croupier_wallet_acme.plugin"
        ```

        In `croupier_wallet_acme/plugin.py`:

        ```python
        from croupier import hookimpl
        from croupier.contract import DialectSpec
        from croupier_wallet_acme.dialect import SPEC  # slug="acme"

        @hookimpl
        def croupier_wallet_dialects() -> list[DialectSpec]:
            return [SPEC]
        ```
    """
    return ()


@hookspec
def croupier_event_sinks() -> Iterable[SinkSpec]:
    """The event sinks that the package brings. Only packages in `croupier.plugins` may.

    Example:
        In `pyproject.toml`:

        ```toml
        [project.entry-points."croupier.plugins"]
        sink_acme = "croupier_sink_acme.plugin"
        ```

        In `croupier_sink_acme/plugin.py`:

        ```python
        from croupier import hookimpl
        from croupier.contract import SinkSpec
        from croupier_sink_acme.sink import SPEC  # slug="acme"

        @hookimpl
        def croupier_event_sinks() -> list[SinkSpec]:
            return [SPEC]
        ```
    """
    return ()
