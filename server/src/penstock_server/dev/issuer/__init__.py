"""An OpenID provider for one machine: whoever sits at it chooses who to be.

What comes in: the users to choose from, the audience, the clients. What goes out: `DevIssuer`, which serves
discovery, keys, authorization code with PKCE, the device flow and refresh on a loopback address, and mints tokens
for tests. It asks for no password, so it refuses to listen on any other address. A real provider replaces it by
configuration alone.

Must not be imported by anything outside `dev` and the command line.
"""

from penstock_server.dev.issuer.people import DevClient, DevUser
from penstock_server.dev.issuer.provider import DevIssuer

__all__ = ["DevClient", "DevIssuer", "DevUser"]
