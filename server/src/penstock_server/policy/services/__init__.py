"""Resources of AWS services that are granted by their whole name: grants as files state them, and the decision.

`reading` reads the limits of a grant, `decision` decides about a request. Must not import the doors.
"""
