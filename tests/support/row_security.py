"""Random policies as PostgreSQL says them: roles, column grants and row security on a real server.

A principal of a policy is a role, and each person a role that is a member of those that name it. A grant is
`GRANT SELECT (columns)` with a permissive policy, so that grants are joined by OR; a rules dataset and a denial are
restrictive policies, joined by AND. Every expression is written from the model, not from what the policy package made
of the text. PostgreSQL cannot say masks, cells that only some grants show, and column rules: see `Said`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg

from support.policies import ISSUER, NOW, OTHER_ISSUER
from support.random_policies import World
from support.reference_model import CellsModel, DenialModel, Expression, GrantModel, Person, RuleModel, subject_hash

Connection = psycopg.Connection[tuple[Any, ...]]

# A caller's own values: NULL where there are none, and where one of them is not written as its type wants it.
_FUNCTIONS = r"""
CREATE TABLE claims (role name, claim text, value text);
CREATE FUNCTION my_text(asked text) RETURNS text[] STABLE LANGUAGE sql AS $$
    SELECT array_agg(value) FROM public.claims WHERE role = current_user AND claim = asked $$;
CREATE FUNCTION my_integer(asked text) RETURNS integer[] STABLE LANGUAGE sql AS $$
    SELECT CASE WHEN bool_and(value ~ '^(0|-?[1-9][0-9]{0,8})$') THEN
        array_agg(CASE WHEN value ~ '^(0|-?[1-9][0-9]{0,8})$' THEN value::integer END) END
    FROM public.claims WHERE role = current_user AND claim = asked $$;
CREATE FUNCTION my_boolean(asked text) RETURNS boolean[] STABLE LANGUAGE sql AS $$
    SELECT CASE WHEN bool_and(value IN ('true', 'false')) THEN array_agg(value = 'true') END
    FROM public.claims WHERE role = current_user AND claim = asked $$;
CREATE FUNCTION only_one(mine anyarray) RETURNS anyelement IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN cardinality(mine) = 1 THEN mine[1] END $$;
GRANT SELECT ON claims TO PUBLIC;
"""
_TYPES = {"DOUBLE": "double precision"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What PostgreSQL says about a person and a table.

    `columns` are those that may be read, none under a denial; `comparable` are those that the policy shows clear in
    every visible row too, so that both can be compared; `rows` are the visible rows, projected on `comparable`.
    """

    columns: tuple[str, ...]
    comparable: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def prepare(connection: Connection) -> None:
    """Set up what policies of all worlds share; once a server."""
    _run(connection, _FUNCTIONS)


@contextmanager
def installed(connection: Connection, world: World, *, rules: str = "RESTRICTIVE") -> Iterator[None]:
    """Install a world's tables, data, grants, policies and people; nothing of it stays afterwards."""
    with connection.transaction(force_rollback=True):
        install(connection, world, rules=rules)
        yield


def install(connection: Connection, world: World, *, rules: str = "RESTRICTIVE") -> None:
    """Install a world for good."""
    for statement in _statements(world, rules):
        _run(connection, statement)
    for name, rows in world.rows.items():
        columns = list(world.columns[name])
        places = ", ".join(["%s"] * len(columns))
        values = [[row[column] for column in columns] for row in rows]
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {_name(name)} VALUES ({places})", values)


def read_as(login: Connection, table: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Read some columns of a table as whoever has logged in."""
    return _rows(login, f"SELECT {', '.join(map(_name, columns))} FROM {_name(table)}")


def login_of(world: World, person: Person) -> str:
    """Give the database user of a person."""
    return _role_of(world, person)


def said(connection: Connection, world: World, person: Person, table: str) -> Said:
    """Ask as a person what there is to see of a table: PostgreSQL alone says which columns and which rows."""
    _run(connection, f"SET LOCAL ROLE {_name(_role_of(world, person))}")
    mine = [f"has_column_privilege({_text(_name(table))}, {_text(c)}, 'SELECT')" for c in _columns(world, table)]
    denials = " AND ".join(f"({_spared(denial)})" for denial in _denials(world, table).values()) or "true"
    ((open_, *may),) = _rows(connection, f"SELECT {denials}, {', '.join(mine)}")
    columns = [column for column, readable in zip(_columns(world, table), may, strict=True) if readable]
    comparable = [column for column in columns if _is_clear(world, person, table, column)]
    # Who may read any column may count the rows that they see.
    wanted = ", ".join(map(_name, comparable)) or "1"
    rows = _rows(connection, f"SELECT {wanted} FROM {_name(table)}") if columns else []
    _run(connection, "RESET ROLE")
    return Said(
        columns=tuple(columns if open_ else ()),
        comparable=tuple(comparable),
        rows=rows if comparable else [() for _ in rows],
    )


def is_sayable(world: World, table: str) -> bool:
    """Tell whether PostgreSQL can say the policy of a table, but for masks and cells (see `Said.comparable`)."""
    return not any(rule.table == table for rule in world.model.column_rules)


# --- who --------------------------------------------------------------------------------------------------------------
def roles_of(person: Person) -> set[str]:
    """Give the principals of a policy that name a person, as the policy reference has it."""
    roles = {f"user:{person.issuer}|{person.subject}", f"everyone@{person.issuer}"}
    if person.issuer == OTHER_ISSUER:
        return roles | {f"group:other:{group}" for group in person.groups}
    roles |= {"everyone", *(f"group:{group}" for group in person.groups)}
    return roles if person.username is None else roles | {f"user:{person.username}"}


def _role_of(world: World, person: Person) -> str:
    return f"person {world.people.index(person)}"


def _people(world: World) -> Iterator[str]:
    for person in {_role_of(world, person): person for person in world.people}.values():
        role = _role_of(world, person)
        yield f"CREATE ROLE {_name(role)} LOGIN"
        for principal in roles_of(person) & _principals(world):
            yield f"GRANT {_name(principal)} TO {_name(role)}"
        claims: list[tuple[str, str]] = [
            (f"attribute {key}", text) for key, texts in person.attributes.items() for text in texts
        ]
        claims.append(("subject", subject_hash(person)))
        if person.issuer == ISSUER:
            claims += [("groups", group) for group in person.groups]
            claims += [("name", person.username)] if person.username is not None else []
        for claim, value in claims:
            yield f"INSERT INTO claims VALUES ({_text(role)}, {_text(claim)}, {_text(value)})"


def _principals(world: World) -> set[str]:
    model = world.model
    rules = [rule for datasets in model.datasets.values() for dataset in datasets for rule in dataset]
    return {
        *(principal for grant in model.grants for principal in grant.principals),
        *(principal for denial in model.denials for principal in denial.spared),
        *(_rule_principal(rule) for rule in rules),
    }


def _rule_principal(rule: RuleModel) -> str:
    return f"user:{rule.user}" if rule.user else f"group:{rule.group}"


# --- what -------------------------------------------------------------------------------------------------------------
def _statements(world: World, rules: str) -> Iterator[str]:
    for principal in sorted(_principals(world)):
        yield f"CREATE ROLE {_name(principal)} NOLOGIN"
    yield from _people(world)
    for table, columns in world.columns.items():
        declared = ", ".join(f"{_name(column)} {_TYPES.get(sql, sql)}" for column, sql in columns.items())
        yield f"CREATE TABLE {_name(table)} ({declared})"
        yield f"ALTER TABLE {_name(table)} ENABLE ROW LEVEL SECURITY"
        for grant in _reading(world, table):
            for number, cells in enumerate(grant.cells):
                yield from _granted(world, table, grant, cells, f"{grant.name} {number}")
        for number, dataset in enumerate(world.model.datasets.get(table, ())):
            using = _dataset(dataset)
            yield f"CREATE POLICY {_name(f'rules {number}')} ON {_name(table)} AS {rules} FOR SELECT USING ({using})"
        for number, denial in _denials(world, table).items():
            head = f"CREATE POLICY {_name(f'denial {number}')} ON {_name(table)} AS RESTRICTIVE FOR SELECT"
            yield f"{head} USING ({_spared(denial)})"


def _reading(world: World, table: str) -> list[GrantModel]:
    """Give the grants that let rows of a table be read now; PostgreSQL's grants have no end."""
    grants = [grant for grant in world.model.grants if table in grant.tables and "SELECT" in grant.permissions]
    return [grant for grant in grants if grant.expires is None or grant.expires > NOW]


def _denials(world: World, table: str) -> dict[int, DenialModel]:
    """Give the denials that keep the rows of a table from those whom they do not spare."""
    found = {number: denial for number, denial in enumerate(world.model.denials) if table in denial.tables}
    return {number: denial for number, denial in found.items() if {"SELECT", "DESCRIBE"} & denial.permissions}


def _granted(world: World, table: str, grant: GrantModel, cells: CellsModel, name: str) -> Iterator[str]:
    roles = ", ".join(map(_name, sorted(set(grant.principals))))
    shown = ", ".join(_name(column) for column in _columns(world, table) if _holds(cells, column))
    yield f"GRANT SELECT ({shown}) ON {_name(table)} TO {roles}"
    using = "true" if cells.rows is None else _expression(cells.rows, world.model.types[table])
    yield f"CREATE POLICY {_name(name)} ON {_name(table)} FOR SELECT TO {roles} USING ({using})"


def _holds(cells: CellsModel, column: str) -> bool:
    return cells.mode is None or (column in cells.names) == (cells.mode == "include")


def _is_clear(world: World, person: Person, table: str, column: str) -> bool:
    """Tell whether every grant that reaches the person shows the column, and none of them masks it."""
    mine = [grant for grant in _reading(world, table) if roles_of(person) & set(grant.principals)]
    return all(_holds(cells, column) and column not in cells.masks for grant in mine for cells in grant.cells)


def _dataset(rules: Sequence[RuleModel]) -> str:
    return " OR ".join(_rule(rule) for rule in rules) or "false"


def _rule(rule: RuleModel) -> str:
    tests = [f"{_name(column)} IN ({_texts(values)})" for column, values in rule.values.items() if values]
    return " AND ".join([_member(_rule_principal(rule)), *tests])


def _spared(denial: DenialModel) -> str:
    return " OR ".join(_member(principal) for principal in denial.spared) or "false"


def _member(principal: str) -> str:
    return f"pg_has_role(current_user, {_text(principal)}, 'MEMBER')"


# --- expressions ------------------------------------------------------------------------------------------------------
def _expression(e: Expression, types: Mapping[str, str]) -> str:
    match e:
        case ("not", operand):
            return f"NOT ({_expression(operand, types)})"
        case ("and" | "or" as word, operands):
            return f" {word.upper()} ".join(f"({_expression(operand, types)})" for operand in operands)
        case ("null", column):
            return f"{_name(column)} IS NULL"
        case (_, column, *_):
            return _test(e, _compared(column, types[column]), types[column])
    raise AssertionError(e)


def _compared(column: str, kind: str) -> str:
    """Give a column as what is compared: NaN compares as UNKNOWN, where PostgreSQL has it above all numbers."""
    name = _name(column)
    return f"(CASE WHEN {name} <> 'NaN' THEN {name} END)" if kind == "float" else name


def _test(e: Expression, left: str, kind: str) -> str:
    match e:
        case ("cmp", _, op, value):
            return f"{left} {op} {_literal(value)}"
        case ("between", _, low, high):
            return f"{left} BETWEEN {_literal(low)} AND {_literal(high)}"
        case ("in", _, values):
            return f"{left} IN ({', '.join(map(_literal, values))})"
        case ("like", _, pattern):
            return f"{left} LIKE {_text(pattern)} ESCAPE ''"
        case ("my name", _, op):
            return f"{left} {op} only_one(my_text('name'))"
        case ("my subject", _, op):
            return f"{left} {op} only_one(my_text('subject'))"
        case ("my groups", _):
            return f"{left} = ANY (my_text('groups'))"
        case ("my attribute", _, op, name):
            return f"{left} {op} only_one(my_{kind}({_text(f'attribute {name}')}))"
        case ("my attributes", _, name):
            return f"{left} = ANY (my_{kind}({_text(f'attribute {name}')}))"
    raise AssertionError(e)


def _literal(value: Any) -> str:
    match value:
        case str():
            return _text(value)
        case bool():
            return str(value)
        case datetime():
            return f"TIMESTAMP{'' if value.tzinfo is None else 'TZ'} {_text(value.isoformat(sep=' '))}"
        case date():
            return f"DATE {_text(value.isoformat())}"
        case float() if not math.isfinite(value):
            return f"'{value}'::double precision"
        case _:
            return str(value)


# --- text -------------------------------------------------------------------------------------------------------------
def _columns(world: World, table: str) -> list[str]:
    return list(world.columns[table])


def _texts(values: Sequence[str]) -> str:
    return ", ".join(map(_text, values))


def _name(name: str) -> str:
    assert len(name.encode()) < 64, "PostgreSQL cuts longer names"
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _run(connection: Connection, statement: str) -> None:
    connection.execute(statement)


def _rows(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    return connection.execute(statement).fetchall()
