"""The entries of `credentials.spark`: platforms that run Spark jobs under a person's scope."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from penstock_server.config.document import Entry
from penstock_server.config.named_entries import REGION, check_name, matching
from penstock_server.config.reading import MapReader, shown
from penstock_server.config.settings import RoleSettings, SparkSettings
from penstock_server.model.spark import SparkKind

# Source: botocore's models of emr-serverless and glue (ApplicationId; NameString, of which we take a part).
_APPLICATION: Final = re.compile(r"[0-9a-z]{1,64}", re.ASCII)
_JOB: Final = re.compile(r"[A-Za-z0-9_.-]{1,255}", re.ASCII)
_SHORTEST: Final = timedelta(minutes=15)
_LONGEST: Final = timedelta(hours=12)
_DEFAULT: Final = timedelta(hours=1)
_PLACES: Final = {SparkKind.EMR_SERVERLESS: "application_id", SparkKind.GLUE: "job_name"}


def read_spark(parent: MapReader, roles: tuple[RoleSettings, ...]) -> tuple[SparkSettings, ...]:
    """Read the entries. Problems go to the reader's collection."""
    return tuple(_read(parent, entry, roles) for entry in parent.named("spark"))


def _read(parent: MapReader, entry: Entry, roles: tuple[RoleSettings, ...]) -> SparkSettings:
    reader = MapReader(
        entry.node,
        parent.problems,
        name=f"{parent.path('spark')}.{entry.key}",
        known=("kind", "application_id", "job_name", "region", "role", "max_ttl"),
        place=entry.place,
    )
    check_name(reader, entry)
    for key in ("kind", "region", "role"):
        reader.required(key)
    kind = reader.choice("kind", SparkKind) or SparkKind.EMR_SERVERLESS
    here = _PLACES[kind]
    if reader.node(here) is None:
        reader.complain(here, f"is missing, which `kind: {kind.value}` needs")
    for other in _PLACES.values():
        if other != here and reader.node(other) is not None:
            reader.complain(other, f"does not go with `kind: {kind.value}`, which has `{here}`")
    application = matching(reader, "application_id", _APPLICATION, "`00f1abcdexample`: lower-case letters and digits")
    job = matching(reader, "job_name", _JOB, "a name of at most 255 letters, digits, `_`, `.`, `-`")
    return SparkSettings(
        name=entry.key,
        kind=kind,
        application=application if kind is SparkKind.EMR_SERVERLESS else job,
        region=matching(reader, "region", REGION, "`eu-west-1`"),
        role=_read_role(reader, roles),
        max_ttl=reader.duration("max_ttl", minimum=_SHORTEST, maximum=_LONGEST) or _DEFAULT,
    )


def _read_role(reader: MapReader, roles: tuple[RoleSettings, ...]) -> str:
    name = reader.text("role") or ""
    found = next((role for role in roles if role.name == name), None)
    if name and found is None:
        reader.complain("role", f"{shown(name)} is no entry of `credentials.aws.roles`")
    if found is not None and not found.serves:
        reader.complain("role", f"{shown(name)} has no `serves`, so that no job could ask for anything")
    return name
