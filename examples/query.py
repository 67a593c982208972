"""Ask one question as yourself.

Sign in once with `penstock login HOST`, then: python examples/query.py HOST "select * from nyc.airlines"
"""

import sys

import penstock


def main(server: str, sql: str) -> None:
    """Print the rows of an answer, and what shaped it."""
    with penstock.connect(server, token=penstock.login.Cached()) as broker, broker.query(sql) as result:
        for batch in result:
            for row in batch.to_pylist():
                print(row)  # noqa: T201 - an example
        for policy in result.explanation:
            print(f"# {policy.table}: by {', '.join(policy.grants)}; rows filtered: {policy.rows_filtered}")  # noqa: T201 - an example


if __name__ == "__main__":
    main(*sys.argv[1:3])
