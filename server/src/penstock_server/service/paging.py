"""Page tokens: where a list goes on, signed, for the same caller and the same question only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from penstock_server.broker.pages import PageRequest
from penstock_server.errors import InvalidRequest
from penstock_server.service.calls import Call, principal_of

_MAC_BYTES = 16
MAX_TOKEN_CHARACTERS = 4_096


class PageTokens:
    """Makes and reads tokens with a key that lives as long as the process.

    A token says where the page before ended, and nothing more: it is no permission, since each page is decided anew.
    The signature keeps callers from relying on what is inside.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def request(self, call: Call, *, size: int, token: str, question: str) -> PageRequest:
        """Read what a caller sent; `question` is all of the request that must stay the same from page to page.

        Raises:
            InvalidRequest: the token is not one of ours for this caller and question.
        """
        return PageRequest(size=size, after=self._open(call, token, question) if token else "")

    def token(self, call: Call, *, end: str, question: str) -> str:
        """Make the token for the next page; "" where there is none."""
        if not end:
            return ""
        raw = end.encode()
        return base64.urlsafe_b64encode(self._mac(call, raw, question) + raw).decode()

    def _open(self, call: Call, token: str, question: str) -> str:
        try:
            if len(token) > MAX_TOKEN_CHARACTERS:
                raise _not_ours()
            opened = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raise _not_ours() from None
        mac, raw = opened[:_MAC_BYTES], opened[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(call, raw, question)):
            raise _not_ours()
        return raw.decode()

    def _mac(self, call: Call, raw: bytes, question: str) -> bytes:
        digest = hashlib.sha256()
        for part in (call.method.encode(), principal_of(call).subject_digest(), question.encode(), raw):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return hmac.digest(self._key, digest.digest(), "sha256")[:_MAC_BYTES]


def _not_ours() -> InvalidRequest:
    return InvalidRequest(
        "page_token",
        "the `next_page_token` of the page before, for the same request",
        hint="start again at the first page",
    )
