"""Exit codes, and how an error reads: one sentence, a hint, the request id."""

from __future__ import annotations

import traceback
from enum import IntEnum
from pathlib import Path

from penstock.cli.screen import messages, shown
from penstock.errors import AccessDenied, InvalidRequest, MissingExtra, PenstockError, Unauthenticated


class ExitCode(IntEnum):
    """What the command ends with; 130 for Ctrl-C, as shells expect."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    DENIED = 3
    NOT_SIGNED_IN = 4
    INTERRUPTED = 130


def code_of(error: PenstockError) -> ExitCode:
    """Give the exit code of an error. An unknown name and a hidden one are both an ordinary error."""
    match error:
        case Unauthenticated():
            return ExitCode.NOT_SIGNED_IN
        case AccessDenied():
            return ExitCode.DENIED
        case MissingExtra():
            return ExitCode.ERROR
        case InvalidRequest():
            return ExitCode.USAGE
        case _:
            return ExitCode.ERROR


def tell(error: PenstockError) -> ExitCode:
    """Print an error on standard error and give its exit code."""
    console = messages()
    console.print(f"error: {shown(error.message)}", soft_wrap=True)
    if error.hint:
        console.print(f"hint: {shown(error.hint)}", soft_wrap=True)
    if error.request_id:
        console.print(f"request id: {shown(error.request_id)}", soft_wrap=True)
    return code_of(error)


def tell_fault(error: Exception) -> ExitCode:
    """Print a fault of this program: its class and place, since its text could hold a token or a value."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    console = messages()
    console.print(f"error: penstock itself failed: {type(error).__name__}{place}", soft_wrap=True)
    console.print("hint: please report it together with the command", soft_wrap=True)
    return ExitCode.ERROR
