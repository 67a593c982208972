"""How a plan is printed: a report of sentences, then one module for each format."""
