"""`penstock creds aws` and `penstock creds redshift`."""

from __future__ import annotations

import configparser
import io
import shlex
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import typer

from penstock import AwsCredentials, RedshiftLogin
from penstock.cli.aws_options import AccessOption, Purpose, Resources, Ttl, session_request
from penstock.cli.connecting import Connection, Target
from penstock.cli.notation import moment, print_json, print_members
from penstock.cli.options import connection, with_target
from penstock.cli.screen import output
from penstock.cli.session_source import issued, kept_or_issued
from penstock.delivery.forms import credential_process, variables
from penstock.delivery.login_forms import connection_string, connector_arguments, login_variables, password_line
from penstock.errors import PenstockError

app = typer.Typer(help="Get credentials that reach no further than the policy.", no_args_is_help=True)


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
    PGPASS = "pgpass"
    DSN = "dsn"
    CONNECTOR = "connector"


@app.command("aws")
@with_target
def aws(
    target: Target,
    *,
    resources: Resources,
    access: AccessOption = None,
    ttl: Ttl = None,
    purpose: Purpose = "",
    form: Annotated[AwsForm, typer.Option("--format", help="How to write it.")] = AwsForm.CREDENTIAL_PROCESS,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Neither give a kept session nor keep this one.")
    ] = False,
) -> None:
    """Get a temporary AWS session; the default form is what `credential_process` of the AWS SDKs expects.

    In that form a session is kept and given again until it is soon to end; the other forms always get a new one.
    """
    way = connection(target)
    request = session_request(resources, access=access, ttl=ttl, purpose=purpose)
    # Whoever reads the other forms does not come back for the next session, and is to have all of this one.
    keeps = form is AwsForm.CREDENTIAL_PROCESS and not no_cache
    session = kept_or_issued(way, request) if keeps else issued(way, request)
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
    """Get a temporary login for a Redshift cluster.

    `env` is for psql and whatever else uses libpq, `pgpass` a line of its password file, `dsn` its connection string
    (with the password), `connector` the JSON keyword arguments of `redshift_connector.connect`. All but `pgpass`, which
    cannot say it, require that the cluster proves its name.
    """
    with connection(target).open() as broker:
        login = broker.redshift_login(name, ttl=ttl, purpose=purpose)
    match form:
        case LoginForm.JSON:
            print_json(login)
        case LoginForm.ENV:
            output().out(exports(login_variables(login)), highlight=False)
        case LoginForm.PGPASS:
            output().out(password_line(login), highlight=False)
        case LoginForm.DSN:
            output().out(connection_string(login), highlight=False)
        case LoginForm.CONNECTOR:
            output().out(connector_arguments(login), highlight=False)
        case LoginForm.TABLE:
            print_members(_login_members(login))


def _credential_process(session: AwsCredentials, _: Connection) -> str:
    return credential_process(session)


def _environment(session: AwsCredentials, _: Connection) -> str:
    return exports(variables(session))


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


def exports(variables: Iterable[tuple[str, str]]) -> str:
    """Give variables as text that a shell evaluates."""
    # SECURITY: the text is meant for `eval`; a value that the shell would read as more is quoted.
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables)
