"""Failures of the driver as errors of ours, and the way of an error to the front."""

import inspect
import json

import duckdb
import pytest
from penstock_server.engines.duckdb import errors
from penstock_server.errors import (
    AccessDenied,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PenstockError,
    QueryError,
    Reason,
    Unauthenticated,
    Unavailable,
)
from support.sealed import ask, sealed

DRIVER = {
    name: kind
    for name, kind in inspect.getmembers(duckdb, inspect.isclass)
    if issubclass(kind, Exception) and name != "PythonExceptionHandling"
}


def test_the_table_knows_every_exception_class_of_the_driver_and_no_other() -> None:
    assert set(errors.MEANING) == set(DRIVER)
    for name, kind in DRIVER.items():
        assert kind.__module__ in ("_duckdb", "duckdb"), name


@pytest.mark.parametrize("name", sorted(DRIVER))
def test_every_exception_class_becomes_its_reason(name: str) -> None:
    text = json.dumps({"exception_message": "Something of /secret/path!", "position": "3"})
    error = errors.translate(DRIVER[name](f"Some Error: {text}"), sql="select 1", memory_bytes=5)
    assert error.reason is errors.MEANING[name]
    if error.reason is Reason.INTERNAL:
        assert error.message == "the engine failed on this statement"
        assert "secret" not in f"{error.message} {error.hint} {error.detail}"
        assert error.detail == name
    elif error.reason is Reason.QUERY_MEMORY:
        assert isinstance(error, LimitExceeded)
        assert error.value == "5 bytes"
    else:
        assert isinstance(error, QueryError)
        assert error.position == 3


def test_an_exception_that_nobody_thought_of_is_internal() -> None:
    class Invented(Exception):
        pass

    for unknown in (
        Invented("/secret"),
        RuntimeError("std::bad_cast"),
        OSError("disk"),
        KeyError("x"),
        ValueError("y"),
    ):
        error = errors.translate(unknown, sql="", memory_bytes=0)
        assert error.reason is Reason.INTERNAL
        assert error.detail == type(unknown).__name__


def test_memory_of_python_and_depth_of_python_are_limits() -> None:
    assert errors.translate(MemoryError(), sql="", memory_bytes=7).reason is Reason.QUERY_MEMORY
    assert errors.translate(RecursionError(), sql="", memory_bytes=7).reason is Reason.SQL_TOO_DEEP


def test_an_error_after_the_first_batch_keeps_its_meaning() -> None:
    answer = ask("select case when i = 150000 then cast('é' || i as int) else i end from range(200000) t(i)")
    assert isinstance(answer.error, QueryError)
    assert answer.error.reason is Reason.SQL_EXECUTION
    assert answer.error.message == "could not convert string 'é150000' to INT32"
    assert answer.error.position == 33


def test_too_little_memory_is_a_limit_that_is_named() -> None:
    answer = ask("select list(i) from range(100000000) t(i)", memory_bytes=32 * 1024 * 1024)
    assert isinstance(answer.error, LimitExceeded)
    assert (answer.error.reason, answer.error.limit) == (Reason.QUERY_MEMORY, "query.memory")
    assert answer.error.value == f"{32 * 1024 * 1024} bytes"


def test_advice_that_cannot_be_followed_is_left_out() -> None:
    error = ask("select (select unnest([1, 2]))").error
    assert error is not None
    assert "SET" not in error.hint


def test_a_long_text_of_the_engine_is_cut() -> None:
    error = ask(f"select error('{'x' * 50_000}')").error
    assert error is not None
    assert len(error.message) <= 1000


def test_messages_are_one_line_that_begins_in_lower_case() -> None:
    for sql in (
        "select cast('x' as int)",
        "select 1 +",
        "select sum('x')",
        "select abs(date '2020-01-01')",
        "select error('Two\nlines. ')",
    ):
        error = ask(sql).error
        assert error is not None
        assert "\n" not in error.message + error.hint
        assert error.message[0] == error.message[0].lower()
        assert not error.message.endswith((".", "!"))


def test_a_position_counts_characters_and_stays_within_the_text() -> None:
    assert errors.character_position("é€😀x", 2) == 1
    assert errors.character_position("é€😀x", 9) == 3
    assert errors.character_position("é€😀x", 10) == 4
    assert errors.character_position("é€😀x", 11) is None
    assert errors.character_position("é€😀x", 12, 10) == 1
    assert errors.character_position("é€😀x", 9, 10) is None
    assert errors.character_position("x", None) is None


@pytest.mark.parametrize(
    "fault", [duckdb.IOException("/secret/x.parquet"), MemoryError("SECRET"), "the stream was cut"]
)
def test_a_reader_has_one_error(fault: BaseException | str) -> None:
    error = errors.unreadable(fault)
    assert (error.reason, error.message) == (Reason.TABLE_UNREADABLE, "the table is unreadable")
    assert error.retry_after_seconds is None
    assert "secret" not in f"{error.message}{error.hint}{error.detail}".lower()


SAMPLES: list[PenstockError] = [
    QueryError(Reason.SQL_SYNTAX, "é `x`", position=4, hint="h", metadata=(("function", "f"),), detail="d"),
    QueryError(Reason.INTERNAL, "m"),
    QueryError(Reason.SQL_BINDING, "m", position=0),
    LimitExceeded(Reason.SQL_TOO_DEEP, "m", limit="l", value="v", hint="h", detail="d"),
    Unavailable(Reason.TABLE_UNREADABLE, "m", retry_after_seconds=None, hint="h", metadata=(("a", "b"),), detail="d"),
    Unavailable(Reason.WORKER_LOST, "m", retry_after_seconds=1.5),
    NotFound(Reason.TABLE_NOT_FOUND, "m", hint="h", metadata=(("table", "t"),), detail="d"),
    AccessDenied(Reason.DENIED_BY_POLICY, "m"),
    InvalidRequest("field", "rule", hint="h", detail="d"),
    Unauthenticated(detail="d"),
    errors.too_deep(),
    errors.table_not_found("é", 3),
    errors.internal("x"),
    errors.unreadable("x"),
]


@pytest.mark.parametrize("error", SAMPLES, ids=range(len(SAMPLES)))
def test_an_error_comes_to_the_front_as_it_was(error: PenstockError) -> None:
    read = errors.from_json(errors.to_json(error))
    assert type(read) is type(error)
    for name in ("reason", "message", "hint", "metadata", "fields", "detail", "position", "limit", "value"):
        assert getattr(read, name, None) == getattr(error, name, None), name
    assert getattr(read, "retry_after_seconds", 0) == getattr(error, "retry_after_seconds", 0)


WHOLE = json.loads(errors.to_json(QueryError(Reason.SQL_SYNTAX, "m", position=1)))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        json.dumps({**WHOLE, "class": "SystemExit"}).encode(),
        json.dumps({**WHOLE, "reason": "NEW"}).encode(),
        json.dumps({**WHOLE, "message": 1}).encode(),
        json.dumps({**WHOLE, "metadata": [["a"]]}).encode(),
        json.dumps({**WHOLE, "position": "x"}).encode(),
        json.dumps({name: value for name, value in WHOLE.items() if name != "hint"}).encode(),
        b"[" * 100_000,
    ],
)
def test_what_is_no_error_of_ours_is_internal(payload: bytes) -> None:
    error = errors.from_json(payload)
    assert isinstance(error, QueryError)
    assert error.reason is Reason.INTERNAL


def test_the_instance_is_gone_after_an_internal_error_so_nothing_is_shared() -> None:
    connection = sealed()
    with pytest.raises(duckdb.InternalException):
        connection.execute("select \"!=\"(a, b) from (values (-1, 'é')) t(a, b)").fetchall()
    with pytest.raises(duckdb.Error):
        connection.execute("select 1").fetchall()
