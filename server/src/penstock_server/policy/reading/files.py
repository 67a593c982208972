"""Reads policy files: text to a `PolicySource`, or every problem of every file at once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar

from penstock_server.config.document import Entry, ListNode, MapNode, Node, Place, ScalarNode, parse
from penstock_server.config.secrets import SecretReferences
from penstock_server.errors import ConfigurationError
from penstock_server.model.principal import KnownIssuers
from penstock_server.model.services import Service, ServiceTarget
from penstock_server.policy.masks.declared import MaskSource
from penstock_server.policy.masks.reading import read_mask
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.canonical import policy_version
from penstock_server.policy.reading.cells import read_filter
from penstock_server.policy.reading.fields import Fields, Keys, Text
from penstock_server.policy.reading.file_trees import DiskFiles, PolicyFiles
from penstock_server.policy.reading.grants import read_grant
from penstock_server.policy.reading.restrictions import read_column_rule, read_denial
from penstock_server.policy.rules.reading import read_row_rules
from penstock_server.policy.source import (
    ColumnRuleSource,
    DynamoDbDenial,
    DynamoDbGrant,
    FilterSource,
    PolicySource,
    RedshiftDenial,
    RedshiftGrant,
    RowRulesSource,
    S3Denial,
    S3Grant,
    ServiceDenial,
    ServiceGrant,
    TableDenial,
    TableGrant,
    TagDenial,
    TagGrant,
)
from penstock_server.policy.tags.reading import TagReader

_FILE_KEYS: Final = Keys(
    what="a policy file",
    known=frozenset(
        {"version", "masks", "filters", "grants", "row_rules", "column_rules", "denials", "tags", "tagged"}
    ),
    unavailable=frozenset(),
)


def load(paths: tuple[Path, ...], issuers: KnownIssuers, *, secrets: SecretReferences | None = None) -> PolicySource:
    """Read the policy files of these files and folders; their order never matters.

    `secrets` resolve the keys of hash masks; None = from the environment of this process.

    Raises:
        ConfigurationError: whatever is wrong in any of them, each as `FILE:LINE: what, why, how to mend it`.
    """
    return load_files(DiskFiles(paths), issuers, secrets=secrets)


def load_files(files: PolicyFiles, issuers: KnownIssuers, *, secrets: SecretReferences | None = None) -> PolicySource:
    """Read policy files, wherever they come from. Raises as `load`."""
    problems = Problems()
    loader = _Loader(files, issuers, secrets or SecretReferences(os.environ), problems)
    for path in files.names(problems):
        try:
            node = parse(files.text(path), path)
        except ConfigurationError as error:
            problems.add_error(error)
            continue
        loader.take(node, path)
    loader.check_names()
    problems.raise_if_any()
    return loader.source()


@dataclass(slots=True)
class _Found:
    """What the files hold, in the order in which it was read."""

    masks: list[MaskSource] = field(default_factory=list)
    filters: list[FilterSource] = field(default_factory=list)
    table_grants: list[TableGrant] = field(default_factory=list)
    s3_grants: list[S3Grant] = field(default_factory=list)
    redshift_grants: list[RedshiftGrant] = field(default_factory=list)
    row_rules: list[RowRulesSource] = field(default_factory=list)
    column_rules: list[ColumnRuleSource] = field(default_factory=list)
    table_denials: list[TableDenial] = field(default_factory=list)
    s3_denials: list[S3Denial] = field(default_factory=list)
    redshift_denials: list[RedshiftDenial] = field(default_factory=list)
    tag_grants: list[TagGrant] = field(default_factory=list)
    tag_denials: list[TagDenial] = field(default_factory=list)
    dynamodb_grants: list[DynamoDbGrant] = field(default_factory=list)
    dynamodb_denials: list[DynamoDbDenial] = field(default_factory=list)
    service_grants: list[ServiceGrant] = field(default_factory=list)
    service_denials: list[ServiceDenial] = field(default_factory=list)


class _Named(Protocol):
    """What has a name and a place."""

    @property
    def name(self) -> str: ...

    @property
    def place(self) -> Place: ...


N = TypeVar("N", bound=_Named)


class _Loader:
    """Collects the entries of all files."""

    def __init__(
        self, files: PolicyFiles, issuers: KnownIssuers, secrets: SecretReferences, problems: Problems
    ) -> None:
        self._secrets = secrets
        self._files = files
        self._issuers = issuers
        self._problems = problems
        self._found = _Found()
        self._tags = TagReader(problems)
        self._entries: list[tuple[str, Node]] = []
        self._datasets: list[bytes] = []
        # Also those that have problems of their own: a grant that uses them has none.
        self._declared: set[str] = set()

    def take(self, node: Node, path: Path) -> None:
        """Take the entries of one file."""
        if not isinstance(node, MapNode):
            self._problems.add(node.place, "a policy file holds keys with values, beginning with `version: 1`")
            return
        fields = Fields(node, _FILE_KEYS, self._problems)
        self._check_version(fields)
        self._take_tags(fields)
        for entry in self._mapping(fields, "masks"):
            name = Text(value=entry.key, place=entry.place)
            mask = read_mask(name, entry.node, self._secrets, self._problems)
            self._found.masks += [mask] if mask is not None else []
        for entry in self._mapping(fields, "filters"):
            named = read_filter(Text(value=entry.key, place=entry.place), entry.node, self._problems)
            self._found.filters += [named] if named is not None else []
        for item in self._list(fields, "grants"):
            self._grant(item)
        for item in self._list(fields, "row_rules"):
            read_rules = read_row_rules(item, path, self._files, self._issuers, self._problems)
            if read_rules is not None:
                self._found.row_rules.append(read_rules.rules)
                self._datasets.append(read_rules.content)
        for item in self._list(fields, "column_rules"):
            rule = read_column_rule(item, self._issuers, self._problems)
            self._found.column_rules += [rule] if rule is not None else []
        for item in self._list(fields, "denials"):
            self._denial(item)

    def _take_tags(self, fields: Fields) -> None:
        for entry in self._mapping(fields, "tags"):
            self._tags.declare(entry)
        for item in self._list(fields, "tagged"):
            self._tags.assign(item)

    def check_names(self) -> None:
        """Require that names are unique in their kind, and that every mask and filter that is used exists."""
        found = self._found
        grants: list[_Named] = [*found.table_grants, *found.tag_grants, *found.s3_grants, *found.redshift_grants]
        grants += [*found.dynamodb_grants, *found.service_grants]
        self._tags.check()
        self._unique("grant", grants)
        self._check_workgroups()
        self._unique("mask", found.masks)
        self._unique("filter", found.filters)
        self._unique("rules dataset", found.row_rules)
        filters = {named.name: named for named in found.filters}
        for grant in found.table_grants:
            for use in grant.masks:
                if f"masks.{use.mask.value}" not in self._declared:
                    self._problems.add(use.mask.place, f"no mask `{use.mask.value}` is declared under `masks`")
            for name in grant.filters:
                self._check_filter(grant, name, filters.get(name.value))

    def source(self) -> PolicySource:
        """Give what was read; only where there are no problems. No decision depends on the order of files."""
        found = self._found
        return PolicySource(
            version=policy_version(self._entries, self._datasets),
            issuers=self._issuers,
            masks=_sorted(found.masks),
            filters=_sorted(found.filters),
            table_grants=_sorted(found.table_grants),
            s3_grants=_sorted(found.s3_grants),
            redshift_grants=_sorted(found.redshift_grants),
            row_rules=_sorted(found.row_rules),
            column_rules=tuple(found.column_rules),
            table_denials=tuple(found.table_denials),
            s3_denials=tuple(found.s3_denials),
            redshift_denials=tuple(found.redshift_denials),
            tags=self._tags.assignments,
            tag_grants=_sorted(found.tag_grants),
            tag_denials=tuple(found.tag_denials),
            dynamodb_grants=_sorted(found.dynamodb_grants),
            dynamodb_denials=tuple(found.dynamodb_denials),
            service_grants=_sorted(found.service_grants),
            service_denials=tuple(found.service_denials),
        )

    def _check_version(self, fields: Fields) -> None:
        node = fields.node("version")
        if node is not None and not (isinstance(node, ScalarNode) and node.value == 1 and node.text == "1"):
            self._problems.add(node.place, "`version` must be 1, the only version of the format")

    def _mapping(self, fields: Fields, key: str) -> tuple[Entry, ...]:
        node = fields.mapping(key) if fields.has(key) else None
        entries = node.entries if node is not None else ()
        self._entries += [(f"{key}.{entry.key}", entry.node) for entry in entries]
        self._declared.update(f"{key}.{entry.key}" for entry in entries)
        return entries

    def _list(self, fields: Fields, key: str) -> tuple[Node, ...]:
        node = fields.node(key) if fields.has(key) else None
        if node is None:
            return ()
        if not isinstance(node, ListNode) or not node.items:
            self._problems.add(node.place, f"`{key}` must be a list with at least one entry")
            return ()
        self._entries += [(key, item) for item in node.items]
        return node.items

    def _grant(self, node: Node) -> None:
        grant = read_grant(node, self._issuers, self._tags, self._problems)
        match grant:
            case TableGrant():
                self._found.table_grants.append(grant)
            case S3Grant():
                self._found.s3_grants.append(grant)
            case RedshiftGrant():
                self._found.redshift_grants.append(grant)
            case TagGrant():
                self._found.tag_grants.append(grant)
            case DynamoDbGrant():
                self._found.dynamodb_grants.append(grant)
            case ServiceGrant():
                self._found.service_grants.append(grant)
            case None:
                pass

    def _denial(self, node: Node) -> None:
        denial = read_denial(node, self._issuers, self._tags, self._problems)
        match denial:
            case TableDenial():
                self._found.table_denials.append(denial)
            case S3Denial():
                self._found.s3_denials.append(denial)
            case RedshiftDenial():
                self._found.redshift_denials.append(denial)
            case TagDenial():
                self._found.tag_denials.append(denial)
            case DynamoDbDenial():
                self._found.dynamodb_denials.append(denial)
            case ServiceDenial():
                self._found.service_denials.append(denial)
            case None:
                pass

    def _check_workgroups(self) -> None:
        """Require that an Athena workgroup is in one grant: everybody in it reads what the others found."""
        seen: dict[ServiceTarget, str] = {}
        for grant in self._found.service_grants:
            if grant.target.service is Service.ATHENA and seen.setdefault(grant.target, grant.name) != grant.name:
                self._problems.add(
                    grant.place,
                    f"`{grant.target}` is in the grant `{seen[grant.target]}` too: everybody in a workgroup reads the "
                    "others' results; name all of them in one grant, or give each its own workgroup",
                )

    def _check_filter(self, grant: TableGrant, name: Text, named: FilterSource | None) -> None:
        if f"filters.{name.value}" not in self._declared:
            self._problems.add(name.place, f"no filter `{name.value}` is declared under `filters`")
        elif named is not None and grant.resource.key() != named.resource.key():
            self._problems.add(
                name.place, f"the filter `{name.value}` is one of {named.resource}, not of {grant.resource}"
            )

    def _unique(self, kind: str, entries: Iterable[_Named]) -> None:
        seen: dict[str, Place] = {}
        for entry in entries:
            first = seen.setdefault(entry.name, entry.place)
            if first is not entry.place:
                self._problems.add(entry.place, f"the {kind} `{entry.name}` stands at {first} already; rename one")


def _sorted(entries: Iterable[N]) -> tuple[N, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.name))
