"""The code blocks of our documents, and how each is checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
)
SHOWN = frozenset({"", "csv"})
"""Languages of blocks that only show something."""

_BLOCK = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its language, what the test makes of it, and why it is not run ("" where it is)."""

    document: Path
    line: int
    language: str
    kind: str
    not_run: str
    text: str

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path) -> list[Block]:
    """Give all fenced blocks of a document."""
    content = document.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(content):
        words, _, reason = match["info"].partition("not run:")
        language, _, kind = words.strip().partition(" ")
        found.append(
            Block(
                document=document,
                line=content.count("\n", 0, match.start()) + 1,
                language=language,
                kind=kind.strip(),
                not_run=reason.strip(),
                text=match["text"],
            )
        )
    return found


def all_blocks() -> list[Block]:
    """Give the blocks of all documents, in order."""
    return [block for document in DOCUMENTS for block in blocks(document)]
