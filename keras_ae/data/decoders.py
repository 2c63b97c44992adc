"""Picture files decoded on all cores: by threads where there are few files, by processes where there are many.

Decoding a small file is mostly Python, which runs on one core at a time in each process. The processes are programs of their
own, `python -m keras_ae.data.decoders`, which start without TensorFlow and run nothing of the program that needs them. They end
with their standard input, however that program ends.
"""

import collections
import contextlib
import hashlib
import os
import pickle
import queue
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_ae.data.known import Known
from keras_ae.data.thumbnails import thumbnail
from keras_ae.errors import UserError
from keras_ae.media import images

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
    data = data if isinstance(data, bytes) else images.contents(data)
    digest = hashlib.sha256(data).digest()
    if digest in known:
        return digest, KNOWN, None, None
    try:
        pixels = images.decode(data, shape[0], shape[2])
    except images.DamagedPicture as error:
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


def _answer(process, question):
    """What a process makes of a list of files. Raises the OSError that it met, or UserError if it ended."""
    try:
        pickle.dump(question, process.stdin, pickle.HIGHEST_PROTOCOL)
        process.stdin.flush()
        answer = pickle.load(process.stdout)
    except (OSError, EOFError, ValueError, pickle.UnpicklingError):
        raise UserError(f"a process that decoded pictures ended with status {process.wait()}") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


@contextlib.contextmanager
def _processes(n, shape, known):
    """A function that has one of `n` processes `read` a list of files; threads may call it at the same time."""
    # -P: what lies in the current folder is not imported, unless it is in the path of this program
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(part or os.getcwd() for part in sys.path)}
    command = [sys.executable, "-P", "-m", "keras_ae.data.decoders"]
    free, started = queue.SimpleQueue(), []
    try:
        for _ in range(n):
            # a session of its own: Ctrl-C reaches this program alone
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True}
            started.append(subprocess.Popen(command, env=environment, **pipes))
            pickle.dump((shape, known.path if known else None), started[-1].stdin)
            free.put(started[-1])

        def ask(files):
            process = free.get()
            try:
                return _answer(process, files)
            finally:
                free.put(process)

        yield ask
    finally:
        for process in started:
            process.kill()
            process.wait()
            process.stdout.close()
            # what was not sent is of no use any more
            with contextlib.suppress(OSError):
                process.stdin.close()


@contextlib.contextmanager
def _threads(n, shape, known):
    yield lambda files: [read(data, shape, known) for data in files]


def in_order(pool, function, values, ahead):
    """The function of each value, in their order, while the threads of `pool` compute it for up to `ahead` later ones."""
    waiting = collections.deque()
    for value in values:
        waiting.append(pool.submit(function, value))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def decoded(items, count, shape, known):
    """`sources.Encoded` items in their order, in lists of pairs (item, what `read` returns).

    count: the number of items, on which the choice of threads or processes depends. known: `known.Known`, or ().
    """
    cores = os.cpu_count() or 1
    most = max(1, min(PIECE, BYTES // int(np.prod(shape)), count // (8 * cores)))
    with contextlib.ExitStack() as stack:
        pool = ThreadPoolExecutor(cores)
        # last, when the processes have ended, for which threads may wait
        stack.callback(pool.shutdown)
        ask = stack.enter_context((_threads if count <= FEW else _processes)(cores, shape, known))
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)

        def answered(piece):
            return list(zip(piece, ask([item.data for item in piece]), strict=True))

        yield from in_order(pool, answered, _pieces(items, most), 2 * cores)


def main():
    """Read lists of files from standard input, and write what `read` makes of them to standard output, as pickles."""
    inbox, outbox = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # whatever a library prints must not get between the answers
    os.dup2(2, 1)
    with contextlib.suppress(EOFError, BrokenPipeError):
        shape, path = pickle.load(inbox)
        known = Known(path) if path else ()
        while True:
            files = pickle.load(inbox)
            try:
                answer = [read(data, shape, known) for data in files]
            except OSError as error:
                answer = error
            pickle.dump(answer, outbox, pickle.HIGHEST_PROTOCOL)
            outbox.flush()


if __name__ == "__main__":
    main()
