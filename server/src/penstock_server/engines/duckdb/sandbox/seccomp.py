"""A seccomp filter that lets through a short list of system calls, and checks the arguments of some.

What is not listed fails with EPERM: no socket can be made, no program executed, no process forked, traced or signalled,
no file written, nothing mounted, no memory made executable.
Source: Linux, Documentation/userspace-api/seccomp_filter.rst; include/uapi/linux/{seccomp,filter,bpf_common}.h.
"""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass

from penstock_server.engines.duckdb.sandbox import kernel
from penstock_server.engines.duckdb.sandbox.syscalls import (
    AUDIT_ARCHITECTURE,
    FILE_WRITES,
    NEWEST_KNOWN,
    NUMBERS,
    PATH_QUERIES,
    Architecture,
    number,
)

_LOAD, _AND, _JUMP_EQUAL, _JUMP_GREATER, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x06
_KILL, _ALLOW, _FAIL = 0x80000000, 0x7FFF0000, 0x00050000
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_X32 = 0x40000000
_LOW, _HIGH = 0, 4  # both architectures are little endian

_PROT_EXEC = 0x4
_CLONE_THREAD = 0x00010000
_CLONE_NAMESPACES = 0x7E020000
_AT_EMPTY_PATH = 0x1000
_OPEN_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Holds where `argument & mask == value`; `offset` picks the lower or upper 32 bits of the argument."""

    argument: int
    mask: int
    value: int
    offset: int = _LOW


def conditions(
    own_process: int, *, may_query_paths: bool, may_write_descriptors: bool
) -> dict[str, tuple[Condition, ...]]:
    """Give the calls that pass only if all conditions on their arguments hold."""
    # A builder opens the memory file that it holds by the path of the descriptor, to read and to write. Landlock lets
    # it neither make nor write any other.
    writes = _OPEN_WRITES & ~(os.O_RDWR | os.O_CREAT) if may_write_descriptors else _OPEN_WRITES
    no_code = (Condition(argument=2, mask=_PROT_EXEC, value=0),)
    # SECURITY: the size and the time of a source file are functions of hidden rows; a sealed worker may ask about
    # descriptors that it holds alone (test_a_sealed_child_learns_nothing_about_a_path).
    by_descriptor = {
        "newfstatat": (Condition(argument=3, mask=_AT_EMPTY_PATH, value=_AT_EMPTY_PATH),),
        "statx": (Condition(argument=2, mask=_AT_EMPTY_PATH, value=_AT_EMPTY_PATH),),
    }
    return {
        **({} if may_query_paths else by_descriptor),
        # SECURITY: a thread of this process, never a process or a namespace (test_a_child_cannot_fork).
        "clone": (Condition(argument=0, mask=_CLONE_THREAD | _CLONE_NAMESPACES, value=_CLONE_THREAD),),
        # SECURITY: `abort` needs a signal to this process; others of the same user must stay out of reach.
        "tgkill": (Condition(argument=0, mask=0xFFFFFFFF, value=own_process),),
        "openat": (Condition(argument=2, mask=writes, value=0),),
        "mmap": no_code,
        "mprotect": no_code,
        "prctl": (Condition(argument=0, mask=0xFFFFFFFF, value=kernel.Control.SET_NAME),),
        # Reading a limit (glibc asks for the stack's) passes, setting one does not.
        "prlimit64": (
            Condition(argument=0, mask=0xFFFFFFFF, value=0),
            Condition(argument=2, mask=0xFFFFFFFF, value=0),
            Condition(argument=2, mask=0xFFFFFFFF, value=0, offset=_HIGH),
        ),
    }


def _instruction(code: int, operand: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, operand & 0xFFFFFFFF)


def _fail(reason: int) -> bytes:
    return _instruction(_RETURN, _FAIL | reason)


def _checks(required: tuple[Condition, ...]) -> bytes:
    block = b""
    for condition in required:
        block += _instruction(_LOAD, _AT_ARGUMENTS + 8 * condition.argument + condition.offset)
        block += _instruction(_AND, condition.mask)
        block += _instruction(_JUMP_EQUAL, condition.value, then=1)
        block += _fail(errno.EPERM)
    return block + _instruction(_RETURN, _ALLOW)


def allowed(*, may_query_paths: bool, may_write_descriptors: bool) -> frozenset[str]:
    """Give the names of the calls that pass, be it under conditions."""
    passing = frozenset(NUMBERS) if may_write_descriptors else frozenset(NUMBERS) - FILE_WRITES
    if may_query_paths:
        return passing
    return passing - PATH_QUERIES | {"newfstatat", "statx"}


def program(
    architecture: Architecture, own_process: int, *, may_query_paths: bool, may_write_descriptors: bool = False
) -> bytes:
    """Give the filter as an array of `struct sock_filter` for a process with this id."""
    checked = conditions(own_process, may_query_paths=may_query_paths, may_write_descriptors=may_write_descriptors)
    passing = allowed(may_query_paths=may_query_paths, may_write_descriptors=may_write_descriptors)
    code = _instruction(_LOAD, _AT_ARCHITECTURE)
    code += _instruction(_JUMP_EQUAL, AUDIT_ARCHITECTURE[architecture], then=1)
    code += _instruction(_RETURN, _KILL)  # 32-bit calls have other numbers
    code += _instruction(_LOAD, _AT_NUMBER)
    if architecture is Architecture.X86_64:
        code += _instruction(_JUMP_GREATER, _X32 - 1, otherwise=1)
        code += _instruction(_RETURN, _KILL)  # SECURITY: x32 numbers would pass beside the list
    code += _instruction(_JUMP_GREATER, NEWEST_KNOWN, otherwise=1)
    code += _fail(errno.ENOSYS)
    for name in NUMBERS:
        wanted = number(name, architecture)
        if wanted is None or name not in passing:
            continue
        # glibc falls back to `clone`, whose flags can be seen: those of clone3 are behind a pointer.
        block = _fail(errno.ENOSYS) if name == "clone3" else _checks(checked.get(name, ()))
        code += _instruction(_JUMP_EQUAL, wanted, otherwise=len(block) // 8) + block
    return code + _fail(errno.EPERM)


def restrict(*, may_query_paths: bool, may_write_descriptors: bool) -> None:
    """Put the filter on the calling thread, for good. Needs no_new_privs.

    With `may_query_paths` the process may ask for the size, time and kind of a path, as a reader of files must; with
    `may_write_descriptors` it may write at an offset of a file that it holds, as a builder must.

    Raises:
        OSError: the kernel has no seccomp filters, or refuses this one.
        ValueError: the processor architecture is none that this version has numbers for.
    """
    kernel.install_filter(
        program(
            Architecture(kernel.machine()),
            os.getpid(),
            may_query_paths=may_query_paths,
            may_write_descriptors=may_write_descriptors,
        )
    )
