"""Forms of a login, read back by libpq itself."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from inspect import signature

import pytest
import redshift_connector
from penstock import RedshiftLogin
from penstock.delivery.login_forms import connection_string, connector_arguments, login_variables, password_line
from penstock.errors import PenstockError
from psycopg.conninfo import conninfo_to_dict

LOGIN = RedshiftLogin(
    user="IAM:pk_alice",
    password="p'w\\ :x host=evil",
    host="h.test",
    port=5439,
    database="prod",
    expires_at=datetime(2026, 1, 2, tzinfo=UTC),
    lease_id="l1",
    database_groups=(),
    revocable="yes",
    grants=(),
    policy_version="v",
)


def test_libpq_reads_the_connection_string_as_it_was_meant() -> None:
    assert conninfo_to_dict(connection_string(LOGIN)) == {
        "host": "h.test",
        "port": "5439",
        "dbname": "prod",
        "user": "IAM:pk_alice",
        "password": LOGIN.password,
        "sslmode": "verify-full",
    }


def test_the_variables_require_that_the_server_proves_its_name() -> None:
    assert dict(login_variables(LOGIN))["PGSSLMODE"] == "verify-full"


def test_the_driver_takes_every_argument() -> None:
    arguments = json.loads(connector_arguments(LOGIN))
    signature(redshift_connector.connect).bind(**arguments)
    assert (arguments["user"], arguments["password"]) == (LOGIN.user, LOGIN.password)
    assert (arguments["ssl"], arguments["sslmode"]) == (True, "verify-full")


def test_a_line_of_the_password_file_keeps_its_fields_apart() -> None:
    assert password_line(LOGIN) == r"h.test:5439:prod:IAM\:pk_alice:p'w\\ \:x host=evil"


@pytest.mark.parametrize("password", ["a\nother:1:d:u:p", "a\rb"])
def test_a_line_break_makes_no_second_line(password: str) -> None:
    with pytest.raises(PenstockError, match="password file"):
        password_line(replace(LOGIN, password=password))


def test_a_host_that_means_every_host_is_refused() -> None:
    with pytest.raises(PenstockError, match="password file"):
        password_line(replace(LOGIN, host="*"))
