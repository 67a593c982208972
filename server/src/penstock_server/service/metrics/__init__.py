"""Metrics: counts of calls, statements and extracts, as OpenMetrics text on a local port.

Comes in: figures of the broker, and every call that ends. Goes out: text for a scraper. No label names a person, a
table, a column or anything else of a policy, so that who reads metrics learns how busy the service is, and no more.
"""
