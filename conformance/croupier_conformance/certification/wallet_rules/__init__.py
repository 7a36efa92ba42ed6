"""The rules for operators' wallets; importing this package fills `WALLET_RULES`."""
