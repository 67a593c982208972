"""What the two people ask, and what each is shown."""

from __future__ import annotations

import json

import penstock
import stage
from rich.console import RenderableType

SAME_ROWS = """\
SELECT month, day, carrier, flight, origin, dest, tailnum, arr_delay
FROM nyc.flights
ORDER BY time_hour, carrier, flight, sched_dep_time
LIMIT 6"""
JOIN = """\
SELECT a.name AS airline, f.origin, count(*) AS flights, round(avg(f.arr_delay), 1) AS avg_delay
FROM nyc.flights f JOIN nyc.airlines a USING (carrier)
GROUP BY ALL ORDER BY flights DESC, airline LIMIT 7"""
EXCLUDED = "SELECT origin, avg(air_time) AS minutes FROM nyc.flights GROUP BY origin ORDER BY origin"
DENIED = "SELECT avg(temp) FROM nyc.weather"
HIDDEN = "SELECT count(*) AS planes FROM nyc.planes"
MISSING = "SELECT count(*) AS planes FROM nyc.spaceships"


def ask(broker: penstock.Broker, who: str, sql: str) -> RenderableType:
    """Send one statement for one person; an error is shown as that person sees it."""
    try:
        result = broker.query(sql)
        table = result.to_arrow()
    except penstock.PenstockError as error:
        return stage.message(who, _sentence(error), good=False)
    rows = [tuple(row.values()) for row in table.to_pylist()]
    return stage.answer(who, table.column_names, rows, _shaped_by(result))


def columns(broker: penstock.Broker, who: str) -> RenderableType:
    """Show the table as one person may know it."""
    table = broker.describe("nyc.flights")
    names = ", ".join(column.name + (f" ({column.mask})" if column.mask else "") for column in table.columns)
    return stage.message(who, f"{len(table.columns)} columns: {names}", good=True)


def aws_session(broker: penstock.Broker, arn: str) -> RenderableType:
    """Ask for an AWS session; shows its expiry and the session policy that was sent."""
    try:
        issued = broker.aws_credentials([arn], access="read", ttl=1800, purpose="demo")
    except penstock.PenstockError as error:
        return stage.message(f"alice asks for {arn}", _sentence(error), good=False)
    statements = json.loads(issued.session_policy)["Statement"]
    policy = "\n".join(json.dumps(statement) for statement in statements)
    text = (
        f"access key {issued.access_key_id}, ends {issued.expires_at:%H:%M:%S} UTC, lease {issued.lease_id[:8]}...\n"
        f"revocable: {issued.revocable}\n"
        f"session policy, a statement a line ({len(issued.session_policy)} of 2,048 characters):\n{policy}"
    )
    return stage.message(f"alice asks for {arn}", text, good=True)


def redshift(broker: penstock.Broker, who: str) -> RenderableType:
    """Ask for a Redshift login."""
    try:
        login = broker.redshift_login("analytics")
    except penstock.PenstockError as error:
        return stage.message(f"{who} asks for redshift:analytics", _sentence(error), good=False)
    text = (
        f"user {login.user}, database {login.database}, groups {', '.join(login.database_groups)}\n"
        f"host {login.host}:{login.port}\nends {login.expires_at:%H:%M:%S} UTC, lease {login.lease_id[:8]}..."
    )
    return stage.message(f"{who} asks for redshift:analytics", text, good=True)


def _sentence(error: penstock.PenstockError) -> str:
    return f"{error.reason}\n{error.message}" + (f"\n-> {error.hint}" if error.hint else "")


def _shaped_by(result: penstock.Result) -> str:
    parts = []
    for policy in result.explanation:
        what = [f"grant {name}" for name in policy.grants] + [f"row rule {name}" for name in policy.row_rules]
        what += [f"{masked.column} masked by {masked.mask}" for masked in policy.masked_columns]
        parts.append(f"{policy.table.removeprefix('lake.')}: " + ", ".join(what))
    return "\n".join(parts)
