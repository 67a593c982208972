"""Logs: one JSON object a line on standard error, for machines; nothing in it that was asked or answered."""

from __future__ import annotations

import json
import logging
import os
import traceback
from datetime import UTC, datetime
from types import TracebackType

_STDERR = 2
_ENCODE = json.JSONEncoder(ensure_ascii=False, default=str).encode
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Formats a record with its extra fields.

    SECURITY: an exception's text may hold a literal of a statement or a cell, so only its class and the places are
    kept (test_the_log_of_an_exception_holds_no_text_of_it).
    """

    def format(self, record: logging.LogRecord) -> str:
        """Give one line."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = record.exc_info[0].__qualname__
            fields["places"] = places(record.exc_info[2])
        return _ENCODE(fields)


class Lines(logging.Handler):
    """Writes each record with one system call, so that lines of several processes never mix."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a log that nobody takes must not stop the service."""
        try:
            os.write(_STDERR, f"{self.format(record)}\n".encode(errors="replace"))
        except (OSError, ValueError):
            self.handleError(record)


def places(trace: TracebackType | None) -> list[str]:
    """Give where an exception came by, outermost first, as `file:line function`."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]


def configure_logs() -> None:
    """Send everything from INFO up to standard error, as JSON lines. Call it once, when the process starts."""
    # What no line shows need not be found out: a quarter of the cost of a line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # Source: Python HOWTO, "Optimization" of logging
    handler = Lines()
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    # botocore and urllib3 log requests with their parameters below WARNING.
    for name in ("boto3", "botocore", "urllib3", "s3transfer", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
