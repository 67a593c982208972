"""Generated from proto/penstock/v1 by `make proto`; never edited by hand."""
