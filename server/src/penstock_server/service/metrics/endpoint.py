"""The port that a scraper reads: `GET /metrics` and nothing else, on a loopback address.

SECURITY: it asks for no token, so it is not reachable from outside, and what it tells names nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from penstock_server.errors import ConfigurationError
from penstock_server.service.metrics.exposition import CONTENT_TYPE, Family, exposed

log = logging.getLogger(__name__)

_MOST_AT_ONCE: Final = 8
_MOST_HEADER_BYTES: Final = 8_192
_SECONDS: Final = 5.0


class MetricsEndpoint:
    """Serves what `families` gives at the moment of asking."""

    def __init__(self, families: Callable[[], Iterable[Family]]) -> None:
        self._families = families
        self._server: asyncio.Server | None = None
        self._open = 0

    async def listen(self, address: str) -> int:
        """Open the port (`IP:PORT`) and answer from now on; gives the port number.

        Raises:
            ConfigurationError: the address cannot be bound.
        """
        host, _, port = address.rpartition(":")
        try:
            self._server = await asyncio.start_server(
                self._serve, host.strip("[]"), int(port), limit=_MOST_HEADER_BYTES
            )
        except OSError as error:
            raise ConfigurationError(
                (f"server.metrics: `{address}` cannot be bound; is another server running on it?",)
            ) from error
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    async def close(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= _MOST_AT_ONCE:
                async with asyncio.timeout(_SECONDS):
                    asked = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._answer(asked.split(b"\r\n", 1)[0]))
                    await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a scraper that goes away, or is none
        except Exception:  # a fault here must stay here
            log.exception("metrics cannot be told")
        finally:
            self._open -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _answer(self, line: bytes) -> bytes:
        if line.split(b" ")[:2] != [b"GET", b"/metrics"]:
            return _response("404 Not Found", "text/plain; charset=utf-8", b"metrics are at /metrics\n")
        return _response("200 OK", CONTENT_TYPE, exposed(self._families()))


def _response(status: str, kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
