"""Ceph radosgw as a stand-in for AWS that really denies: fetched, started and stopped by its suite.

`packages` brings the programs, `cluster` runs them, `sts_front` stands between Penstock and their STS and writes what
radosgw 16.2 lacks in other words, `world` is a Penstock beside it.
"""
