"""Gives one command to a monitor of Ceph: `python monitor_command.py LIBRADOS CONFIGURATION JSON`.

A program of its own, since it loads Ceph's library; it uses the standard library only. Debian's `ceph` command would
need the machine's own Python.
"""

from __future__ import annotations

import ctypes
import sys


def main(library: str, configuration: str, command: str) -> int:
    """Print the answer; gives the error's number, 0 where there is none."""
    rados = ctypes.CDLL(library)
    handle = ctypes.c_void_p()
    for code in (
        rados.rados_create(ctypes.byref(handle), b"admin"),
        rados.rados_conf_read_file(handle, configuration.encode()),
        rados.rados_conf_set(handle, b"client_mount_timeout", b"60"),
        rados.rados_connect(handle),
    ):
        if code:
            return int(abs(code))
    commands = (ctypes.c_char_p * 1)(command.encode())
    answer, answer_size = ctypes.c_char_p(), ctypes.c_size_t()
    status, status_size = ctypes.c_char_p(), ctypes.c_size_t()
    code = rados.rados_mon_command(
        handle,
        commands,
        ctypes.c_size_t(1),
        b"",
        ctypes.c_size_t(0),
        ctypes.byref(answer),
        ctypes.byref(answer_size),
        ctypes.byref(status),
        ctypes.byref(status_size),
    )
    sys.stdout.write(ctypes.string_at(answer, answer_size.value).decode())
    sys.stderr.write(ctypes.string_at(status, status_size.value).decode())
    rados.rados_shutdown(handle)
    return int(abs(code))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
