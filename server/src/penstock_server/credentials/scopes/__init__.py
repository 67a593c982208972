"""One builder for each AWS service: granted scopes in, the statements of a session policy out.

Each builder knows the exact actions, resources and conditions of its service, writes a narrow Allow and a fence (an
explicit Deny of everything else), and states its rules and sources in its docstring. Must not import the doors.
"""
