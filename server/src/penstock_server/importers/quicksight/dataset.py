"""A QuickSight dataset, as DescribeDataSet gives it.

Source: Amazon QuickSight API, DescribeDataSet (botocore 1.44.5). Rules stand in two places since semantic models exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock_server.aws.answers import Answer, answer_of
from penstock_server.importers.json_files import read_json

_ARN: Final = re.compile(r"arn:[a-z0-9-]+:quicksight:[a-z0-9-]*:([0-9]{12}):(.+)", re.ASCII | re.DOTALL)
_PLAIN_SOURCES: Final = frozenset({"RelationalTable", "S3Source"})
_PLAIN_TRANSFORMS: Final = frozenset({"ProjectOperation", "TagColumnOperation"})
_DEFAULT_NAMESPACE: Final = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesReference:
    """Which rules dataset applies and how. `by_arn` tells whether it names users and groups by their ARNs."""

    place: str
    namespace: str
    grants: bool
    enabled: bool
    by_arn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRule:
    """Columns that only these principals see, by identity (`user/NAMESPACE/NAME`) where the ARN is of this account."""

    place: str
    columns: tuple[str, ...]
    principals: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A dataset. `columns` pairs name and type; `not_plain` says, for each reason, why it is not one table as it is."""

    place: str
    name: str
    account: str
    columns: tuple[tuple[str, str], ...]
    rules: tuple[RulesReference, ...]
    tag_rules: tuple[str, ...]
    column_rules: tuple[ColumnRule, ...]
    not_plain: tuple[str, ...]


def read_dataset(path: Path) -> DataSet:
    """Read a saved DescribeDataSet answer.

    Raises:
        ConfigurationError: it is none.
    """
    answer = answer_of(read_json(path), path.name)
    answer.only("DataSet", "RequestId", "Status", "ResponseMetadata")
    return _dataset(answer.required("DataSet"))


def identity(arn: str, account: str) -> str:
    """Give the identity behind a user's or group's ARN: `user/NAMESPACE/NAME`; any other text is given as it is."""
    match = _ARN.fullmatch(arn)
    return match[2] if match is not None and match[1] == account else arn


def _dataset(found: Answer) -> DataSet:
    found.only(
        *("Arn", "DataSetId", "Name", "CreatedTime", "LastUpdatedTime", "PhysicalTableMap", "LogicalTableMap"),
        *("OutputColumns", "ImportMode", "ConsumedSpiceCapacityInBytes", "ColumnGroups", "FieldFolders"),
        *("RowLevelPermissionDataSet", "RowLevelPermissionTagConfiguration", "ColumnLevelPermissionRules"),
        *("DataSetUsageConfiguration", "DatasetParameters", "PerformanceConfiguration", "UseAs"),
        *("DataPrepConfiguration", "SemanticModelConfiguration"),
    )
    arn = _ARN.fullmatch(found.text("Arn"))
    if arn is None:
        raise found.problem("`Arn` is no ARN of QuickSight")
    holders = list(_holders(found))
    return DataSet(
        place=found.place,
        name=found.text("Name"),
        account=arn[1],
        columns=tuple((column.text("Name"), column.text("Type")) for column in found.children("OutputColumns")),
        rules=tuple(
            _reference(child) for child in (holder.child("RowLevelPermissionDataSet") for holder in holders) if child
        ),
        tag_rules=tuple(_tag_rules(holders)),
        column_rules=tuple(_column_rule(rule, arn[1]) for rule in found.children("ColumnLevelPermissionRules")),
        not_plain=tuple(_not_plain(found)),
    )


def _holders(found: Answer) -> Iterator[Answer]:
    """Give every place that may hold rules."""
    yield found
    semantic = found.child("SemanticModelConfiguration")
    if semantic is None:
        return
    semantic.only("TableMap", "SemanticMetadata")
    for table in semantic.entries("TableMap"):
        table.only("Alias", "DestinationTableId", "RowLevelPermissionConfiguration", "SemanticMetadata")
        inner = table.child("RowLevelPermissionConfiguration")
        if inner is not None:
            inner.only("TagConfiguration", "RowLevelPermissionDataSet")
            yield inner


def _reference(found: Answer) -> RulesReference:
    found.only("Namespace", "Arn", "PermissionPolicy", "FormatVersion", "Status")
    version = found.text_or_none("FormatVersion") or "VERSION_1"
    if version not in {"VERSION_1", "VERSION_2"}:
        raise found.problem(f"`FormatVersion` `{version}` is not known")
    return RulesReference(
        place=found.place,
        namespace=found.text_or_none("Namespace") or _DEFAULT_NAMESPACE,
        grants=found.text("PermissionPolicy") == "GRANT_ACCESS",
        enabled=(found.text_or_none("Status") or "ENABLED") == "ENABLED",
        by_arn=version == "VERSION_2",
    )


def _tag_rules(holders: list[Answer]) -> Iterator[str]:
    for holder in holders:
        for name in ("RowLevelPermissionTagConfiguration", "TagConfiguration"):
            found = holder.child(name)
            if found is not None:
                yield found.place


def _column_rule(rule: Answer, account: str) -> ColumnRule:
    rule.only("Principals", "ColumnNames")
    principals = tuple(identity(arn, account) for arn in rule.texts("Principals"))
    return ColumnRule(place=rule.place, columns=rule.texts("ColumnNames"), principals=principals)


def _not_plain(found: Answer) -> Iterator[str]:
    """Say what makes the dataset something else than the rows of one table as they are."""
    sources = [kind for entry in found.entries("PhysicalTableMap") for kind in entry.members]
    if len(sources) != 1 or sources[0] not in _PLAIN_SOURCES:
        yield f"its source is {', '.join(sources) or 'not stated'}, not one table"
    logical = found.entries("LogicalTableMap")
    if len(logical) > 1:
        yield "it has several logical tables"
    for table in logical:
        source = table.required("Source")
        if not source.has("PhysicalTableId") or len(source.members) != 1:
            yield "it joins, or is made from another dataset"
        for transform in table.children("DataTransforms"):
            for kind in transform.members:
                if kind not in _PLAIN_TRANSFORMS:
                    yield f"it changes the table by {kind}"
    if found.has("DataPrepConfiguration"):
        yield "it prepares its data by a DataPrepConfiguration"
    if found.has("UseAs"):
        yield f"it is used as {found.text('UseAs')}"
