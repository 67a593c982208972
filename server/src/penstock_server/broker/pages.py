"""Lists in pages; each page is decided anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from penstock_server.errors import InvalidRequest

T = TypeVar("T")

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """`size` as the caller wrote it, 0 = the default; `after` is where the page before ended, "" = the beginning."""

    size: int
    after: str

    def limit(self) -> int:
        """Give how many items the page may hold. Raises InvalidRequest."""
        if not 0 <= self.size <= MAX_PAGE_SIZE:
            raise InvalidRequest("page_size", f"from 1 to {MAX_PAGE_SIZE:,}; 0 means {DEFAULT_PAGE_SIZE}")
        return self.size or DEFAULT_PAGE_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page; `end` is what `PageRequest.after` must be for the next one, "" on the last."""

    items: tuple[T, ...]
    end: str
