"""DuckDB 2.0 behind `engines.base`: the caller's SQL runs where no hidden cell has ever been.

| where | modules | loads DuckDB |
|---|---|---|
| front | `engine`, `session`, `pool`, `control`, `child`, `self_test`, `link`, `launch` | no |
| front: a decision as a statement | `printing`, `constants`, `identifiers`, `relations`, `shapes` | no |
| front: what of the caller's conditions a reader may apply | `copying`, `column_tests` | no |
| zygote, which forks all children | `zygote` | yes, and opens nothing |
| sealed worker: permitted cells alone | `worker`, `binding`, `plans`, `signature` | yes |
| ... and the caller's text | `nesting`, `parsing`, `tree`, `functions` | yes |
| ... its conditions as values | `conjuncts`, `conjunct_plan`, `conjunct_constants` | yes |
| source reader: the printed policy, one table's files | `reader` | yes |
| both: rows as bytes | `canonical`, `canonical_arrays` | yes |
| inspector: names and types of a catalog | `inspector`, `inspection`, `pinned_types` | yes |
| probe: tries the barriers before anything is served | `probe` | yes |
| every child: an instance with its doors closed | `instance` | yes |
| all | `errors`, `failures`, `error_encoding` | no |

Comes in: `base.StatementLimits`, the text, governed tables. Goes out: Arrow IPC bytes, or an error of `errors`. `wire/`
is what crosses between these processes, `sandbox/` what takes their rights away. Must not import what stands above
`engines`.

INVARIANT: a process that gets a caller's text opens no source, and one that opens a source gets no caller's text.
Values of its conditions may reach a reader, typed, on clear columns, as `copying` lets them through.
"""
