"""The options that every command has, written once."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from penstock.cli import configuration_file
from penstock.cli.connecting import Connection, Target, resolve

Own = ParamSpec("Own")

Server = Annotated[
    str | None, typer.Option("--server", metavar="HOST:PORT", help="The server [PENSTOCK_SERVER].", show_default=False)
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="Who to be [PENSTOCK_PROFILE].", show_default=False),
]
TokenPath = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="A file with an access token [PENSTOCK_TOKEN_FILE, PENSTOCK_TOKEN].",
        show_default=False,
    ),
]
Authority = Annotated[
    Path | None,
    typer.Option("--ca", metavar="FILE", help="A PEM with the server's authority.", show_default=False),
]

_SHARED: dict[str, Any] = {"server": Server, "profile": Profile, "token_file": TokenPath, "ca": Authority}


def with_target(command: Callable[Concatenate[Target, Own], None]) -> Callable[..., None]:
    """Give a command `--server`, `--profile`, `--token-file` and `--ca`, and hand it what they say.

    The same options before the command's name count too; those after it win.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in list(signature.parameters.values())[1:]]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _SHARED.items()
    ]
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    untyped: Callable[..., None] = command
    wants_context = context.name in signature.parameters

    @functools.wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401 - whatever the command takes
        shared = {name: given.pop(name) for name in _SHARED}
        above: typer.Context = given.pop("context")
        if wants_context:
            given["context"] = above
        untyped(Target(**shared).over(above.obj or Target()), **given)

    parameters = [context, *(each for each in own if each.name != context.name), *added]
    # Typer reads both: the parameters here, their types there.
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # any function may carry one
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def connection(target: Target) -> Connection:
    """Give the connection that options, environment and configuration file mean together.

    Raises:
        InvalidRequest: no server is named, or what is named contradicts itself.
    """
    file = configuration_file.read(configuration_file.path(os.environ))
    return resolve(target, environment=os.environ, file=file)
