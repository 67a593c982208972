"""What `policy show` tells of items of DynamoDB: the caller's own leading keys, and the denials that hold."""

from __future__ import annotations

from pathlib import Path

from penstock_server.cli.principal_view import ItemsView, S3DenialView, view_of
from penstock_server.model.request import RequestFacts
from support.policies import NOW, bind_policy, principal

ORDERS = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders"
POLICY = f"""\
version: 1
grants:
  - name: own
    principals: [everyone]
    resource: "{ORDERS}"
    permissions: [READ]
    items: {{leading_keys: ["USER#${{penstock:Username}}"], attributes: [id, total]}}
  - name: team
    principals: [everyone]
    resource: "{ORDERS}"
    permissions: [READ]
    items: {{leading_keys: ["${{penstock:PrincipalTag/team}}"]}}
denials:
  - {{resource: "{ORDERS}/index/by-user", permissions: [READ], except_principals: ["user:bob"]}}
"""


def test_leading_keys_are_shown_with_the_callers_values_and_grants_without_one_are_not(tmp_path: Path) -> None:
    policy = bind_policy(tmp_path, POLICY)
    view = view_of(policy, principal("alice"), facts=RequestFacts.of_instant(NOW), logins=())
    assert view.items == (
        ItemsView(
            arn=ORDERS,
            permissions=("READ",),
            leading_keys=("USER#alice",),
            attributes=("id", "total"),
            grant="own",
            max_ttl=None,
            until=None,
        ),
    )
    assert view.items_denials == (S3DenialView(arn=f"{ORDERS}/index/by-user", permissions=("READ",)),)
    assert view_of(policy, principal("bob"), facts=RequestFacts.of_instant(NOW), logins=()).items_denials == ()
