"""What is asked of the query door and what it answers, and the limits of a request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock_server.errors import InvalidRequest, LimitExceeded, Reason
from penstock_server.model.decision import PolicyVersion, Shaping
from penstock_server.model.predicate import Constant
from penstock_server.model.principal import Principal
from penstock_server.model.request import RequestFacts
from penstock_server.model.resource import TableName

MAX_SQL_BYTES = 256 * 1024
MAX_PARAMETERS = 1_000
MAX_PARAMETERS_CHARACTERS = 256 * 1024
MAX_CATALOG_CHARACTERS = 256
MAX_NAME_CHARACTERS = 128
MIN_TIMEOUT = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRequest:
    """One statement to run.

    `catalog` is looked at first for short names; None = every catalog that the caller sees. `timeout` bounds engine
    time; None = the server's own limit. A parameter None is NULL. `parameter_names` are their names in the same order,
    or none where the statement numbers them. `progress` = what is done before the header may be told.
    """

    sql: str
    catalog: str | None
    parameters: tuple[Constant | None, ...]
    timeout: timedelta | None
    parameter_names: tuple[str, ...] = ()
    progress: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherPrincipal:
    """Of whom an administrator asks: described, not verified; `source_address` is "" where none is known."""

    principal: Principal
    source_address: str

    def facts(self, at: datetime) -> RequestFacts:
        """Give what a decision about them may look at."""
        return RequestFacts(at=at, source_address=self.source_address, requested_ttl=None, purpose="", carried=False)

    def details(self) -> tuple[tuple[str, str], ...]:
        """Give who they are, for the audit."""
        groups = sorted(group.name for group in self.principal.groups)
        return (
            ("explained issuer", self.principal.issuer),
            ("explained subject", self.principal.subject),
            ("explained username", self.principal.username or ""),
            ("explained groups", json.dumps(groups, ensure_ascii=False)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPolicy:
    """How the policy shaped one table of the statement, in names that the caller may see."""

    table: TableName
    shaping: Shaping
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryHeader:
    """The first part of an answer. `schema` is an encapsulated Arrow IPC schema message."""

    schema: bytes
    applied: tuple[AppliedPolicy, ...]
    policy_version: PolicyVersion
    query_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryTrailer:
    """The last part of an answer that is complete."""

    row_count: int
    batch_count: int
    engine_time: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryDescription:
    """The answer's shape without the answer."""

    schema: bytes
    applied: tuple[AppliedPolicy, ...]
    policy_version: PolicyVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryProgress:
    """What is done before the header, while it takes long: what is kept of this table is being made."""

    table: TableName


QueryPart = QueryProgress | QueryHeader | bytes | QueryTrailer


def validate(request: QueryRequest, *, longest: timedelta) -> None:
    """Hold a request against every limit that can be told from the request alone.

    Raises:
        LimitExceeded: `SQL_TOO_LARGE`.
        InvalidRequest: any other field breaks its rule.
    """
    _validate_sql(request.sql)
    if request.catalog is not None and len(request.catalog) > MAX_CATALOG_CHARACTERS:
        raise InvalidRequest("catalog", f"at most {MAX_CATALOG_CHARACTERS} characters")
    if len(request.parameters) > MAX_PARAMETERS:
        raise InvalidRequest("parameters", f"at most {MAX_PARAMETERS:,} values")
    if len(parameters_text(request.parameters)) > MAX_PARAMETERS_CHARACTERS:
        raise InvalidRequest("parameters", f"at most {MAX_PARAMETERS_CHARACTERS // 1024} KiB of text together")
    _validate_names(request)
    if request.timeout is not None and not MIN_TIMEOUT <= request.timeout <= longest:
        raise InvalidRequest("timeout", f"from 1 ms up to {longest.total_seconds():g} s")


def _validate_names(request: QueryRequest) -> None:
    names = request.parameter_names
    if not names:
        return
    if len(names) != len(request.parameters) or not all(names):
        raise InvalidRequest("parameters", "all with a name, or none")
    if len({name.casefold() for name in names}) != len(names):
        raise InvalidRequest("parameters", "names that differ in more than case")
    if any(len(name) > MAX_NAME_CHARACTERS for name in names):
        raise InvalidRequest("parameters", f"names of at most {MAX_NAME_CHARACTERS} characters")


def _validate_sql(sql: str) -> None:
    try:
        size = len(sql.encode())
    except UnicodeEncodeError:
        raise InvalidRequest("sql", "text in UTF-8") from None
    if size > MAX_SQL_BYTES:
        raise LimitExceeded(
            Reason.SQL_TOO_LARGE,
            "the statement is too long",
            limit="sql",
            value="256 KiB",
            hint="pass long lists as parameters, or join with a table",
        )
    if "\0" in sql:
        # SECURITY: what a parser that stops at NUL would not see must not be admitted either.
        raise InvalidRequest("sql", "text without NUL characters")


def parameters_text(parameters: tuple[Constant | None, ...], names: tuple[str, ...] = ()) -> str:
    """Give the parameters as a JSON list of texts, or an object where they have names, as the audit keeps them."""
    texts = [None if value is None else str(value) for value in parameters]
    whole = len(names) == len(texts) and bool(names)
    return json.dumps(dict(zip(names, texts, strict=True)) if whole else texts, ensure_ascii=False)
