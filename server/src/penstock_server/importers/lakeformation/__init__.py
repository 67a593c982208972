"""Grants and data cells filters of Lake Formation to a policy file.

What comes in: a `LakeEstate`. What goes out: an `Imported`. `semantics` must not import `translation`, nor the other
way round: they read the same records twice, and the comparison of the two is what the report stands on.
"""
