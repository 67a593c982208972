"""`penstock explain`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from penstock import ExplainedPrincipal, Explanation, QueryExplanation, Verdict
from penstock.cli.connecting import Target
from penstock.cli.notation import Notation, NotationOption, print_json
from penstock.cli.options import connection, with_target
from penstock.cli.quantities import parameters_of
from penstock.cli.screen import output, styled

_STYLES = {
    Verdict.ALLOWED: "green",
    Verdict.NARROWED: "yellow",
    Verdict.REFUSED: "red",
    Verdict.NOT_APPLICABLE: "dim",
}


@with_target
def explain(
    target: Target,
    *,
    resource: Annotated[
        str | None,
        typer.Argument(
            metavar="RESOURCE", help="A table, or an ARN of DynamoDB or another service.", show_default=False
        ),
    ] = None,
    query: Annotated[
        str | None,
        typer.Option(
            "--query", metavar="SQL", help="A statement: what it would be given, and not run.", show_default=False
        ),
    ] = None,
    catalog: Annotated[
        str, typer.Option("--catalog", metavar="NAME", help="Where short names are looked up.", show_default=False)
    ] = "",
    parameters: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="VALUE", help="A value of $1, $2, ..., as for query.", show_default=False),
    ] = None,
    who: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="PRINCIPAL",
            help="For administrators: user:NAME or user:ISSUER|SUBJECT.",
            show_default=False,
        ),
    ] = None,
    groups: Annotated[
        list[str] | None, typer.Option("--group", metavar="NAME", help="A group of theirs.", show_default=False)
    ] = None,
    attributes: Annotated[
        list[str] | None,
        typer.Option("--attribute", metavar="NAME=VALUE", help="An attribute of theirs.", show_default=False),
    ] = None,
    address: Annotated[
        str, typer.Option("--address", metavar="IP", help="From where they would call.", show_default=False)
    ] = "",
    notation: NotationOption = Notation.TABLE,
) -> None:
    """Explain, layer by layer, what you may do with a table or an ARN, or what a statement would be given."""
    if (resource is None) == (query is None):
        raise typer.BadParameter("name a table, or give a statement by --query", param_hint="RESOURCE")
    if query is None and (catalog or parameters):
        raise typer.BadParameter("--catalog and --param go with --query", param_hint="--query")
    values = parameters_of(parameters or [])
    principal = _principal(who, groups or [], attributes or [], address)
    answer: Explanation | QueryExplanation
    with connection(target).open() as broker:
        if query is not None:
            answer = broker.explain_query(query, catalog=catalog, parameters=values, principal=principal)
        else:
            answer = broker.explain(resource or "", principal=principal)
    if notation is Notation.JSON:
        print_json(answer)
        return
    _print(answer.tree if isinstance(answer, QueryExplanation) else answer)


def _print(tree: Explanation) -> None:
    console = output()
    for depth, node in _walk(tree, 0):
        console.print(
            "  " * depth,
            styled(node.verdict.value.replace("_", " "), _STYLES[node.verdict]),
            styled(f" {node.layer}", "bold"),
            styled(f": {node.sentence}"),
            sep="",
            soft_wrap=True,
        )


def _walk(node: Explanation, depth: int) -> Iterator[tuple[int, Explanation]]:
    yield depth, node
    for child in node.children:
        yield from _walk(child, depth + 1)


def _principal(
    who: str | None, groups: Sequence[str], attributes: Sequence[str], address: str
) -> ExplainedPrincipal | None:
    if who is None:
        if groups or attributes or address:
            raise typer.BadParameter("--group, --attribute and --address go with --as", param_hint="--as")
        return None
    kind, _, name = who.partition(":")
    issuer, bar, subject = name.partition("|")
    if kind != "user" or not name or (bar and not (issuer and subject)):
        raise typer.BadParameter("write user:NAME or user:ISSUER|SUBJECT", param_hint="--as")
    return ExplainedPrincipal(
        username="" if bar else name,
        subject=subject,
        issuer=issuer if bar else "",
        groups=tuple(groups),
        attributes=_attributes(attributes),
        source_address=address,
    )


def _attributes(pairs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise typer.BadParameter("write NAME=VALUE", param_hint="--attribute")
        found[name] = (*found.get(name, ()), value)
    return found
