"""Lists that the server gives by pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol, TypeVar

T = TypeVar("T")

PAGE_SIZE: Final = 1_000
"""The most that the server takes."""


class Page(Protocol):
    """An answer with what to send for the next page; empty on the last one."""

    next_page_token: str


P = TypeVar("P", bound=Page)


async def all_of(ask: Callable[[str], Awaitable[P]], items: Callable[[P], Iterable[T]]) -> tuple[T, ...]:
    """Ask for one page after the other, each by the token of the one before, and give what `items` reads of all."""
    found: list[T] = []
    token = ""
    while True:
        page = await ask(token)
        found += items(page)
        token = page.next_page_token
        if not token:
            return tuple(found)
