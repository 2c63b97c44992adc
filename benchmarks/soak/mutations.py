"""Damage to bytes. Functions take bytes and a numpy Generator and return other bytes; the same generator, the same bytes."""

import struct

EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def flip_bits(data, rng):
    """Flip 1 to 64 bits, half of the time among the first 64 bytes, where formats keep their sizes."""
    changed = bytearray(data)
    reach = min(len(data), 64) if rng.random() < 0.5 else len(data)
    # distinct bits: two flips of the same one would undo each other
    for bit in rng.choice(8 * reach, min(8 * reach, int(rng.integers(1, 65))), replace=False):
        changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def cut(data, rng):
    """The first part, from nothing to all but one byte."""
    return data[: int(rng.integers(0, len(data)))]


def behead(data, rng):
    """Without the first bytes."""
    return data[int(rng.integers(1, len(data) + 1)) :]


def blank(data, rng):
    """A stretch of one repeated byte."""
    first = int(rng.integers(0, len(data)))
    length = int(rng.integers(1, len(data) - first + 1))
    return data[:first] + bytes([int(rng.integers(0, 256))]) * length + data[first + length :]


def insert(data, rng):
    """Random bytes in between."""
    place = int(rng.integers(0, len(data) + 1))
    return data[:place] + rng.bytes(int(rng.integers(1, 200))) + data[place:]


def repeat(data, rng):
    """A stretch twice."""
    first = int(rng.integers(0, len(data)))
    last = int(rng.integers(first + 1, len(data) + 1))
    return data[:last] + data[first:last] + data[last:]


def extreme(data, rng):
    """A number of 1, 2 or 4 bytes replaced by an extreme one, in either byte order."""
    code = str(rng.choice(list("BHI")))
    number = EXTREMES[int(rng.integers(len(EXTREMES)))] & (256 ** struct.calcsize(code) - 1)
    written = struct.pack(str(rng.choice(["<", ">"])) + code, number)
    place = int(rng.integers(0, max(1, min(len(data), 512) - len(written))))
    return data[:place] + written + data[place + len(written) :]


MUTATIONS = {function.__name__: function for function in (flip_bits, cut, behead, blank, insert, repeat, extreme)}


def mutated(data, rng):
    """`data` (not empty) after one to three of MUTATIONS, and their names. The result is not `data`."""
    while True:
        changed, names = data, []
        for _ in range(int(rng.integers(1, 4))):
            if changed:
                names.append(str(rng.choice(list(MUTATIONS))))
                changed = MUTATIONS[names[-1]](changed, rng)
        if changed != data:
            return changed, " ".join(names)
