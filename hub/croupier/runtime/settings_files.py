"""The files that the settings name: whether a start would be able to use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from attrs import asdict

from croupier.contract import SettingsError
from croupier.runtime.serving import listener_tls
from croupier.runtime.settings import Settings, SettingsProblem, load_settings
from croupier.runtime.toml_lines import line_of


def check_files(file: Path) -> tuple[SettingsProblem, ...]:
    """Everything that is wrong with the files that a right settings file names; empty if nothing is.

    Keys that come from the environment are not looked for: the hub may have another environment.

    Raises:
        SettingsError: The settings themselves are wrong.
    """
    text = file.read_text("utf-8")
    found = []
    for use in _uses(load_settings(file)):
        try:
            use()
        except SettingsError as error:
            path = error.where or ""
            found.append(SettingsProblem(path, line_of(text, path.split(".")), error.message))
    return tuple(found)


def _uses(settings: Settings) -> Iterator[Callable[[], object]]:
    yield settings.secrets.check_files
    for name, listener in asdict(settings.listeners, recurse=False).items():
        if listener is not None:
            yield partial(listener_tls, listener, name)
    yield settings.outgoing.tls().context
    yield settings.packages.certificate_rule
