"""Runs the command and turns whatever comes of it into an exit code."""

from __future__ import annotations

import sys

from penstock.cli.app import app
from penstock.cli.failures import ExitCode, tell, tell_fault
from penstock.errors import PenstockError


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; gives the exit code. Usage errors are printed by typer."""
    try:
        app(args=arguments, prog_name="penstock")
    except SystemExit as end:
        return _code(end)
    except PenstockError as error:
        return tell(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read standard output has enough; nothing more can be said there.
        sys.stdout = None
        return ExitCode.ERROR
    except OSError as error:
        where = f"`{error.filename}`: " if error.filename else ""
        return tell(PenstockError(f"{where}{error.strerror or type(error).__name__}", reason="FILE"))
    except Exception as error:  # noqa: BLE001 - the last frame: no traceback may reach a terminal
        return tell_fault(error)
    return ExitCode.DONE


def _code(end: SystemExit) -> int:
    if end.code is None:
        return ExitCode.DONE
    return end.code if isinstance(end.code, int) else ExitCode.ERROR
