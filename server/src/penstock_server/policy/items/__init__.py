"""Items of DynamoDB: grants and denials on tables and indexes as files state them, and the decision about a request.

`templates` are leading keys with variables of the caller, `reading` reads `items` of a grant, `decision` decides.
Must not import the doors.
"""
