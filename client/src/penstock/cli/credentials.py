"""`penstock creds aws` and `penstock creds redshift`."""

from __future__ import annotations

import configparser
import io
import json
import shlex
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer

from penstock import AwsCredentials, RedshiftLogin
from penstock.cli.connecting import Connection, Target
from penstock.cli.notation import moment, print_json, print_members
from penstock.cli.options import connection, with_target
from penstock.cli.quantities import span
from penstock.cli.screen import output
from penstock.errors import PenstockError

app = typer.Typer(help="Get credentials that reach no further than the policy.", no_args_is_help=True)


class Access(StrEnum):
    """What is to be done with AWS resources."""

    READ = "read"
    LIST = "list"
    WRITE = "write"


class AwsForm(StrEnum):
    """How an AWS session is written."""

    CREDENTIAL_PROCESS = "credential_process"
    ENV = "env"
    JSON = "json"
    PROFILE = "profile"


class LoginForm(StrEnum):
    """How a database login is written."""

    TABLE = "table"
    ENV = "env"
    JSON = "json"


Ttl = Annotated[
    timedelta | None,
    typer.Option("--ttl", parser=span, metavar="SPAN", help="How long, such as 30m.", show_default=False),
]
Purpose = Annotated[str, typer.Option("--purpose", help="Why; kept in the audit.", show_default=False)]


@app.command("aws")
@with_target
def aws(
    target: Target,
    *,
    resources: Annotated[
        list[str], typer.Argument(metavar="ARN...", help="S3 objects, prefixes ending in /*, or tables.")
    ],
    access: Annotated[list[Access] | None, typer.Option("--access", help="May be given several times.")] = None,
    ttl: Ttl = None,
    purpose: Purpose = "",
    form: Annotated[AwsForm, typer.Option("--format", help="How to write it.")] = AwsForm.CREDENTIAL_PROCESS,
) -> None:
    """Get a temporary AWS session; the default form is what `credential_process` of the AWS SDKs expects."""
    way = connection(target)
    with way.open() as broker:
        session = broker.aws_credentials(
            resources, access=[each.value for each in access or [Access.READ]], ttl=ttl, purpose=purpose
        )
    if form is AwsForm.JSON:
        print_json(session)
        return
    # No rich here: it would wrap, and what is printed is read by programs.
    output().out(_AWS_FORMS[form](session, way), highlight=False)


@app.command("redshift")
@with_target
def redshift(
    target: Target,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The configured name of the cluster.")],
    ttl: Ttl = None,
    purpose: Purpose = "",
    form: Annotated[LoginForm, typer.Option("--format", help="How to write it.")] = LoginForm.TABLE,
) -> None:
    """Get a temporary login for a Redshift cluster."""
    with connection(target).open() as broker:
        login = broker.redshift_login(name, ttl=ttl, purpose=purpose)
    match form:
        case LoginForm.JSON:
            print_json(login)
        case LoginForm.ENV:
            output().out(_exports(_database_variables(login)), highlight=False)
        case LoginForm.TABLE:
            print_members(_login_members(login))


def _credential_process(session: AwsCredentials, _: Connection) -> str:
    return json.dumps(
        {
            "Version": 1,
            "AccessKeyId": session.access_key_id,
            "SecretAccessKey": session.secret_access_key,
            "SessionToken": session.session_token,
            "Expiration": session.expires_at.isoformat(),
        }
    )


def _environment(session: AwsCredentials, _: Connection) -> str:
    return _exports(
        [
            ("AWS_ACCESS_KEY_ID", session.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", session.secret_access_key),
            ("AWS_SESSION_TOKEN", session.session_token),
            ("AWS_CREDENTIAL_EXPIRATION", session.expires_at.isoformat()),
            *([("AWS_REGION", session.region)] if session.region else []),
        ]
    )


def _profile(session: AwsCredentials, way: Connection) -> str:
    members = {
        "aws_access_key_id": session.access_key_id,
        "aws_secret_access_key": session.secret_access_key,
        "aws_session_token": session.session_token,
        **({"region": session.region} if session.region else {}),
    }
    if any("\n" in value or "\r" in value for value in members.values()):
        raise PenstockError("the server sent a credential that no profile can hold", reason="UNKNOWN_VALUE")
    section = configparser.RawConfigParser()
    section[f"penstock-{way.profile}"] = members
    text = io.StringIO()
    section.write(text)
    return text.getvalue().strip()


_AWS_FORMS = {
    AwsForm.CREDENTIAL_PROCESS: _credential_process,
    AwsForm.ENV: _environment,
    AwsForm.PROFILE: _profile,
}


def _database_variables(login: RedshiftLogin) -> list[tuple[str, str]]:
    return [
        ("PGHOST", login.host),
        ("PGPORT", str(login.port)),
        ("PGDATABASE", login.database),
        ("PGUSER", login.user),
        ("PGPASSWORD", login.password),
    ]


def _login_members(login: RedshiftLogin) -> list[tuple[str, str]]:
    return [
        ("host", f"{login.host}:{login.port}"),
        ("database", login.database),
        ("user", login.user),
        ("password", login.password),
        ("groups", ", ".join(login.database_groups) or "-"),
        ("until", moment(login.expires_at)),
        ("lease", login.lease_id),
        ("revocable", login.revocable),
    ]


def _exports(variables: Iterable[tuple[str, str]]) -> str:
    # SECURITY: the text is meant for `eval`; a value that the shell would read as more is quoted.
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables)
