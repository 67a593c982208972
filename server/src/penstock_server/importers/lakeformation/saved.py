"""Answers of Lake Formation that were saved as JSON, in the shape in which the API and the AWS CLI give them.

A file is one answer, or a list of the pages of one call in their order. An answer of GetResourceLFTags does not say of
which table it is, so the name of its file does: `get-resource-lf-tags.DATABASE.TABLE.json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from penstock_server.aws.answers import Answer, answer_of
from penstock_server.aws.lake_formation_answers import LakeAnswer, estate_of, operation_of
from penstock_server.errors import ConfigurationError
from penstock_server.importers.json_files import read_json
from penstock_server.model.lake_formation import LakeEstate

RESOURCE_TAGS: Final = "get-resource-lf-tags."
"""How the name of a file with the tags of a table begins."""


def read_estate(folder: Path) -> LakeEstate:
    """Read every `*.json` of a folder.

    Raises:
        ConfigurationError: there is none, or one is no complete answer of a known call.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except OSError as error:
        raise ConfigurationError((f"{folder}: cannot be read: {error.strerror}",)) from error
    return estate_of(tuple(_answer(path) for path in paths))


def _answer(path: Path) -> LakeAnswer:
    value = read_json(path)
    values = value if isinstance(value, list) else [value]
    pages: list[Answer] = []
    for index, page in enumerate(values):
        place = f"{path.name}[{index}]" if isinstance(value, list) else path.name
        pages.append(answer_of(page, place))
    if not pages:
        raise ConfigurationError((f"{path}: holds no page",))
    if path.name.startswith(RESOURCE_TAGS):
        return _resource_tags(path, pages)
    operations = {operation_of(page) for page in pages}
    if len(operations) != 1:
        raise ConfigurationError((f"{path}: holds pages of several calls; save each in a file of its own",))
    return LakeAnswer(operation=operations.pop(), pages=tuple(pages))


def _resource_tags(path: Path, pages: list[Answer]) -> LakeAnswer:
    names = path.stem.removeprefix(RESOURCE_TAGS).split(".")
    if len(names) != 2 or not all(names) or len(pages) != 1:
        raise ConfigurationError(
            (f"{path}: must be one answer about a table, in a file `{RESOURCE_TAGS}DATABASE.TABLE.json`",)
        )
    return LakeAnswer(operation="GetResourceLFTags", pages=tuple(pages), table=(names[0].lower(), names[1].lower()))
