"""Sign-in at the identity provider, and access tokens that stay fresh.

What comes in: `SignInMetadata`, which the server gives to anybody. What goes out: tokens in a cache of this user,
and `Cached`, a callable that gives a fresh access token and fits wherever a token does:

```python
token = penstock.login.Cached(profile="alice", server="broker.example.com:443")
penstock.connect("broker.example.com:443", token=token)
```

Needs nothing but the standard library; a keyring is used where the package `keyring` is installed.

INVARIANT: passwords are never asked for, tokens and codes never printed, logged or put into an address.
INVARIANT: plain http is spoken with loopback addresses only.
"""

from penstock.login.browser import sign_in_with_browser
from penstock.login.cached import Cached
from penstock.login.device import DevicePrompt, sign_in_with_device
from penstock.login.errors import NotSignedIn, SignInFailed
from penstock.login.metadata import SignInMetadata
from penstock.login.sessions import Session, Sessions
from penstock.login.sign_in import sign_in, sign_out

__all__ = [
    "Cached",
    "DevicePrompt",
    "NotSignedIn",
    "Session",
    "Sessions",
    "SignInFailed",
    "SignInMetadata",
    "sign_in",
    "sign_in_with_browser",
    "sign_in_with_device",
    "sign_out",
]
