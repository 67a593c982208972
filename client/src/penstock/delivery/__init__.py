"""How an AWS session gets to the programs that use it: caches, a loopback endpoint, processes, boto3, AWS profiles.

What comes in: something that issues a session, which is always the server. What goes out: the same session again while
it lasts, in the form that AWS's own tools read.

INVARIANT: a secret is never in a command line, in a log or in an error; it is kept in a file of mode 0600 in a folder
of mode 0700 on `$XDG_RUNTIME_DIR`, or in the keyring, and nowhere else.
INVARIANT: a refusal is never kept, and a session that was refused its renewal is not given again.
"""

from penstock.delivery.kept import CacheRefused, KeptSession, SessionCache, SessionKey
from penstock.delivery.renewal import RenewingSession, cached_session
from penstock.delivery.requests import SessionRequest, TokenHolder, holder_of

__all__ = [
    "CacheRefused",
    "KeptSession",
    "RenewingSession",
    "SessionCache",
    "SessionKey",
    "SessionRequest",
    "TokenHolder",
    "cached_session",
    "holder_of",
]
