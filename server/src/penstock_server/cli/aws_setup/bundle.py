"""All files of a set-up."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from penstock_server.cli.aws_setup import cloudformation, configuration, providers, redshift_sql, terraform
from penstock_server.cli.aws_setup.documents import owner_bucket_policy
from penstock_server.cli.aws_setup.wanted import SetUp

FRAGMENT_FILE: Final = "roles.yaml"


class Form(StrEnum):
    """The form of the template."""

    CLOUDFORMATION = "cloudformation"
    TERRAFORM = "terraform"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUpFile:
    """One file; `name` is its path below the folder, and ends in `/` where it is a folder; `says` what it is for."""

    name: str
    text: str
    says: str


def files(setup: SetUp, form: Form) -> tuple[SetUpFile, ...]:
    """Give the files, in the order in which they are used."""
    form_of = {Form.CLOUDFORMATION: cloudformation, Form.TERRAFORM: terraform}[form]
    template = SetUpFile(name=form_of.FILE, text=form_of.template(setup), says="the roles: deploy it")
    external_id = SetUpFile(
        name=configuration.EXTERNAL_ID_FILE,
        text=configuration.environment(setup),
        says="the external id of this account, which is no secret, for the service's environment",
    )
    if setup.foreign_broker is not None:
        fragment = SetUpFile(
            name=FRAGMENT_FILE,
            text="# Below `credentials.aws.roles` of the broker's configuration.\n" + configuration.role_lines(setup),
            says="the entry of the role, for the configuration of the broker in the other account",
        )
        return template, external_id, fragment
    recipe = providers.RECIPES[setup.provider]
    found = [
        template,
        external_id,
        SetUpFile(
            name=configuration.FILE,
            text=configuration.configuration(setup, claims=recipe.claims),
            says="the configuration",
        ),
        SetUpFile(name=configuration.LAKE_FOLDER, text="", says="a folder for tables, which are Parquet files"),
        SetUpFile(name=configuration.POLICY_FILE, text=configuration.POLICY, says="a policy that grants nothing yet"),
        SetUpFile(
            name=providers.FILE, text=providers.recipe_text(setup), says=f"what to do at {recipe.title}, step by step"
        ),
    ]
    if setup.cluster is not None:
        text = redshift_sql.statements(setup.cluster)
        found.append(SetUpFile(name=redshift_sql.FILE, text=text, says="run it in the cluster, as an administrator"))
    found += [
        SetUpFile(
            name=f"bucket-policy-{bucket.name}.json",
            text=json.dumps(owner_bucket_policy(setup, bucket), indent=2) + "\n",
            says=f"what account {bucket.account} adds to the policy of its bucket `{bucket.name}`",
        )
        for bucket in setup.foreign_buckets
    ]
    return tuple(found)
