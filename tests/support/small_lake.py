"""A world for tests of the whole server: one small lake, who sees what of it, and the configuration for both.

| table | analysts (alice) | ops (bob) | others |
|---|---|---|---|
| lake.nyc.flights | JFK rows, no `delay`, `tail` redacted | everything | does not exist |
| lake.nyc.airlines | everything | everything | everything |
| lake.nyc.weather | DESCRIBE only | everything | does not exist |
| lake.nyc.salaries | does not exist | does not exist | does not exist |
| lake.nyc.numbers | everything, 200,000 rows | everything | does not exist |

carol is an auditor (group security), dave an administrator (group platform); neither has data.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from support.tokens import AUDIENCE, ISSUER, TokenMint, rsa_key, write_jwks

FLIGHTS = 1_000
NUMBERS = 200_000

POLICY = """\
version: 1
masks:
  hidden-tail: {rank: 90, builtin: redact}
grants:
  - name: analysts-read-flights
    principals: ["group:analysts"]
    resource: lake.nyc.flights
    permissions: [SELECT]
    columns: {exclude: [delay]}
    rows: "origin = 'JFK'"
    masks: {tail: hidden-tail}
  - name: operations-read-everything
    principals: ["group:ops"]
    resource: lake.nyc.flights
    permissions: [SELECT]
  - name: everyone-reads-airlines
    principals: [everyone]
    resource: lake.nyc.airlines
    permissions: [SELECT]
  - name: analysts-know-of-weather
    principals: ["group:analysts"]
    resource: lake.nyc.weather
    permissions: [DESCRIBE]
  - name: operations-read-weather
    principals: ["group:ops"]
    resource: lake.nyc.weather
    permissions: [SELECT]
  - name: numbers
    principals: ["group:analysts", "group:ops"]
    resource: lake.nyc.numbers
    permissions: [SELECT]
"""

CONFIGURATION = """\
server:
  listen: 127.0.0.1:{port}
identity:
  issuers:
    - issuer: {issuer}
      audience: {audience}
      client_id: penstock-cli
      jwks_file: keys.json
  administrators: ["group:platform"]
  auditors: ["group:security"]
policies: [policies]
catalogs:
  lake:
    engine: duckdb
    parquet: lake
query: {query}
state: {{url: "sqlite:///var/penstock.db"}}
audit: {{path: var/audit}}
"""

QUERY = "{timeout: 20s, stall_timeout: 10s, memory: 256MiB, concurrency: 4}"

GROUPS = {"alice": ["analysts"], "bob": ["ops"], "carol": ["security"], "dave": ["platform"], "mallory": []}


def mint() -> TokenMint:
    """The test issuer's mint, with the key that `write_world` publishes."""
    return TokenMint(key=rsa_key())


def token_for(user: str) -> str:
    """A good token of one of the users above."""
    return mint()(user, groups=GROUPS[user])


def write_world(folder: Path, *, port: int, query: str = QUERY, extra: str = "", policy: str = POLICY) -> Path:
    """Write keys, policies, lake and `penstock.yaml`, whose path is given back; `extra` ends the configuration."""
    write_jwks(folder / "keys.json", rsa_key())
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "nyc.yaml").write_text(policy)
    write_lake(folder / "lake")
    path = folder / "penstock.yaml"
    path.write_text(CONFIGURATION.format(port=port, issuer=ISSUER, audience=AUDIENCE, query=query) + extra)
    return path


def flights() -> pa.Table:
    """The whole of `lake.nyc.flights`, hidden cells too."""
    numbers = range(FLIGHTS)
    return pa.table(
        {
            "flight": pa.array(list(numbers), pa.int64()),
            "origin": pa.array([("JFK", "LGA", "EWR")[n % 3] for n in numbers]),
            "carrier": pa.array([("AA", "UA", "B6", "DL")[n % 4] for n in numbers]),
            "tail": pa.array([None if n % 10 == 0 else f"N{n:05}" for n in numbers]),
            "delay": pa.array([(n * 37) % 200 for n in numbers], pa.int32()),
        }
    )


def write_lake(folder: Path) -> None:
    """Write the Parquet files."""
    nyc = folder / "nyc"
    nyc.mkdir(parents=True, exist_ok=True)
    pq.write_table(flights(), nyc / "flights.parquet")
    airlines = {"carrier": ["AA", "UA", "B6", "DL"], "name": ["American", "United", "JetBlue", "Delta"]}
    pq.write_table(pa.table(airlines), nyc / "airlines.parquet")
    pq.write_table(pa.table({"hour": [1, 2, 3], "temperature": [1.5, 2.5, None]}), nyc / "weather.parquet")
    pq.write_table(pa.table({"name": ["eve"], "salary": [987654321]}), nyc / "salaries.parquet")
    numbers = pa.table({"n": pa.array(range(NUMBERS), pa.int64()), "text": [f"row {n}" for n in range(NUMBERS)]})
    pq.write_table(numbers, nyc / "numbers.parquet")
