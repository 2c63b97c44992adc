"""Digests of files that were read before, as a file that several processes map into their memory.

It is a hash table with open addressing of 32-byte digests: exact, and 64 to 128 bytes a file on disk instead of 200 in Python.
"""

import mmap

BYTES = 32
EMPTY = bytes(BYTES)


class Known:
    """The digests in the table at `path`. Only one process may add digests; others may miss the latest ones."""

    def __init__(self, path):
        self.path = path
        with open(path, "r+b") as file:
            self.table = mmap.mmap(file.fileno(), 0)
        self.slots = len(self.table) // BYTES

    @classmethod
    def empty(cls, path, count):
        """A new table with room for `count` digests."""
        with open(path, "wb") as file:
            # a power of two: half of the slots stay empty, so that a look-up takes few steps
            file.truncate(BYTES << (2 * count).bit_length())
        return cls(path)

    def _place(self, digest):
        """Where the digest is, or would be."""
        slot = int.from_bytes(digest[:8], "little") % self.slots
        while self.table[BYTES * slot : BYTES * (slot + 1)] not in (digest, EMPTY):
            slot = (slot + 1) % self.slots
        return BYTES * slot

    def __contains__(self, digest):
        place = self._place(digest)
        return self.table[place : place + BYTES] == digest

    def add(self, digest):
        """Add a digest (32 bytes); whether it is new."""
        place = self._place(digest)
        new = self.table[place : place + BYTES] == EMPTY
        self.table[place : place + BYTES] = digest
        return new
