"""Applies what `sync` says to the stand-in, in PostgreSQL's own words; what that lacks is noted in its catalogs."""

from __future__ import annotations

import re

from support.redshift_stand_in import StandIn, in_postgresql

_CREATE_ROWS = re.compile(r'CREATE RLS POLICY "(\w+)"(?: WITH \(.*?\))? USING \((.*)\)')
_ATTACH_ROWS = re.compile(r'ATTACH RLS POLICY "(\w+)" ON (\S+) TO ROLE "(\w+)"')
_CREATE_MASK = re.compile(r'CREATE MASKING POLICY "(\w+)" WITH \(.*?\) USING \((.*)\)')
_ATTACH_MASK = re.compile(
    r'ATTACH MASKING POLICY "(\w+)" ON "(\w+)"\."(\w+)" \("(\w+)"\) USING \(.*\) TO ROLE "(\w+)" PRIORITY 10'
)
_SECURE = re.compile(r"ALTER TABLE (\S+) ROW LEVEL SECURITY ON CONJUNCTION TYPE AND")
_SHARE = re.compile(r'ALTER TABLE "\w+"\."(\w+)" ROW LEVEL SECURITY ON FOR DATASHARES')


class Applied:
    """What was applied to one stand-in; `conditions` are those of row policies by name."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in
        self.conditions: dict[str, str] = {}
        self._holders: dict[tuple[str, str], list[str]] = {}

    def apply(self, *statements: str) -> None:
        """Run statements; one of a form that is not documented is an error."""
        for statement in statements:
            self._stand_in.run(*self._translated(statement))

    def _translated(self, statement: str) -> tuple[str, ...]:
        if found := _CREATE_ROWS.fullmatch(statement):
            self.conditions[found[1]] = found[2]
            return ()
        if found := _ATTACH_ROWS.fullmatch(statement):
            return (self._attached(found[1], found[2], found[3]),)
        if found := _CREATE_MASK.fullmatch(statement):
            return (f"INSERT INTO pg_catalog.svv_masking_policy VALUES ('{found[1]}')",)
        if found := _ATTACH_MASK.fullmatch(statement):
            name, schema, table, column, role = found.groups()
            row = f"('{schema}', '{table}', '[\"{column}\"]', '{name}', 'role', '{role}')"
            return (f"INSERT INTO pg_catalog.svv_attached_masking_policy VALUES {row}",)
        if found := _SECURE.fullmatch(statement):
            return (f"ALTER TABLE {found[1]} ENABLE ROW LEVEL SECURITY",)
        if found := _SHARE.fullmatch(statement):
            return (f"INSERT INTO pg_catalog.shared_rls VALUES ('{found[1]}')",)
        if re.fullmatch(r'CREATE ROLE "\w+"|GRANT (USAGE ON SCHEMA|SELECT \([^)]*\) ON) .* TO ROLE "\w+"', statement):
            return (in_postgresql(statement),)
        raise AssertionError(statement)

    def _attached(self, policy: str, table: str, role: str) -> str:
        holders = self._holders.setdefault((policy, table), [])
        holders.append(f'"{role}"')
        if len(holders) > 1:
            return f'ALTER POLICY "{policy}" ON {table} TO {", ".join(holders)}'
        return f'CREATE POLICY "{policy}" ON {table} FOR SELECT TO "{role}" USING ({self.conditions[policy]})'
