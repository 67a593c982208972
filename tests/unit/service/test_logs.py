import json
import logging

import pytest
from penstock_server.model.secret import Secret
from penstock_server.service.logs import JsonLines


def _format(**fields: object) -> dict[str, object]:
    record = logging.makeLogRecord({"name": "penstock_server.x", "levelname": "INFO", "msg": "call", **fields})
    formatted = JsonLines().format(record)
    assert "\n" not in formatted
    line: dict[str, object] = json.loads(formatted)
    return line


def test_a_line_has_time_level_logger_message_and_the_extra_fields() -> None:
    line = _format(method="/penstock.v1.X/Y", milliseconds=1.5)
    assert set(line) == {"time", "level", "logger", "message", "method", "milliseconds"}
    assert (line["level"], line["message"], line["milliseconds"]) == ("info", "call", 1.5)


def _fail() -> None:
    raise ValueError("the cell is 987654321")


def test_the_log_of_an_exception_holds_no_text_of_it() -> None:
    with pytest.raises(ValueError, match="cell") as raised:
        _fail()
    line = _format(exc_info=(raised.type, raised.value, raised.tb))
    assert line["error"] == "ValueError"
    assert "987654321" not in json.dumps(line)
    assert "test_logs.py" in json.dumps(line["places"])


def test_a_secret_in_a_field_does_not_show() -> None:
    assert _format(token=Secret("hunter2"))["token"] == "***"
