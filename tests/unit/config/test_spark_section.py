"""The entries of `credentials.spark`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from penstock_server.config.loading import load
from penstock_server.config.settings import SparkSettings
from penstock_server.errors import ConfigurationError
from penstock_server.model.spark import SparkKind
from support.configuration import write_configuration

ROLES = """credentials:
  aws:
    region: eu-west-1
    roles:
      lake: {arn: "arn:aws:iam::111122223333:role/lake", serves: ["arn:aws:s3:::acme-lake/*"]}
      query: {arn: "arn:aws:iam::111122223333:role/query", serves: []}
  spark:
    batch: """


def spark(folder: Path, entry: str) -> SparkSettings:
    (found,) = load(write_configuration(folder, credentials=ROLES + entry), environ={}).credentials.spark
    return found


def test_an_entry_arrives_with_its_defaults(tmp_path: Path) -> None:
    entry = "{kind: emr-serverless, application_id: 00f1, region: eu-west-1, role: lake}\n"
    assert spark(tmp_path, entry) == SparkSettings(
        name="batch",
        kind=SparkKind.EMR_SERVERLESS,
        application="00f1",
        region="eu-west-1",
        role="lake",
        max_ttl=timedelta(hours=1),
    )


def test_a_job_of_glue_has_a_name(tmp_path: Path) -> None:
    found = spark(tmp_path, "{kind: glue, job_name: night.ly, region: eu-west-1, role: lake, max_ttl: 12h}\n")
    assert (found.kind, found.application, found.max_ttl) == (SparkKind.GLUE, "night.ly", timedelta(hours=12))


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("{kind: glue, application_id: a, region: eu-west-1, role: lake}", "does not go with `kind: glue`"),
        ("{kind: emr-serverless, application_id: A_, region: eu-west-1, role: lake}", "has not the form"),
        ("{kind: emr-serverless, application_id: a, region: eu-west-1, role: none}", "is no entry of"),
        ("{kind: emr-serverless, application_id: a, region: eu-west-1, role: query}", "has no `serves`"),
        ("{kind: emr-serverless, application_id: a, region: eu-west-1, role: lake, max_ttl: 13h}", "max_ttl"),
        ("{kind: emr, application_id: a, region: eu-west-1, role: lake}", "kind"),
        ("{kind: emr-serverless, region: eu-west-1, role: lake}", "application_id"),
    ],
)
def test_a_wrong_entry_is_refused(tmp_path: Path, entry: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        spark(tmp_path, f"{entry}\n")
    assert any(why in problem for problem in refused.value.problems)
