"""`python -m croupier_wallet_native` prints the OpenAPI document of the wallet protocol."""

from __future__ import annotations

import json
import sys

from croupier_wallet_native.openapi import openapi

if __name__ == "__main__":
    sys.stdout.write(json.dumps(openapi(), indent=2) + "\n")
