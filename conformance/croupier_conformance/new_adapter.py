"""A new adapter's package from templates: complete, in a starting protocol of one of four wire styles.

The templates are in `templates/adapter`: `package` and `tests` are of every style, `wire` has a module for each.
`croupier new-adapter` calls this.
"""

from __future__ import annotations

import importlib
import keyword
import sys
from collections.abc import Mapping, Sequence
from enum import Enum, unique
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from croupier import __version__
from croupier.contract import SettingsError

MAX_SLUG: Final = 30
MAX_NAME: Final = 40

_TEMPLATES: Final = "templates/adapter"
_RESERVED: Final = frozenset({"conformance"})
_QUOTING: Final = frozenset('"\\{}<>`')
"""What ends a text, or begins a mark-up, in what is written: templates put names in double quotes alone."""


@unique
class Style(Enum):
    """How a provider's messages look."""

    JSON_HMAC = "json-hmac"
    """JSON, with an HMAC of the body in a header; a path for every operation."""
    FORM_HASH = "form-hash"
    """Forms, with a hash over the sorted fields in a field; a path for every operation."""
    XML = "xml"
    """XML documents to one address, with an HMAC of the body in a header."""
    ACTIONS = "actions"
    """JSON with an action's code to one address, and a shared key in a header."""


@frozen(kw_only=True)
class _Wire:
    """What templates ask about a style.

    Attributes:
        proof: The member of `Proof`.
        minor: Whether amounts are whole numbers of the smallest unit.
        json_body: Whether requests are JSON.
        secret: The secret's name.
        secret_meaning: What it is.
        words: The style in a few words.
    """

    proof: str
    minor: bool
    json_body: bool
    secret: str
    secret_meaning: str
    words: str


_WIRES: Final[Mapping[Style, _Wire]] = {
    Style.JSON_HMAC: _Wire(
        proof="SIGNATURE",
        minor=True,
        json_body=True,
        secret="secret_key",  # noqa: S106 # a name
        secret_meaning="The key both sides sign with (HMAC-SHA256 over the body).",  # noqa: S106 # words
        words="JSON, proven by an HMAC of the body in a header",
    ),
    Style.FORM_HASH: _Wire(
        proof="FIELD_MAC",
        minor=False,
        json_body=False,
        secret="secret_key",  # noqa: S106 # a name
        secret_meaning="The key both sides hash with (SHA-256 over the sorted fields).",  # noqa: S106 # words
        words="forms, proven by a hash over their sorted fields",
    ),
    Style.XML: _Wire(
        proof="SIGNATURE",
        minor=False,
        json_body=False,
        secret="secret_key",  # noqa: S106 # a name
        secret_meaning="The key both sides sign with (HMAC-SHA256 over the body).",  # noqa: S106 # words
        words="XML to one address, proven by an HMAC of the body in a header",
    ),
    Style.ACTIONS: _Wire(
        proof="BEARER",
        minor=True,
        json_body=True,
        secret="shared_key",  # noqa: S106 # a name
        secret_meaning="The key that either side sends with every request.",  # noqa: S106 # words
        words="JSON with action codes to one address, proven by a shared key in a header",
    ),
}

TODO: Final[Mapping[str, str]] = {
    "published-vectors-stand": "take a message from the provider's own documents into transcripts, published = true",
}
"""Rules that no template can prove, because they ask for the provider's own material; each with what is missing."""


def write_adapter(slug: str, *, style: Style, name: str, out: Path) -> tuple[Path, ...]:
    """Write a package.

    Args:
        slug: The adapter's slug; the package is `croupier_<slug>`.
        style: The wire style.
        name: The provider's name for people.
        out: The package's folder; it is made if it is missing, and must be empty.

    Returns:
        The files that were written, in order.

    Raises:
        SettingsError: The slug or the name cannot be used, or the folder is not empty; `where` says which.
    """
    check_slug(slug)
    _check_name(name)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingsError("the folder is not empty", where=str(out), hint="name another with --out")
    written = []
    for path, text in _files(slug, style, name):
        file = out / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        written.append(file)
    return (*written, *_recorded(slug, out))


def check_slug(slug: str) -> None:
    """Refuse a slug that no new package can have.

    Raises:
        SettingsError: It cannot be used; the message says why.
    """
    plain = slug.isascii() and slug.replace("_", "a").isalnum() and slug == slug.lower() and slug[:1].isalpha()
    if not plain or not 2 <= len(slug) <= MAX_SLUG or slug.endswith("_") or "__" in slug:
        raise SettingsError(
            f"{slug[:64]!r} is no slug: 2 to {MAX_SLUG} lower-case letters, digits and single _, first a letter",
            where="slug",
        )
    if keyword.iskeyword(slug) or slug in _RESERVED:
        raise SettingsError(f"{slug!r} is reserved", where="slug")


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable() or set(name) & _QUOTING:
        raise SettingsError(f'a name has 1 to {MAX_NAME} printable characters, no " and no brackets', where="name")


def _files(slug: str, style: Style, name: str) -> list[tuple[str, str]]:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    root = resources.files("croupier_conformance") / _TEMPLATES
    templates = dict(_templates(root))
    environment = Environment(
        loader=FunctionLoader(lambda path: templates[path].read_text(encoding="utf-8")),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 # Python, TOML and Markdown: nothing of it is HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    major, minor = __version__.split(".")[:2]
    wire = _WIRES[style]
    facts: dict[str, Any] = {
        "slug": slug,
        "dashed": slug.replace("_", "-"),
        "package": f"croupier_{slug}",
        "prefix": "".join(part.capitalize() for part in slug.split("_")),
        "name": name,
        "style": style.value,
        "hub": f">={major}.{minor},<{major}.{int(minor) + 1}",
        "todo": TODO,
        "proof": wire.proof,
        "minor": wire.minor,
        "json_body": wire.json_body,
        "secret": wire.secret,
        "secret_meaning": wire.secret_meaning,
        "words": wire.words,
    }
    return [
        (where, environment.get_template(path).render(facts))
        for path in sorted(templates)
        if (where := _place(path, slug, style)) is not None
    ]


def _recorded(slug: str, out: Path) -> Sequence[Path]:
    """Write what the new adapter and its peer say to each other, as its first transcripts."""
    from croupier_conformance.certification.record import write
    from croupier_conformance.certification.subject import read_subject

    package = f"croupier_{slug}"
    folder = str(out.resolve())
    sys.path.insert(0, folder)
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        importlib.invalidate_caches()
        spec = importlib.import_module(f"{package}.adapter").SPEC
        subject = read_subject(spec, version="0", package=package, folder=out / package)
        return write(subject, out / package / "transcripts")
    finally:
        sys.dont_write_bytecode = bytecode
        sys.path.remove(folder)
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]


def _templates(folder: Traversable, before: str = "") -> list[tuple[str, Traversable]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _templates(entry, f"{before}{entry.name}/")
        elif entry.name.endswith(".jinja"):
            found.append((f"{before}{entry.name}", entry))
    return found


def _place(path: str, slug: str, style: Style) -> str | None:
    """Where a template's text goes; `None` if it is of another style."""
    folder, _, file = path.removesuffix(".jinja").rpartition("/")
    match folder.partition("/"):
        case ("wire", _, _):
            return f"croupier_{slug}/wire.py" if file == f"{style.value}.py" else None
        case ("package", _, rest):
            return "/".join(filter(None, (f"croupier_{slug}", rest, file)))
        case _:
            return path.removesuffix(".jinja").replace("SLUG", slug)
