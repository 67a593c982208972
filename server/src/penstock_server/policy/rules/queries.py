"""Rules datasets that come from queries: a policy with queries, and what they gave, to one that can be bound.

Asking them is for somebody else: this package touches no catalog.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from penstock_server.model.decision import PolicyVersion
from penstock_server.model.principal import KnownIssuers, UserBySubject
from penstock_server.model.rules import QueriedRules
from penstock_server.model.schema import TypeFamily
from penstock_server.model.secret import Secret
from penstock_server.policy.problems import Problems
from penstock_server.policy.reading.canonical import hash_parts
from penstock_server.policy.rules.csv_text import RulesTable, parse_rules
from penstock_server.policy.rules.form import RowsOfQuery
from penstock_server.policy.rules.header import NOTE_PREFIX
from penstock_server.policy.rules.reading import NAMES_NOBODY
from penstock_server.policy.source import PolicySource, RowRulesSource, RulesQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: entries with equal questions have equal results."""

    catalog: str
    sql: str


def question_of(query: RulesQuery) -> Question:
    """Give what a query asks."""
    return Question(catalog=query.catalog, sql=query.sql)


def asked_rules(source: PolicySource) -> Iterator[tuple[RowRulesSource, RulesQuery]]:
    """Give the datasets of a policy that come from queries, answered or not."""
    for rules in source.row_rules:
        if rules.query is not None:
            yield rules, rules.query


def answered(
    rules: RowRulesSource, given: QueriedRules, *, asked_at: datetime, issuers: KnownIssuers
) -> RowRulesSource:
    """Give a dataset with what its query gave when it was asked at an instant.

    Raises:
        ConfigurationError: the result has other columns, or is no rules dataset, each as `FILE:LINE: ...` of the query
            and without any value of the result.
    """
    if rules.query is None:
        raise ValueError("a dataset from a file has no query to answer")
    problems = Problems()
    places = RowsOfQuery(place=rules.query.place)
    _check_columns(rules, given, problems)
    problems.raise_if_any()
    table = parse_rules(given.text, places, issuers, problems, form=rules.form)
    if table is not None and rules.denies and not table.rules:
        problems.add(rules.query.place, NAMES_NOBODY)
    problems.raise_if_any()
    return replace(
        rules,
        table=table,
        # SECURITY: every caller is told the version: by a plain hash they could try out guesses of the tables' cells.
        result_digest=bytes.fromhex(Secret(given.text).mark()),
        fresh_until=asked_at + rules.query.max_staleness,
    )


def with_rules(source: PolicySource, datasets: Iterable[RowRulesSource]) -> PolicySource:
    """Give a policy with these datasets in place of those of their names."""
    by_name = {rules.name: rules for rules in datasets}
    return replace(source, row_rules=tuple(by_name.get(rules.name, rules) for rules in source.row_rules))


def adopted(source: PolicySource, known: PolicySource) -> PolicySource:
    """Answer queries by what another policy knows of the same ones, so that nothing has to be asked."""
    answers = {same_dataset(rules): rules for rules, _ in asked_rules(known) if rules.table is not None}
    found = ((rules, answers.get(same_dataset(rules))) for rules, _ in asked_rules(source) if rules.table is None)
    return with_rules(source, (taken_over(rules, answer) for rules, answer in found if answer is not None))


def fresh_from(source: PolicySource, at: datetime) -> PolicySource:
    """Give a policy as if all its queries had been asked at an instant: for comparing policies, not for serving."""
    return with_rules(
        source,
        (
            replace(rules, fresh_until=at + query.max_staleness)
            for rules, query in asked_rules(source)
            if rules.table is not None
        ),
    )


def unasked(rules: RowRulesSource) -> RowRulesSource:
    """Give a dataset from a query with a stand-in for what nobody asked: one rule that names nobody and its question.

    Stand-ins are equal where what they stand for is, whatever it is. Only for telling that nothing else differs.
    """
    nobody = UserBySubject(issuer="", subject=repr(same_dataset(rules)))
    places = RowsOfQuery(place=rules.place)
    table = RulesTable(fields=(), families=(), places=places, rules={nobody: ((),)}, first_rows=())
    return replace(rules, table=table, result_digest=b"", fresh_until=None)


def taken_over(rules: RowRulesSource, answer: RowRulesSource) -> RowRulesSource:
    """Give a dataset with what another entry of the same question and form was answered."""
    return replace(rules, table=answer.table, result_digest=answer.result_digest, fresh_until=answer.fresh_until)


def same_dataset(rules: RowRulesSource) -> tuple[object, ...]:
    """Give what two entries have in common whose results are alike, whatever their names and places."""
    query = rules.query
    form = (tuple(sorted(rules.form.types.items())), rules.form.note_columns)
    if query is None:
        return (rules.name,)
    return (question_of(query), query.max_staleness, form, rules.denies)


def version_with_results(source: PolicySource) -> PolicyVersion:
    """Give the version of a policy: that of its files, and of what its queries gave.

    With queries it means nothing in another process.
    """
    digests = [hash_parts(rules.name.encode(), rules.result_digest or b"") for rules, _ in asked_rules(source)]
    if not digests:
        return source.version
    return PolicyVersion(hash_parts(b"penstock policy 1 with queries", source.version.encode(), *sorted(digests)).hex())


def _check_columns(rules: RowRulesSource, given: QueriedRules, problems: Problems) -> None:
    """Require that each column of the result is of the type that its field is read as: no cast stands between."""
    if rules.query is None:
        return
    for name, family in given.columns:
        if rules.form.note_columns and name.startswith(NOTE_PREFIX):
            continue
        wanted = rules.form.types.get(name, TypeFamily.TEXT)
        if family is not wanted:
            is_what = "of a type that no field has" if family is TypeFamily.OTHER else family.value
            problems.add(
                rules.query.place,
                f"the column `{name}` of the result is {is_what} and the field is {wanted.value}; cast it in the query,"
                " or state its type under `types`",
            )
