"""Certify the dialect with its peer, in each variant of the protocol, and leave with what came of it.

Reports go to `build/certify`, or to the folder that is named on the command line.
"""

from __future__ import annotations

import sys
from pathlib import Path

from croupier.contract import Credentials, Currency
from croupier_conformance.certification.rule import Tier
from croupier_conformance.certification.wallet_peer import certify_subjects, subject_of_peer
from croupier_conformance.certification.wallet_subject import WalletSubject
from croupier_wallet_softswiss.dialect import AUTH_TOKEN, SoftswissWalletDialect
from croupier_wallet_softswiss.peer import SoftswissWalletPeer
from croupier_wallet_softswiss.settings import AmountForm, SoftswissWalletSettings

URL = "https://wallet.example/softswiss"
VARIANTS = {
    "softswiss": (SoftswissWalletSettings(url=URL), Currency("EUR", 2)),
    "softswiss-decimal": (SoftswissWalletSettings(url=URL, amounts=AmountForm.DECIMAL), Currency("KWD", 3)),
    "softswiss-subunits": (SoftswissWalletSettings(url=URL, subunits={"ETH": 18}), Currency("ETH", 9)),
    "softswiss-no-zero-wins": (SoftswissWalletSettings(url=URL, zero_wins=False), Currency("JPY", 0)),
}


def subject(name: str) -> WalletSubject:
    """One variant, ready to be certified."""
    settings, currency = VARIANTS[name]
    keys = Credentials({AUTH_TOKEN: ("test",)})
    return subject_of_peer(SoftswissWalletDialect(settings), SoftswissWalletPeer(settings), keys, currency, name)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/certify")
    sys.exit(certify_subjects([subject(name) for name in VARIANTS], Tier.GOLD, folder))
