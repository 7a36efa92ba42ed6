"""Certify the dialect with its peer, in each variant of the protocol, and leave with what came of it.

Reports go to `build/certify`, or to the folder that is named on the command line.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from croupier.contract import Credentials, Currency, LateOriginal
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.wallet_peer import certify_subjects, subject_of_peer
from croupier_conformance.certification.wallet_subject import WalletSubject
from croupier_wallet_hub88.dialect import Hub88WalletDialect
from croupier_wallet_hub88.peer import Hub88WalletPeer
from croupier_wallet_hub88.settings import AuthenticateBy, Hub88WalletSettings
from croupier_wallet_hub88.signing import PRIVATE_KEY

URL = "https://wallet.example/hub88"
VARIANTS = {
    "hub88": (Hub88WalletSettings(url=URL), Currency("EUR", 2)),
    "hub88-info": (Hub88WalletSettings(url=URL, authenticate=AuthenticateBy.INFO), Currency("JPY", 0)),
    "hub88-late": (
        Hub88WalletSettings(url=URL, late_original=LateOriginal.ACCEPT, signature_header="X-Signature"),
        Currency("KWD", 3),
    ),
}


def new_key() -> str:
    """A key of our own that nobody else has."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, *form).decode()


def subject(name: str) -> WalletSubject:
    """One variant, ready to be certified."""
    settings, currency = VARIANTS[name]
    keys = Credentials({PRIVATE_KEY: (new_key(),)})
    return subject_of_peer(Hub88WalletDialect(settings), Hub88WalletPeer(settings), keys, currency, name)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/certify")
    sys.exit(certify_subjects([subject(name) for name in VARIANTS], Tier.GOLD, folder))
