"""Writes the schemas: `make schema`."""

from __future__ import annotations

from support.editor_schemas.documents import SCHEMAS, printed

if __name__ == "__main__":
    for path, make in SCHEMAS.items():
        path.write_text(printed(make()), encoding="utf-8")
