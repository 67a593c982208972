"""The nouns that every layer shares: frozen values, no I/O.

What comes in: nothing. What goes out: dataclasses, enums, and the Protocols in `ports` through which sibling
layers reach each other. Must not import any other package of Penstock but `errors`.
"""
