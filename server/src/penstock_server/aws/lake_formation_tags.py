"""Answers of Lake Formation about LF-tags to records: which there are, what they are on, and grants by them.

Source: AWS Lake Formation API, ListLFTags, GetLFTag, GetResourceLFTags, ListLFTagExpressions, LFTagPolicyResource
(botocore 1.44.5).
"""

from __future__ import annotations

from typing import Final

from penstock_server.aws.answers import Answer
from penstock_server.model.lake_formation import LakeTableTags, LakeTag, LakeTagExpression, LakeTagPolicy, LakeTerms

PAGE: Final = ("NextToken", "ResponseMetadata")
"""Members of every answer that say nothing of its content."""


def tag_policy(resource: Answer) -> LakeTagPolicy:
    """Read the resource of a grant by tags."""
    resource.only("CatalogId", "ResourceType", "Expression", "ExpressionName")
    terms = _terms(resource)
    name = resource.text_or_none("ExpressionName")
    # SECURITY: an expression of no terms would be everything.
    if bool(terms) == (name is not None):
        raise resource.problem("must hold either `Expression`, with at least one tag, or `ExpressionName`")
    return LakeTagPolicy(
        catalog_id=resource.text_or_none("CatalogId"), kind=resource.text("ResourceType"), terms=terms, name=name
    )


def tag_expressions(page: Answer) -> tuple[LakeTagExpression, ...]:
    """Read an answer of ListLFTagExpressions."""
    page.only("LFTagExpressions", *PAGE)
    found = []
    for entry in page.children("LFTagExpressions"):
        entry.only("Name", "Description", "CatalogId", "Expression")
        terms = _terms(entry)
        if not terms:
            raise entry.problem("`Expression` must hold at least one tag")
        found.append(
            LakeTagExpression(
                place=entry.place, catalog_id=entry.text_or_none("CatalogId"), name=entry.text("Name"), terms=terms
            )
        )
    return tuple(found)


def defined_tags(page: Answer) -> tuple[LakeTag, ...]:
    """Read an answer of ListLFTags."""
    page.only("LFTags", *PAGE)
    return tuple(_defined(pair) for pair in page.children("LFTags"))


def defined_tag(page: Answer) -> tuple[LakeTag, ...]:
    """Read an answer of GetLFTag."""
    page.only("CatalogId", "TagKey", "TagValues", *PAGE)
    return (_defined(page),)


def table_tags(page: Answer, database: str, table: str) -> LakeTableTags:
    """Read an answer of GetResourceLFTags about a table, which names neither the table nor its database."""
    page.only("LFTagOnDatabase", "LFTagsOnTable", "LFTagsOnColumns", *PAGE)
    columns: dict[str, tuple[LakeTag, ...]] = {}
    for entry in page.children("LFTagsOnColumns"):
        entry.only("Name", "LFTags")
        # AWS: Glue's names are in lower case.
        name = entry.text("Name").lower()
        if name in columns:
            raise entry.problem(f"the column `{name}` stands twice")
        columns[name] = _assigned(entry, "LFTags")
    return LakeTableTags(
        place=page.place,
        database=database,
        table=table,
        on_database=_assigned(page, "LFTagOnDatabase"),
        on_table=_assigned(page, "LFTagsOnTable"),
        on_columns=tuple(columns.items()),
    )


def _defined(pair: Answer) -> LakeTag:
    # AWS: keys and values are stored in lower case.
    return LakeTag(
        place=pair.place,
        catalog_id=pair.text_or_none("CatalogId"),
        key=pair.text("TagKey").lower(),
        values=_values(pair),
    )


def _assigned(holder: Answer, member: str) -> tuple[LakeTag, ...]:
    found: dict[str, LakeTag] = {}
    for pair in holder.children(member):
        pair.only("CatalogId", "TagKey", "TagValues")
        tag = _defined(pair)
        if len(tag.values) != 1 or tag.key in found:
            raise pair.problem("a resource has one value of a tag")
        found[tag.key] = tag
    return tuple(found.values())


def _terms(holder: Answer) -> LakeTerms:
    terms: dict[str, tuple[str, ...]] = {}
    for pair in holder.children("Expression"):
        pair.only("TagKey", "TagValues")
        key, values = pair.text("TagKey").lower(), _values(pair)
        if key in terms or not values:
            raise pair.problem("an expression has each tag once, with at least one value")
        terms[key] = values
    return tuple(terms.items())


def _values(pair: Answer) -> tuple[str, ...]:
    """Give values in lower case; AWS allows an empty one."""
    value = pair.members.get("TagValues")
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise pair.problem("`TagValues` must be a list of texts")
    return tuple(item.lower() for item in value)
