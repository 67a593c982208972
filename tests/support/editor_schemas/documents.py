"""Where the schemas stand, and how they are printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from support.documents import ROOT
from support.editor_schemas.configuration import configuration_schema
from support.editor_schemas.policy import policy_schema

SCHEMAS: Mapping[Path, Callable[[], dict[str, Any]]] = {
    ROOT / "docs" / "policy.schema.json": policy_schema,
    ROOT / "docs" / "penstock.schema.json": configuration_schema,
}


def printed(schema: dict[str, Any]) -> str:
    """Give the text of a schema's file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
