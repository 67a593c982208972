"""Raw system calls and process controls of Linux, by ctypes."""

from __future__ import annotations

import ctypes
import os
import platform
from enum import IntEnum

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
_LIBC.prctl.restype = ctypes.c_int


class Control(IntEnum):
    """Operations of prctl(2) that are used here."""

    SET_PDEATHSIG = 1
    SET_DUMPABLE = 4
    SET_NAME = 15
    SET_SECCOMP = 22
    CAPBSET_READ = 23
    CAPBSET_DROP = 24
    SET_CHILD_SUBREAPER = 36
    SET_NO_NEW_PRIVS = 38
    GET_NO_NEW_PRIVS = 39
    CAP_AMBIENT = 47


def syscall(number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make one system call and give its result.

    Integers are passed as 64 bits: a C `int` would leave the upper half of the register undefined.

    Raises:
        OSError: the call failed, with its errno.
    """
    converted = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    ctypes.set_errno(0)
    result = int(_LIBC.syscall(ctypes.c_long(number), *converted))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def prctl(operation: Control, *arguments: int) -> int:
    """Ask for one process control; unused arguments are zero, as the kernel demands.

    Raises:
        OSError: the call failed, with its errno.
    """
    padded = [ctypes.c_ulong(item) for item in (*arguments, 0, 0, 0, 0)[:4]]
    ctypes.set_errno(0)
    result = int(_LIBC.prctl(ctypes.c_int(operation), *padded))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def install_filter(program: bytes) -> None:
    """Install a seccomp filter (an array of `struct sock_filter`) on the calling thread, for good.

    Raises:
        OSError: the kernel refuses it; EINVAL where it has no seccomp filters.
    """
    buffer = ctypes.create_string_buffer(program, len(program))

    class SockFprog(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    described = SockFprog(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    mode_filter = 2
    prctl(Control.SET_SECCOMP, mode_filter, ctypes.addressof(described))


def machine() -> str:
    """Give the name of the processor architecture, `x86_64` or `aarch64` where this version serves."""
    return platform.machine()


def tasks() -> int:
    """Count the threads of this process, those of C libraries included.

    Read from the number of links of a folder, which needs no right to open it: it works inside the sandbox too.
    """
    return os.stat("/proc/self/task").st_nlink - 2
