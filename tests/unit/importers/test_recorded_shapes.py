"""The recorded answers have the shapes of the API, by botocore's own definitions. That AWS sends such is not shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from penstock_server.aws.answers import answer_of
from penstock_server.aws.lake_formation_answers import operation_of
from support.imports import VECTORS

SESSION = botocore.session.get_session()
FILES = sorted(VECTORS.rglob("*.json"))


def output_shape(service: str, operation: str) -> Shape:
    shape = SESSION.get_service_model(service).operation_model(operation).output_shape
    assert shape is not None
    return shape


KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "timestamp": (str, int, float),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "double": (int, float),
}


def misfits(value: Any, shape: Shape, place: str) -> Iterator[str]:
    """Give what in a value is not of a shape."""
    if isinstance(shape, StructureShape):
        yield from structure_misfits(value, shape, place)
    elif isinstance(shape, ListShape):
        if not isinstance(value, list):
            yield f"{place}: no list"
            return
        for index, inner in enumerate(value):
            yield from misfits(inner, shape.member, f"{place}[{index}]")
    elif isinstance(shape, MapShape):
        for name, inner in value.items():
            yield from misfits(inner, shape.value, f"{place}.{name}")
    else:
        enum = getattr(shape, "enum", [])
        if not isinstance(value, KINDS[shape.type_name]) or (enum and value not in enum):
            yield f"{place}: {value!r} is no {shape.name}"


def structure_misfits(value: Any, shape: StructureShape, place: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{place}: no object"
        return
    yield from (f"{place}: no member {name}" for name in value if name not in shape.members)
    yield from (f"{place}: lacks {name}" for name in shape.required_members if name not in value)
    if shape.name == "Resource" and len(value) != 1:
        yield f"{place}: not one resource"
    for name, inner in value.items():
        if name in shape.members:
            yield from misfits(inner, shape.members[name], f"{place}.{name}")


def pages(path: Path) -> list[Any]:
    content = json.loads(path.read_text())
    return content if isinstance(content, list) else [content]


def shape_of(path: Path, page: Any) -> Shape:
    if path.parent.name == "quicksight":
        return output_shape("quicksight", "DescribeDataSet")
    return output_shape("lakeformation", operation_of(answer_of(page, path.name)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_recorded_answer_has_the_shape_that_botocore_knows(path: Path) -> None:
    for page in pages(path):
        assert list(misfits(page, shape_of(path, page), path.name)) == []


def test_every_call_that_is_read_has_a_recorded_answer() -> None:
    operations = {
        operation_of(answer_of(pages(path)[0], path.name)) for path in FILES if path.parent.name != "quicksight"
    }
    assert operations == {
        "ListPermissions",
        "ListDataCellsFilter",
        "ListRLSPolicyAttachments",
        "ListLFTags",
        "ListLFTagExpressions",
        "GetLFTag",
        "SearchTablesByLFTags",
        "GetResourceLFTags",
    }


def test_an_answer_of_another_shape_is_seen() -> None:
    shape = output_shape("lakeformation", "ListPermissions")
    wrong = {"PrincipalResourcePermissions": [{"Principal": "x", "Resource": {}, "Permission": 1}]}
    assert len(list(misfits(wrong, shape, "x"))) == 3
