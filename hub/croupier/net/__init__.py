"""The client sockets: `drive` runs a flow, `HttpClient` sends, `WalletClient` does for wallets, `Guard` says where to.

aiohttp is imported when the first client is made, not with this package.
"""

from croupier.net.client import ClientLimits, ClientTls, HttpClient
from croupier.net.driver import FlowLimits, drive
from croupier.net.guard import Guard
from croupier.net.wallet_client import WalletClient

__all__ = ["ClientLimits", "ClientTls", "FlowLimits", "Guard", "HttpClient", "WalletClient", "drive"]
