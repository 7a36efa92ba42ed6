"""Certificates of adapters: what was proved about which bytes, signed by whom, and whether that counts here.

The kit writes a certificate after a run that proved a tier; the registry reads it. It lies as `<slug>.certificate.json`
in the adapter's import package, or in a folder that the settings name. It counts if all of this is so: its signature is
of a key that is trusted here, it names this adapter and this version, it was made for a contract that this hub accepts,
and the files of the package are the ones that it was made for. One changed byte, and it counts no more.

A certificate says what its signer saw: an adapter that was installed with a tier. It does not speak for the provider.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, evolve, field, frozen

from croupier.contract import CertificateError, SettingsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FORMAT: Final = 1
"""The version of the certificate's file."""

TIERS: Final = ("bronze", "silver", "gold", "platinum")
"""The tiers that can be certified, lowest first."""

UNCERTIFIED: Final = "uncertified"
"""The tier of what has no certificate that counts."""

SUFFIX: Final = ".certificate.json"
"""How the name of a certificate's file ends; before it stands the adapter's slug."""

_SIGNED_AS: Final = b"croupier certificate\n"
"""Goes before the signed text, so that the signature is good for nothing else."""

_LONGEST: Final = 64 * 1024


@frozen(kw_only=True)
class Certificate:
    """What was proved, about what, when, and by whom it is signed.

    Attributes:
        kind: `adapter` or `wallet`.
        name: The adapter's slug, or the wallet's name.
        version: The version of its distribution.
        contract: The `ADAPTER_API` that it was proved against.
        kit: The version of the kit.
        content: `sha256:` and the hash of the package's files (`content_hash`).
        tier: The tier that the run proved.
        date: When, in UTC.
        passed: How many rules held.
        exempt: How many rules do not hold, for a reason that the author gives.
        key: The id of the signer's key (`key_id`).
        signature: Ed25519, as base64; empty before it is signed.
    """

    kind: str
    name: str
    version: str
    contract: int
    kit: str
    content: str
    tier: str
    date: datetime
    passed: int
    exempt: int
    key: str = ""
    signature: str = field(default="", repr=False)

    def write(self) -> str:
        """The certificate as its file has it."""
        return json.dumps(_plain(self), indent=2, sort_keys=True) + "\n"


@frozen
class Standing:
    """What the registry makes of an adapter's certificates.

    Attributes:
        tier: The highest tier that counts here, or `uncertified`.
        problem: Why one that is there does not count; `None` if none is there, or one counts.
    """

    tier: str = UNCERTIFIED
    problem: str | None = None

    def reaches(self, tier: str) -> bool:
        """Whether it is this tier or a higher one."""
        return self.tier in TIERS and TIERS.index(self.tier) >= TIERS.index(tier)


@frozen(kw_only=True)
class CertificateRule:
    """Which certificates count, and what adapters need.

    Attributes:
        required: The lowest tier with which an adapter is used; `None` uses every one.
        folder: Where certificates lie beside those in the packages.
        trusted: The public keys whose signatures count, by their ids.
    """

    required: str | None = None
    folder: Path | None = None
    trusted: Mapping[str, Ed25519PublicKey] = field(factory=dict)

    def standing(self, slug: str, version: str | None, package: str, apis: frozenset[int]) -> Standing:
        """What an installed adapter's certificates come to.

        Args:
            slug: The adapter's.
            version: Its distribution's.
            package: The name of its import package. It is looked up and read, not imported.
            apis: The versions of the contract that this hub accepts.
        """
        place = package_place(package)
        inside = place if place is not None and place.is_dir() else None
        files = [folder / f"{slug}{SUFFIX}" for folder in (inside, self.folder) if folder is not None]
        best = Standing()
        for file in files:
            try:
                text = _text(file)
                if text is None:
                    continue
                tier = self._counted(read_certificate(text), slug, version, place, apis)
            except CertificateError as error:
                best = best if best.tier != UNCERTIFIED else Standing(problem=error.message)
            else:
                best = best if best.reaches(tier) else Standing(tier)
        return best

    def _counted(
        self, certificate: Certificate, slug: str, version: str | None, place: Path | None, apis: frozenset[int]
    ) -> str:
        """The tier of a certificate that counts.

        Raises:
            CertificateError: It does not.
        """
        key = self.trusted.get(certificate.key)
        if key is None:
            raise CertificateError(f"it is signed by the key {certificate.key}, which is not trusted here")
        check_signature(certificate, key)
        if (certificate.kind, certificate.name) != ("adapter", slug):
            raise CertificateError(f"it is for the {certificate.kind} {certificate.name}")
        if certificate.version != version:
            raise CertificateError(f"it is for version {certificate.version}, and {version} is installed")
        if certificate.contract not in apis:
            raise CertificateError(f"it was made against ADAPTER_API {certificate.contract}")
        if place is None:
            raise CertificateError("the package's files are not in one place, and cannot be compared")
        if content_hash(place) != certificate.content:
            raise CertificateError("the package's files are not those that were certified")
        return certificate.tier


# --- the file


def read_certificate(text: str) -> Certificate:
    """A certificate as its file has it; its signature is not checked.

    Raises:
        CertificateError: It is none.
    """
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict) or told.pop("format", None) != FORMAT:
        raise CertificateError(f"it is no certificate of format {FORMAT}")
    try:
        made = Certificate(**{**told, "date": datetime.fromisoformat(told["date"])})
    except (KeyError, TypeError, ValueError):
        raise CertificateError("it is no certificate: a field is missing, unknown or of another type") from None
    texts = (made.kind, made.name, made.version, made.kit, made.content, made.tier, made.key, made.signature)
    numbers = (made.contract, made.passed, made.exempt)
    if not all(isinstance(one, str) for one in texts) or not all(type(one) is int for one in numbers):
        raise CertificateError("it is no certificate: a field is of another type")
    if made.date.tzinfo is None:
        raise CertificateError("it is no certificate: its date has no time zone")
    if made.tier not in TIERS:
        raise CertificateError("it is no certificate: its tier is unknown")
    return made


def _plain(certificate: Certificate) -> dict[str, Any]:
    return {**asdict(certificate), "format": FORMAT, "date": certificate.date.astimezone(UTC).isoformat()}


def _text(file: Path) -> str | None:
    """What stands in the file; `None` if there is no such file."""
    try:
        with file.open("rb") as source:
            raw = source.read(_LONGEST + 1)
        if len(raw) > _LONGEST:
            raise CertificateError("it is too long for a certificate")
        return raw.decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise CertificateError(f"it cannot be read: {type(error).__name__}") from None


# --- signatures


def sign(certificate: Certificate, key: Ed25519PrivateKey) -> Certificate:
    """The same certificate, signed."""
    named = evolve(certificate, key=key_id(key.public_key()), signature="")
    return evolve(named, signature=base64.b64encode(key.sign(_signed(named))).decode())


def check_signature(certificate: Certificate, key: Ed25519PublicKey) -> None:
    """Hold the signature against a key.

    Raises:
        CertificateError: It is not this key's signature of this certificate.
    """
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(base64.b64decode(certificate.signature, validate=True), _signed(certificate))
    except (InvalidSignature, binascii.Error, ValueError):
        raise CertificateError("its signature is wrong") from None


def _signed(certificate: Certificate) -> bytes:
    told = _plain(certificate)
    del told["signature"]
    return _SIGNED_AS + json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def key_id(key: Ed25519PublicKey) -> str:
    """What a public key is called in certificates: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def make_keys(private: Path, public: Path) -> str:
    """Make a pair of keys as PEM files; the private one is readable by its owner only.

    Returns:
        The id of the key.

    Raises:
        SettingsError: One of the files is there already, or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    open_text = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for file, text, mode in ((private, secret, 0o600), (public, open_text, 0o644)):
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except OSError as error:
            raise SettingsError(f"the file cannot be made: {error.strerror}", where=str(file)) from None
        with os.fdopen(descriptor, "wb") as out:
            out.write(text)
    return key_id(key.public_key())


def read_private_key(file: Path) -> Ed25519PrivateKey:
    """The key to sign with, from a PEM file without a password.

    Raises:
        SettingsError: The file cannot be read, or holds another kind of key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = _pem(file, lambda raw: load_pem_private_key(raw, password=None))
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError("expected an Ed25519 private key", where=str(file))
    return key


def read_public_keys(files: Sequence[Path]) -> dict[str, Ed25519PublicKey]:
    """Public keys from PEM files, by their ids.

    Raises:
        SettingsError: A file cannot be read, or holds another kind of key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    keys = {}
    for file in files:
        key = _pem(file, load_pem_public_key)
        if not isinstance(key, Ed25519PublicKey):
            raise SettingsError("expected an Ed25519 public key", where=str(file))
        keys[key_id(key)] = key
    return keys


def _pem(file: Path, load: Any) -> object:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        loaded: object = load(file.read_bytes())
    except OSError as error:
        raise SettingsError(f"the file cannot be read: {error.strerror}", where=str(file)) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingsError("expected a key as PEM, without a password", where=str(file)) from None
    return loaded


# --- content


def package_place(package: str) -> Path | None:
    """Where an import package is: its folder, or its one file; `None` if it is not on a disk. Nothing is imported."""
    try:
        found = importlib.util.find_spec(package.partition(".")[0])
    except (ImportError, ValueError, AttributeError):
        return None
    if found is None:
        return None
    folders = list(found.submodule_search_locations or ())
    places = [Path(folder) for folder in folders] if folders else [Path(found.origin or "")]
    # A namespace package in several folders has no one place whose content could be told.
    return places[0] if len(places) == 1 and places[0].exists() and places[0] != Path() else None


def content_hash(place: Path) -> str:
    """The hash of a package's files: the same wherever and however it is installed.

    Left out are `__pycache__` folders, a folder `tests` directly in the package, and certificates directly in it.

    Args:
        place: The package's folder, or its one file.

    Raises:
        CertificateError: The files cannot be read, or the package holds a link to a folder.
    """
    whole = hashlib.sha256()
    try:
        for name, file in _files(place):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            whole.update(f"{len(name.encode())}:{name}={content}\n".encode())
    except OSError as error:
        raise CertificateError(f"the package's files cannot be read: {type(error).__name__}") from None
    return f"sha256:{whole.hexdigest()}"


def _files(place: Path) -> Iterator[tuple[str, Path]]:
    if place.is_file():
        yield place.name, place
        return
    found = []
    for folder, folders, names in os.walk(place, onerror=_raise):
        here = Path(folder)
        folders[:] = [name for name in folders if name != "__pycache__" and not (name == "tests" and here == place)]
        if any((here / name).is_symlink() for name in folders):
            raise CertificateError("the package holds a link to a folder: what is in it cannot be told")
        found += [here / name for name in names if not (here == place and name.endswith(SUFFIX))]
    yield from sorted((file.relative_to(place).as_posix(), file) for file in found)


def _raise(error: OSError) -> None:
    raise error
