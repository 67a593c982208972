"""The stand-in for AWS, for whoever looks at buckets here."""

from support.aws_stand_in import aws_url

__all__ = ["aws_url"]
