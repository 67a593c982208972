"""The environment of a program that is to have one AWS session and no other source of credentials."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from penstock.credentials import AwsCredentials
from penstock.delivery.forms import variables

# SECURITY: what stays is listed, not what goes: AWS adds sources of credentials (profiles, config files, SSO, web
# identity, containers, login caches), and a name that is not known here must not become one.
_KEPT: Final = frozenset(
    {
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_CA_BUNDLE",
        "AWS_DEFAULTS_MODE",
        "AWS_DEFAULT_OUTPUT",
        "AWS_EXECUTION_ENV",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "AWS_MAX_ATTEMPTS",
        "AWS_PAGER",
        "AWS_RETRY_MODE",
        "AWS_SDK_UA_APP_ID",
        "AWS_STS_REGIONAL_ENDPOINTS",
        "AWS_USE_DUALSTACK_ENDPOINT",
        "AWS_USE_FIPS_ENDPOINT",
    }
)
_KEPT_PREFIX: Final = "AWS_ENDPOINT_URL"


def cleared(environment: Mapping[str, str]) -> dict[str, str]:
    """Give an environment without any source of AWS credentials: not in it, in files, or at metadata endpoints.

    Regions, endpoints, retries and the like stay. The configuration files are empty ones: settings in them are gone
    too, since what names a profile or a process to run stands among them.
    """
    kept = {name: value for name, value in environment.items() if not _is_source(name)}
    return {
        **kept,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        # botocore reads the files of its predecessor too, `/etc/boto.cfg` and `~/.boto`, unless one is named.
        "BOTO_CONFIG": os.devnull,
    }


def with_session(environment: Mapping[str, str], session: AwsCredentials) -> dict[str, str]:
    """Give the environment of a program with a session that does not renew itself."""
    return _regional({**cleared(environment), **dict(variables(session))}, environment, session.region)


def with_endpoint(environment: Mapping[str, str], endpoint: Mapping[str, str], *, region: str) -> dict[str, str]:
    """Give the environment of a program that asks a loopback endpoint for its session."""
    return _regional({**cleared(environment), **endpoint}, environment, region)


def _regional(child: dict[str, str], parent: Mapping[str, str], region: str) -> dict[str, str]:
    named = parent.get("AWS_REGION") or parent.get("AWS_DEFAULT_REGION") or region
    # Some SDKs read one name, some the other.
    return {**child, "AWS_REGION": named, "AWS_DEFAULT_REGION": named} if named else child


def _is_source(name: str) -> bool:
    upper = name.upper()
    if upper == "BOTO_CONFIG":
        return True
    return upper.startswith("AWS_") and upper not in _KEPT and not upper.startswith(_KEPT_PREFIX)
