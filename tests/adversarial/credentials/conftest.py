from __future__ import annotations

from support.aws_stand_in import aws_url

__all__ = ["aws_url"]
