"""The client sockets: `drive` runs a flow, `HttpClient` sends, `Guard` says where to.

aiohttp is imported when the first client is made, not with this package.
"""

from croupier.net.client import ClientLimits, ClientTls, HttpClient
from croupier.net.driver import FlowLimits, drive
from croupier.net.guard import Guard

__all__ = ["ClientLimits", "ClientTls", "FlowLimits", "Guard", "HttpClient", "drive"]
