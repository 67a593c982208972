"""Whether the process for which something is done still runs."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from types import TracebackType
from typing import Self

from penstock.errors import invalid


class Lifeline:
    """Watches the parent of this process, or a process by number, without asking it anything."""

    def __init__(self, pid: int | None = None, *, parent: Callable[[], int] = os.getppid) -> None:
        """Take the number of a process of this user, None for the parent.

        Raises:
            InvalidRequest: there is no such process.
        """
        self._parent = parent
        self._pid = pid
        self._first_parent = parent()
        self._descriptor: int | None = None
        if pid is None:
            return
        try:
            os.kill(pid, 0)
            # A number is used again; a descriptor stays that of one process. macOS has none.
            self._descriptor = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
        except (OSError, OverflowError) as error:
            raise invalid("until", f"`{pid}` is no running process of yours") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holds(self) -> bool:
        """Tell whether it still runs."""
        if self._pid is None:
            # Whoever loses its parent is given another.
            return self._parent() == self._first_parent
        if self._descriptor is not None:
            return not select.select([self._descriptor], [], [], 0)[0]
        try:
            os.kill(self._pid, 0)
        except OSError:
            return False
        return True
