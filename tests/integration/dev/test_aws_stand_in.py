"""The stand-in for AWS stays on this machine, and begins empty each time."""

import pytest
from penstock_server.dev.aws_stand_in import AwsStandIn
from penstock_server.errors import ConfigurationError


def test_it_refuses_an_address_that_others_can_reach() -> None:
    with pytest.raises(ConfigurationError, match="loopback"):
        AwsStandIn("0.0.0.0", 0)


def test_a_second_one_in_the_same_process_begins_empty() -> None:
    for _ in range(2):
        with AwsStandIn("127.0.0.1", 0) as aws:
            assert aws.endpoint_url.startswith("http://127.0.0.1:")
