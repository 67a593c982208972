"""Conditions on grants, with the semantics of IAM condition blocks.

What comes in: a block as read from a policy file, and what is known of the caller and the request. What goes out:
whether the block holds, and until when that cannot change. A pure function; must not import the rest of `policy`.

Source: AWS IAM User Guide, "IAM JSON policy elements: Condition operators", "Multivalued context keys" and "Policy
variables".
"""
