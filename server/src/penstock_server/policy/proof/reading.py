"""Reads a bound policy into inputs. With `known` and `reading_tests` this is all that knows how it is built."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar

from penstock_server.model.decision import Mask
from penstock_server.model.masks import ConstantForm, MaskForm
from penstock_server.model.predicate import Constant
from penstock_server.model.principal import PrincipalSelector
from penstock_server.model.resource import S3Location, S3Permission, TablePermission
from penstock_server.model.schema import ColumnType, TypeFamily
from penstock_server.policy.bound import (
    BoundDenial,
    BoundFilter,
    BoundGrant,
    BoundPolicy,
    BoundRowRules,
    BoundRule,
    BoundTable,
    TableKey,
)
from penstock_server.policy.conditions.block import Block
from penstock_server.policy.encoding import encode_mask
from penstock_server.policy.proof.globs import Glob, Wild, normal
from penstock_server.policy.proof.inputs import (
    AnyCondition,
    DatasetInput,
    DenialInput,
    FilterInput,
    GrantInput,
    LoginGrantInput,
    MaskInput,
    RuleInput,
    S3DenialInput,
    S3GrantInput,
    TableInput,
    Tells,
)
from penstock_server.policy.proof.known import NotUnderstood, require_known, unknown_fields
from penstock_server.policy.proof.reading_tests import read_test
from penstock_server.policy.proof.scales import Point, point_of
from penstock_server.policy.proof.terms import Settled
from penstock_server.policy.s3_arns import S3Pattern, Wildcard
from penstock_server.policy.source import RedshiftGrant, S3Denial, S3Grant, Spared

_TABLE_PERMISSIONS: Final = frozenset({TablePermission.SELECT, TablePermission.DESCRIBE, TablePermission.RAW})
_S3_PERMISSIONS: Final = frozenset(
    {S3Permission.READ, S3Permission.LIST, S3Permission.WRITE, S3Permission.VERSIONS, S3Permission.DELETE}
)
_WILD: Final = {Wildcard.ANY: Wild.RUN, Wildcard.ONE: Wild.ONE}

G = TypeVar("G", S3Grant, RedshiftGrant)


def further_fields(policy: BoundPolicy) -> Mapping[str, object]:
    """Give what the policy as a whole has beyond what is read here: it may bear on every decision."""
    return {name: getattr(policy, name) for name in unknown_fields(policy)}


def same_table(old: BoundPolicy, new: BoundPolicy, key: TableKey) -> bool:
    """Tell whether all that is kept for one table is equal in both, understood or not.

    A decision is a pure function of that, of `further_fields`, of the default issuer, the principal and the time.
    """
    before, after = old.tables.get(key), new.tables.get(key)
    return (
        old.default_issuer == new.default_issuer
        and before == after
        # A denial on S3 keeps the files of a table away too.
        and (before is None or before.schema.location is None or old.s3_denials == new.s3_denials)
        and all(old.grants.get(key[:length], {}) == new.grants.get(key[:length], {}) for length in (1, 2, 3))
    )


def read_table(policy: BoundPolicy, key: TableKey) -> TableInput | None:
    """Give all that decides about a table; None where there is no such table.

    Raises:
        NotUnderstood: something decides that is not known here.
    """
    table = policy.tables.get(key)
    if table is None:
        return None
    require_known(table, table.schema)
    for column in table.schema.columns:
        require_known(column, column.type)
    # Each field of a struct is a column of its own, named by its path: a struct shows no more than its fields do.
    structs = tuple((part.name, ColumnType(sql="STRUCT", family=TypeFamily.OTHER)) for part in table.schema.structs())
    types = {cell.name: cell.type for cell in table.schema.cells()} | dict(structs)
    if len({rules.name for rules in table.row_rules}) < len(table.row_rules):
        raise NotUnderstood("two rules datasets have one name")
    grants = _grants(policy, key, types)
    _require_ranks(grants)
    return TableInput(
        name=table.schema.name,
        columns=tuple((cell.name, cell.type) for cell in table.schema.cells()),
        structs=structs,
        location=table.schema.location,
        grants=grants,
        datasets=tuple(_dataset(rules, types) for rules in table.row_rules),
        column_rules=_column_rules(table, types),
        column_denials=_column_denials(table, types),
        denials=frozenset(_denial(denial) for denial in table.denials),
        files_spared=_files_spared(policy, table.schema.location),
        default_issuer=policy.default_issuer,
    )


def read_s3_grants(policy: BoundPolicy) -> tuple[S3GrantInput, ...]:
    """Give all grants on S3 objects, by name.

    Raises:
        NotUnderstood: something decides that is not known here.
    """
    return tuple(_s3_grant(grant, selectors) for grant, selectors in _with_selectors(policy.s3_grants))


def read_s3_denials(policy: BoundPolicy) -> frozenset[S3DenialInput]:
    """Give all denials on S3 objects.

    Raises:
        NotUnderstood: something decides that is not known here.
    """
    return frozenset(
        S3DenialInput(
            bucket=denial.pattern.bucket,
            glob=_glob(denial.pattern),
            permissions=denial.permissions,
            spared=_spared(denial.spared),
        )
        for denial in _known_s3_denials(policy)
    )


def read_login_denials(policy: BoundPolicy) -> Mapping[str, frozenset[frozenset[PrincipalSelector]]]:
    """Give for each denied login whom each of its denials spares.

    Raises:
        NotUnderstood: something decides that is not known here.
    """
    require_known(*policy.redshift_denials)
    logins: dict[str, set[frozenset[PrincipalSelector]]] = {}
    for denial in policy.redshift_denials:
        logins.setdefault(denial.login.value, set()).add(_spared(denial.spared))
    return {login: frozenset(spared) for login, spared in logins.items()}


def read_login_grants(policy: BoundPolicy) -> Mapping[str, tuple[LoginGrantInput, ...]]:
    """Give the grants of each Redshift login, by name.

    Raises:
        NotUnderstood: something decides that is not known here.
    """
    logins: dict[str, list[LoginGrantInput]] = {}
    for grant, selectors in _with_selectors(policy.redshift_grants):
        logins.setdefault(grant.login.value, []).append(
            LoginGrantInput(
                name=grant.name,
                selectors=selectors,
                database_groups=frozenset(grant.database_groups),
                max_ttl=grant.max_ttl,
                expires=grant.expires,
                conditions=_conditions(grant.conditions),
            )
        )
    return {login: tuple(grants) for login, grants in logins.items()}


def read_mask(mask: Mask) -> MaskInput:
    """Give what a mask shows. What it is beyond name and rank is its definition, understood or not."""
    fields = {field.name: getattr(mask, field.name) for field in dataclasses.fields(mask)}
    name, rank = fields.pop("name"), fields.pop("rank")
    # The encoding keeps apart what compares as equal and shows otherwise: 0.0 and -0.0, 1 and TRUE.
    understood = type(mask) is Mask and fields.keys() == {"type", "form"} and isinstance(mask.form, MaskForm)
    encoded = encode_mask(mask) if understood else b""
    definition = (type(mask), encoded, *((field, type(value), value) for field, value in sorted(fields.items())))
    tells, shows_null = Tells.MORE, False
    if understood and type(mask.form) is ConstantForm:
        tells = Tells.NOTHING if mask.form.tells_nothing else Tells.NULLNESS
        shows_null = mask.shows_null
    return MaskInput(name=name, rank=rank, tells=tells, shows_null=shows_null, definition=definition)


def _grants(policy: BoundPolicy, key: TableKey, types: Mapping[str, ColumnType]) -> tuple[GrantInput, ...]:
    found: dict[str, BoundGrant] = {}
    selectors: dict[str, set[PrincipalSelector]] = {}
    for length in (1, 2, 3):
        for selector, grants in policy.grants.get(key[:length], {}).items():
            require_known(selector)
            for grant in grants:
                # Of two grants of one name only one counts for a principal whom both name.
                if found.setdefault(grant.name, grant) != grant:
                    raise NotUnderstood(f"two grants have the name `{grant.name}`")
                selectors.setdefault(grant.name, set()).add(selector)
    return tuple(_grant(found[name], frozenset(selectors[name]), types) for name in sorted(found))


def _grant(grant: BoundGrant, selectors: frozenset[PrincipalSelector], types: Mapping[str, ColumnType]) -> GrantInput:
    require_known(grant)
    if not grant.permissions <= _TABLE_PERMISSIONS:
        raise NotUnderstood(f"the grant `{grant.name}` has a permission that the proof has no reading of")
    return GrantInput(
        name=grant.name,
        selectors=selectors,
        permissions=grant.permissions,
        filters=tuple(_filter(part, types) for part in grant.filters),
        expires=grant.expires,
        conditions=_conditions(grant.conditions),
    )


def _require_ranks(grants: Iterable[GrantInput]) -> None:
    """Require that on one column one rank is one mask; else the order of grants would decide."""
    seen: dict[tuple[str, int], MaskInput] = {}
    for grant in grants:
        for part in grant.filters:
            for column, mask in part.masks:
                if seen.setdefault((column, mask.rank), mask).definition != mask.definition:
                    raise NotUnderstood(f"two masks on `{column}` have the rank {mask.rank}")


def _conditions(block: Block | None) -> frozenset[AnyCondition]:
    if block is None:
        return frozenset()
    require_known(block)
    return frozenset(block.conditions)


def _filter(part: BoundFilter, types: Mapping[str, ColumnType]) -> FilterInput:
    require_known(part)
    if part.columns is not None and not all(isinstance(column, str) for column in part.columns):
        raise NotUnderstood("the proof has no reading of a column that is no name")
    rows = read_test(part.rows, types)
    return FilterInput(
        columns=part.columns,
        rows=rows,
        masks=tuple((column, read_mask(part.masks[column])) for column in sorted(part.masks)),
        everything=part.columns is None and not part.masks and rows == Settled(truth=True),
    )


def _dataset(rules: BoundRowRules, types: Mapping[str, ColumnType]) -> DatasetInput:
    require_known(rules)
    if rules.denies:
        raise NotUnderstood(f"the rules dataset `{rules.name}` denies, of which the proof has no reading")
    for selector in rules.rules:
        require_known(selector)
    if not types.keys() >= set(rules.columns):
        raise NotUnderstood(f"the rules dataset `{rules.name}` restricts what is no column of the table")
    kinds = tuple(types[column] for column in rules.columns)
    return DatasetInput(
        name=rules.name,
        columns=rules.columns,
        rules={selector: frozenset(_rule(rule, kinds) for rule in found) for selector, found in rules.rules.items()},
        fresh_until=rules.fresh_until,
    )


def _column_rules(table: BoundTable, types: Mapping[str, ColumnType]) -> Mapping[str, frozenset[PrincipalSelector]]:
    require_known(*(selector for selectors in table.column_rules.values() for selector in selectors))
    if not types.keys() >= table.column_rules.keys():
        raise NotUnderstood("a column rule closes what is no column of the table")
    return {column: frozenset(selectors) for column, selectors in table.column_rules.items()}


def _column_denials(
    table: BoundTable, types: Mapping[str, ColumnType]
) -> Mapping[str, frozenset[frozenset[PrincipalSelector]]]:
    require_known(*table.column_denials)
    found: dict[str, set[frozenset[PrincipalSelector]]] = {}
    for denial in table.column_denials:
        if not types.keys() >= denial.columns:
            raise NotUnderstood("a denial closes what is no column of the table")
        for column in denial.columns:
            found.setdefault(column, set()).add(_spared(denial.spared))
    return {column: frozenset(spared) for column, spared in found.items()}


def _rule(rule: BoundRule, kinds: tuple[ColumnType, ...]) -> RuleInput:
    return tuple(
        None if values is None else frozenset(_value(value, kind) for value in values)
        for values, kind in zip(rule, kinds, strict=True)
    )


def _value(value: Constant, kind: ColumnType) -> Point:
    try:
        return point_of(value, kind)
    except TypeError as error:
        raise NotUnderstood(f"a rules dataset has {error}") from error


def _denial(denial: BoundDenial) -> DenialInput:
    require_known(denial)
    if not denial.permissions <= _TABLE_PERMISSIONS:
        raise NotUnderstood("a denial has a permission that the proof has no reading of")
    return DenialInput(permissions=denial.permissions, spared=_spared(denial.spared))


def _spared(spared: Spared) -> frozenset[PrincipalSelector]:
    require_known(spared, *spared.selectors)
    return spared.selectors


def _known_s3_denials(policy: BoundPolicy) -> tuple[S3Denial, ...]:
    require_known(*policy.s3_denials, *(denial.pattern for denial in policy.s3_denials))
    if not all(denial.permissions <= _S3_PERMISSIONS for denial in policy.s3_denials):
        raise NotUnderstood("a denial has a permission that the proof has no reading of")
    return policy.s3_denials


def _files_spared(policy: BoundPolicy, location: S3Location | None) -> frozenset[frozenset[PrincipalSelector]]:
    """Give whom the denials spare that keep the files of a table away: those on anything that RAW would give."""
    if location is None:
        return frozenset()
    below = location.key if not location.key or location.key.endswith("/") else f"{location.key}/"
    prefix = S3Location(bucket=location.bucket, key=below)
    return frozenset(
        _spared(denial.spared)
        for denial in _known_s3_denials(policy)
        if (
            denial.permissions & {S3Permission.READ, S3Permission.LIST} and denial.pattern.overlaps(prefix, exact=False)
        )
        or (
            S3Permission.READ in denial.permissions
            and below != location.key
            and denial.pattern.overlaps(location, exact=True)
        )
    )


def _s3_grant(grant: S3Grant, selectors: frozenset[PrincipalSelector]) -> S3GrantInput:
    require_known(grant.pattern)
    if not grant.permissions <= _S3_PERMISSIONS:
        raise NotUnderstood(f"the grant `{grant.name}` has a permission that the proof has no reading of")
    return S3GrantInput(
        name=grant.name,
        selectors=selectors,
        bucket=grant.pattern.bucket,
        glob=_glob(grant.pattern),
        permissions=grant.permissions,
        max_ttl=grant.max_ttl,
        expires=grant.expires,
        conditions=_conditions(grant.conditions),
    )


def _glob(pattern: S3Pattern) -> Glob:
    return normal(_WILD[part] if isinstance(part, Wildcard) else part for part in pattern.key)


def _with_selectors(
    index: Mapping[PrincipalSelector, tuple[G, ...]],
) -> Iterator[tuple[G, frozenset[PrincipalSelector]]]:
    """Give each grant of an index once, by name, with the selectors under which it stands."""
    found: dict[str, G] = {}
    selectors: dict[str, set[PrincipalSelector]] = {}
    for selector, grants in index.items():
        require_known(selector)
        for grant in grants:
            require_known(grant)
            if found.setdefault(grant.name, grant) != grant:
                raise NotUnderstood(f"two grants have the name `{grant.name}`")
            selectors.setdefault(grant.name, set()).add(selector)
    for name in sorted(found):
        yield found[name], frozenset(selectors[name])
