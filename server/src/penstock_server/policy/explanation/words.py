"""The words of explanations: what is told to callers about themselves, and nothing that they may not see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock_server.model.decision import Shaping
from penstock_server.model.explanation import ExplanationNode, Verdict
from penstock_server.model.posture import Requirement
from penstock_server.model.predicate import Always, Predicate
from penstock_server.model.principal import EveryoneOf, Group, Principal, PrincipalSelector, UserByName, UserBySubject
from penstock_server.model.schema import TableSchema
from penstock_server.policy.bound import BoundFilter
from penstock_server.policy.conditions.block import Condition, NullCondition
from penstock_server.policy.conditions.posture import required
from penstock_server.policy.explanation.predicates import cells_at, predicate_columns, predicate_in_words
from penstock_server.policy.situation import Situation


def layer(name: str, verdict: Verdict, sentence: str, children: Sequence[ExplanationNode] = ()) -> ExplanationNode:
    """Give one layer or one part of it."""
    return ExplanationNode(layer=name, verdict=verdict, sentence=sentence, children=tuple(children))


def identity_layer(principal: Principal) -> ExplanationNode:
    """Tell callers as whom they are known."""
    named = f"`{principal.username}`" if principal.username is not None else "without a username"
    groups = ""
    if not principal.groups_complete:
        groups = "; your identity provider did not list all of your groups: those that it left out give you nothing"
    subject = f"subject `{principal.subject}`" if principal.subject else "an unknown subject"
    return layer("identity", Verdict.ALLOWED, f"you are {named}, {subject} of `{principal.issuer}`{groups}")


def names(found: Iterable[str]) -> str:
    """Write names in backticks, one after the other."""
    return ", ".join(f"`{name}`" for name in found)


def rows_in_words(rows: Predicate, clear: frozenset[str], schema: TableSchema) -> str:
    """Write which rows are meant; `clear` are the cells that the caller sees clear in each of these rows."""
    if isinstance(rows, Always):
        return "all rows"
    # SECURITY: a predicate may speak of a column, or a field, that the caller does not see there, or sees masked, and
    # of its value.
    spoken_of = cells_at(schema, predicate_columns(rows))
    if spoken_of is None or not spoken_of <= clear:
        return "rows chosen by columns that you do not see clear in them"
    return f"rows where {predicate_in_words(rows)}"


def later_columns_in_words(part: BoundFilter) -> str:
    """Say what becomes of columns that the table does not have yet."""
    if part.columns is None:
        return ""
    if part.excluding:
        return "; columns that are added to the table show at the next load of the policy"
    return "; columns that are added to the table stay hidden"


def narrowing_in_words(shaping: Shaping) -> str:
    """Say what leaves out columns, rows, cells and clear values, each with who does it; "" where nothing does."""
    told: list[str] = []
    if shaping.columns_left_out:
        by = names(shaping.column_lists)
        rules = "column rules" if shaping.column_rules else ""
        denials = "a denial" if shaping.column_denials else ""
        told.append(f"columns are left out by {' and by '.join(each for each in (by, rules, denials) if each)}")
    if shaping.row_filters:
        told.append(f"rows are left out by the filters of {names(shaping.row_filters)}")
    if shaping.row_rules:
        told.append(f"rows are left out by the rules {names(shaping.row_rules)}")
    if shaping.partly_null:
        told.append(f"NULL where no grant shows it: {names(shaping.partly_null)}")
    if shaping.masked:
        told.append(f"masked: {names(dict.fromkeys(column for column, _ in shaping.masked))}")
    return "; ".join(told)


def remedies(shaping: Shaping) -> tuple[ExplanationNode, ...]:
    """Give what a caller may ask the owner of the data for, one for each thing that leaves out something."""
    told: list[str] = []
    if shaping.column_lists:
        lists = names(shaping.column_lists)
        told.append(f"for more columns, ask for a grant that shows them, or for wider `columns` in {lists}")
    if shaping.column_rules:
        told.append("for columns that your grants would show, ask to be named by the column rules")
    if shaping.column_denials:
        told.append("for columns that your grants would show, ask the owner of the data to be spared by the denials")
    if shaping.row_filters:
        told.append(
            f"for more rows, ask for a grant that shows them, or for wider `rows` in {names(shaping.row_filters)}"
        )
    if shaping.row_rules:
        told.append(f"for more rows, ask for rules that name you or your groups in {names(shaping.row_rules)}")
    if shaping.partly_null:
        them = "it" if len(shaping.partly_null) == 1 else "them"
        told.append(f"for {names(shaping.partly_null)} in every row, ask for a grant that shows {them} there")
    if shaping.masked:
        masked = tuple(dict.fromkeys(column for column, _ in shaping.masked))
        them = "it" if len(masked) == 1 else "them"
        told.append(f"for {names(masked)} without a mask, ask for a grant that shows {them} clear")
    return tuple(layer("remedy", Verdict.NARROWED, words) for words in told)


def condition_in_words(condition: Condition | NullCondition, situation: Situation) -> str:
    """Say that a condition is not true, with what the request holds against it."""
    requirement = required(condition)
    if requirement is not None:
        return f"its data is not known to be {requirement[0].value}; ask the owner of the data to mend that"
    held = situation.values(condition.key)
    has = f"your request has {names(held)}" if held else "your request has no such value"
    return f"{condition} is not true: {has}"


def requirement_in_words(requirement: Requirement, bucket: str, situation: Situation) -> tuple[bool, str]:
    """Say, to administrators, whether a bucket meets a requirement now, why not, and how to mend it."""
    if situation.posture.meets(bucket, requirement, at=situation.instant):
        return True, f"the bucket `{bucket}` is {requirement.value}"
    found = situation.posture.of(bucket)
    head = f"the bucket `{bucket}` is not known to be {requirement.value}"
    if found is None:
        return False, f"{head}: it was not looked at yet"
    finding = found.finding(requirement)
    if finding.met:
        return False, f"{head}: what was found at {found.checked_at.isoformat()} is too old"
    return False, f"{head}: {finding.why}; {finding.remedy}"


def selector_in_words(selector: PrincipalSelector) -> str:
    """Say by what a caller is named."""
    match selector:
        case UserByName():
            return "your username"
        case UserBySubject():
            return "you by subject"
        case EveryoneOf():
            return "everyone"
        case Group(name=name):
            return f"your group `{name}`"
