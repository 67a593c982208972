"""How the findings about a policy are printed: one module a format, all from `findings`."""
