"""Test support that several suites share."""
