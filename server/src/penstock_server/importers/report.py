"""The report of an import, as Markdown: what is equal, what was left out and why, what each entry was made from."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from penstock_server.importers.outcome import Compared, Imported, View
from penstock_server.importers.row_forms import words
from penstock_server.model.cell_paths import written_path


def print_report(imported: Imported, *, title: str) -> str:
    """Give the text of the report. Names that AWS's answers chose are escaped, so that none can pose as a heading."""
    lines = [f"# {title}", "", *_summary(imported), ""]
    lines += ["## Compared", "", *_compared(imported.compared), ""]
    lines += ["## Not carried over", "", *_left_out(imported), ""]
    lines += ["## Made from", "", *_sources(imported)]
    return "\n".join(lines) + "\n"


def _summary(imported: Imported) -> Iterator[str]:
    yield f"- compared: {len(imported.compared)} pairs of principal and table, {len(imported.different)} different"
    yield f"- not carried over: {len(imported.left_out)}"
    if imported.different:
        yield "- **no policy was written, because something differs**"
    yield "- nothing here was verified against AWS: both sides are computed from the answers that were read"


def _compared(pairs: Iterable[Compared]) -> Iterator[str]:
    rows = list(pairs)
    if not rows:
        yield "Nothing could be compared."
        return
    yield "| AWS principal | here | table | verdict | columns | rows |"
    yield "|---|---|---|---|---|---|"
    for pair in rows:
        verdict = pair.verdict.value + (", AWS permits more: see below" if pair.left_out else "")
        cells = [_cell(pair.who), _cell(pair.selector), _cell(str(pair.table)), verdict]
        if pair.aws == pair.policy:
            cells += [_columns(pair.aws), _cell(words(pair.aws.rows))]
        else:
            cells += [
                f"AWS: {_columns(pair.aws)}; here: {_columns(pair.policy)}",
                f"AWS: {_cell(words(pair.aws.rows))}; here: {_cell(words(pair.policy.rows))}",
            ]
        yield "| " + " | ".join(cells) + " |"


def _columns(view: View) -> str:
    if not view.columns:
        return "none, but known of" if view.described else "none"
    shown = (
        written_path(name) + ("" if words(where) in {"all", words(view.rows)} else f" where {words(where)}")
        for name, where in view.columns
    )
    return _cell(", ".join(shown))


def _left_out(imported: Imported) -> Iterator[str]:
    if not imported.left_out:
        yield "Nothing."
    for each in imported.left_out:
        yield f"- {_cell(each.place)}: {_cell(each.what)}: {_cell(each.reason)}"


def _sources(imported: Imported) -> Iterator[str]:
    if not imported.sources:
        yield "Nothing."
    for name, source in imported.sources:
        yield f"- `{name}`: {_cell(source)}"


def _cell(text: str) -> str:
    shown = (
        character.encode("unicode_escape", "surrogatepass").decode("ascii")
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        else character
        for character in text
    )
    return "".join("\\" + character if character in "|<>[]*" else character for character in shown)
