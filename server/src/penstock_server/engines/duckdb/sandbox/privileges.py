"""Privileges, resource limits and the tie to the parent process."""

from __future__ import annotations

import os
import resource
import signal

from penstock_server.engines.duckdb.sandbox import kernel

_CAPABILITY_VERSION = 0x20080522
_CAPSET = {"x86_64": 126, "aarch64": 91}
_AMBIENT_CLEAR_ALL = 4

READ_ANY_FILE = 2
"""CAP_DAC_READ_SEARCH: a service that runs as root may read data files of other users; Landlock still bounds it."""

ADDRESS_SPACE_OVERHEAD = 2 << 30
"""What an idle instance maps without using it, and some: 0.95 to 1.0 GB were measured."""


def die_with_parent(parent: int, number: signal.Signals) -> None:
    """Have the kernel send a signal to this process when its parent's thread ends; exit if it has ended already."""
    kernel.prctl(kernel.Control.SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def forbid_new_privileges() -> None:
    """Set no_new_privs: no program executed later can gain rights, and filters may be installed without root."""
    kernel.prctl(kernel.Control.SET_NO_NEW_PRIVS, 1)


def hide_memory() -> None:
    """Make the process undumpable: no core file, and no other process of this user may read its memory."""
    kernel.prctl(kernel.Control.SET_DUMPABLE, 0)


def drop_capabilities(keep: frozenset[int]) -> None:
    """Drop every capability but those in `keep` that are held; the bounding and ambient sets are emptied too.

    Raises:
        OSError: the kernel refuses; dropping is always permitted, so it has no such call.
    """
    effective = _held_capabilities() & sum(1 << number for number in keep)
    kernel.prctl(kernel.Control.CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    for number in range(64):
        try:
            kernel.prctl(kernel.Control.CAPBSET_DROP, number)
        except OSError:  # not privileged enough to touch the bounding set, or past the last capability
            break
    header = _CAPABILITY_VERSION.to_bytes(4, "little") + (0).to_bytes(4, "little")
    sets = b"".join(
        half.to_bytes(4, "little") * 2 + (0).to_bytes(4, "little") for half in (effective & 0xFFFFFFFF, effective >> 32)
    )
    kernel.syscall(_CAPSET[kernel.machine()], header, sets)


def _held_capabilities() -> int:
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"CapEff:"):
                return int(line.split()[1], 16)
    return 0


def limit_resources(*, memory_bytes: int, open_files: int, file_bytes: int = 0) -> None:
    """Bound address space, descriptors and files: no core, and no file written past `file_bytes`."""
    space = memory_bytes + ADDRESS_SPACE_OVERHEAD
    for kind, bound in (
        (resource.RLIMIT_AS, space),
        (resource.RLIMIT_NOFILE, open_files),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        _, hard = resource.getrlimit(kind)
        bounded = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(kind, (bounded, bounded))
