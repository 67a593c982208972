"""How the rows of an answer are written, one module a format.

What comes in: record batches as they arrive. What goes out: bytes on a stream. Nothing is held back to the end, and
`finish` is called only for a complete answer.
"""

from penstock.cli.formats.choosing import Format, Writer, of_suffix, writer

__all__ = ["Format", "Writer", "of_suffix", "writer"]
