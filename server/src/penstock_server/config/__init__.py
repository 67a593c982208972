"""The operator's configuration: `penstock.yaml` to frozen settings.

What comes in: a file, `PENSTOCK__SECTION__KEY` variables, flags. What goes out: `settings.Settings`. `document`
reads YAML 1.2 with the line of every node, for the policy files too. Must not import anything of ours but `model`
and `errors`.
"""
