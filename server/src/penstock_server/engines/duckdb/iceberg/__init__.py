"""Iceberg tables: what the metadata of the current snapshot says, read by a process without network or credential.

In: the objects below the location of one table, and which of them is its metadata. Out: the columns with their ids, and
the data and delete files of the current snapshot; or why the table is not read.
"""
