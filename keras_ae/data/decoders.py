"""Picture files decoded on all cores: by threads where there are few files, by processes where there are many.

Decoding a small file is mostly Python, which runs on one core at a time in each process.
"""

import contextlib
import hashlib
import os

import numpy as np

from keras_ae import processes
from keras_ae.data.known import Known
from keras_ae.data.thumbnails import thumbnail
from keras_ae.images import pictures

# number of files up to which starting processes takes longer than they save
FEW = 2000
# largest piece of work: number of files, and bytes of encoded or decoded ones
PIECE, BYTES = 64, 8_000_000
# what `read` says of a file whose digest is known
KNOWN = "known"


def read(data, shape, known):
    """A picture file as (digest, None, pixels, thumbnail), or (digest, why it is not decoded, None, None).

    data: the bytes of the file or its path. pixels: the bytes of uint8 `shape`. thumbnail: those of a thumbnail. known: digests
    of files that are not decoded again, for the reason KNOWN. Raises OSError.
    """
    data = data if isinstance(data, bytes) else pictures.contents(data)
    digest = hashlib.sha256(data).digest()
    if digest in known:
        return digest, KNOWN, None, None
    try:
        pixels = pictures.decode(data, shape[0], shape[2])
    except pictures.DamagedPicture as error:
        return digest, str(error), None, None
    return digest, None, pixels.tobytes(), thumbnail(pixels).tobytes()


def _pieces(items, most):
    """Lists of up to `most` items with up to BYTES of data."""
    piece, size = [], 0
    for item in items:
        piece.append(item)
        size += len(item.data)
        if len(piece) >= most or size >= BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _reads(shape, known):
    """A function that reads a list of files."""
    return lambda files: [read(data, shape, known) for data in files]


def decoded(items, count, shape, known):
    """`sources.Encoded` items in their order, in lists of pairs (item, what `read` returns).

    count: the number of items, on which the choice of threads or processes depends. known: `known.Known`, or ().
    """
    cores = os.cpu_count() or 1
    most = max(1, min(PIECE, BYTES // int(np.prod(shape)), count // (8 * cores)))
    if count <= FEW:
        asking = contextlib.nullcontext(_reads(shape, known))
    else:
        asking = processes.opened(cores, __name__, (shape, known.path if known else None), "decoded pictures")

    def answered(ask, piece):
        return list(zip(piece, ask([item.data for item in piece]), strict=True))

    yield from processes.answers(cores, asking, answered, _pieces(items, most))


def _begin(opening):
    shape, path = opening
    return _reads(shape, Known(path) if path else ())


if __name__ == "__main__":
    processes.serve(_begin)
