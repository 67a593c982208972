"""Landlock: file system, TCP and signals, denied but for the listed read rights.

Source: Linux, Documentation/userspace-api/landlock.rst (ABI 1 to 7).
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Sequence
from pathlib import Path

from penstock_server.engines.duckdb.sandbox import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # one number on every architecture
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3

# Bits that each version of the interface added: a ruleset may only name bits that the kernel knows.
_FILE_SYSTEM_BITS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NETWORK_BOTH = 0b11  # since 4: bind and connect of TCP
_SCOPES_BOTH = 0b11  # since 6: abstract UNIX sockets and signals


def version() -> int:
    """Give the version of the kernel's Landlock interface, or 0 where there is none."""
    try:
        return kernel.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def restrict(readable: Sequence[Path]) -> None:
    """Deny the calling thread the file system, TCP and signals to others, for good, but for reading these paths.

    A folder may be listed and everything beneath it read. A path that does not exist gives no right. Needs
    no_new_privs. May be called again: rights only shrink.

    Raises:
        OSError: the kernel has no Landlock, or refuses the ruleset.
    """
    ruleset = _create(version())
    try:
        for path in readable:
            _allow_reading(ruleset, path)
        kernel.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _create(abi: int) -> int:
    files = (1 << _FILE_SYSTEM_BITS[min(max(abi, 1), max(_FILE_SYSTEM_BITS))]) - 1
    attributes = struct.pack("=Q", files)
    if abi >= 4:
        attributes += struct.pack("=Q", _NETWORK_BOTH)
    if abi >= 6:
        attributes += struct.pack("=Q", _SCOPES_BOTH)
    return kernel.syscall(_CREATE_RULESET, attributes, len(attributes), 0)


def _allow_reading(ruleset: int, path: Path) -> None:
    try:
        anchor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(anchor).st_mode)
        rights = _READ_FILE | _READ_DIR if is_folder else _READ_FILE
        kernel.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, anchor), 0)
    finally:
        os.close(anchor)
