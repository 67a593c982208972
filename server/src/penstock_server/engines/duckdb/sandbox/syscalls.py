"""The system calls that a child needs, by name, with their numbers on each architecture.

Everything else is refused. The lists are what CPython, glibc, DuckDB and Arrow were seen to use for single-threaded
and multi-threaded queries, plus what glibc may use in its place. A call that exists on one architecture alone has None
on the other.
"""

from __future__ import annotations

from enum import StrEnum


class Architecture(StrEnum):
    """A processor architecture with its own table of numbers."""

    X86_64 = "x86_64"
    AARCH64 = "aarch64"


AUDIT_ARCHITECTURE = {Architecture.X86_64: 0xC000003E, Architecture.AARCH64: 0xC00000B7}
"""The constants AUDIT_ARCH_* of linux/audit.h."""

NEWEST_KNOWN = 450
"""The highest number in these tables' source; calls above it answer ENOSYS, as on a kernel that lacks them."""

NUMBERS: dict[str, tuple[int | None, int | None]] = {
    # Bytes through descriptors that are already open, and reading files where Landlock permits.
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "preadv": (295, 69),
    "lseek": (8, 62),
    "close": (3, 57),
    "fcntl": (72, 25),
    "openat": (257, 56),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "statfs": (137, 43),
    "fstatfs": (138, 44),
    "getdents64": (217, 61),
    "readlinkat": (267, 78),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "fadvise64": (221, 223),
    "getcwd": (79, 17),
    "stat": (4, None),
    "lstat": (6, None),
    "access": (21, None),
    "readlink": (89, None),
    "recvmsg": (47, 212),
    "recvfrom": (45, 207),
    "sendmsg": (46, 211),
    "sendto": (44, 206),
    "shutdown": (48, 210),
    "poll": (7, None),
    "ppoll": (271, 73),
    # Writing to a file at an offset: builders alone.
    "pwrite64": (18, 68),
    "pwritev": (296, 70),
    "ftruncate": (77, 46),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    # Memory.
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    "brk": (12, 214),
    "membarrier": (324, 283),
    # Threads of this process, and its end.
    "clone": (56, 220),
    "clone3": (435, 435),
    "futex": (202, 98),
    "futex_waitv": (449, 449),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "gettid": (186, 178),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "tgkill": (234, 131),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    # Clocks, random bytes, figures about this process and machine.
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "prlimit64": (302, 261),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "prctl": (157, 167),
    # Giving up further rights.
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}
"""Name to number on (x86_64, aarch64). Source: asm/unistd_64.h and asm-generic/unistd.h of Linux."""


PATH_QUERIES = frozenset(
    {"access", "faccessat", "faccessat2", "lstat", "readlink", "readlinkat", "stat", "statfs", "newfstatat", "statx"}
)
"""Calls that tell of a path without opening it, which Landlock does not govern; the last two serve descriptors too."""


FILE_WRITES = frozenset({"pwrite64", "pwritev", "ftruncate", "fsync", "fdatasync"})
"""Calls that only a process with a file to write needs."""


def number(name: str, architecture: Architecture) -> int | None:
    """Give a call's number, or None where this architecture has no such call."""
    on_x86, on_arm = NUMBERS[name]
    return on_x86 if architecture is Architecture.X86_64 else on_arm
