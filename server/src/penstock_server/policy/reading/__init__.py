"""Policy files to a `PolicySource`: every key read, typed and checked, every problem of every file at once.

Comes in: files, folders or texts. Goes out: `source.PolicySource`, parsed and cross-checked, not yet bound to tables.
What has a package of its own (filters, masks, rules, tags, conditions) is read there.
"""
