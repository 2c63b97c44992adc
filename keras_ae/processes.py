"""Work on all cores, in programs of their own: `python -m MODULE`, which answers questions that it reads from standard input.

They start without TensorFlow and run nothing of the program that needs them, as processes of `multiprocessing` would: these
import its main module again. They end with their standard input, however that program ends.
"""

import collections
import contextlib
import functools
import os
import pickle
import queue
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from keras_ae.errors import UserError


def _answer(process, question, work):
    try:
        pickle.dump(question, process.stdin, pickle.HIGHEST_PROTOCOL)
        process.stdin.flush()
        answer = pickle.load(process.stdout)
    except (OSError, EOFError, ValueError, pickle.UnpicklingError):
        raise UserError(f"a process that {work} ended with status {process.wait()}") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


@contextlib.contextmanager
def opened(n, module, opening, work):
    """A function that has one of `n` processes answer a question; threads may call it at the same time.

    module: it calls `serve`. opening: what all processes read first. work: what they did, for the UserError if one ends. The
    function raises the OSError that a process met.
    """
    # -P: what lies in the current folder is not imported, unless it is in the path of this program
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(part or os.getcwd() for part in sys.path)}
    command = [sys.executable, "-P", "-m", module]
    free, started = queue.SimpleQueue(), []
    try:
        for _ in range(n):
            # a session of its own: Ctrl-C reaches this program alone
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True}
            started.append(subprocess.Popen(command, env=environment, **pipes))
            pickle.dump(opening, started[-1].stdin)
            free.put(started[-1])

        def ask(question):
            process = free.get()
            try:
                return _answer(process, question, work)
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


def in_order(pool, function, values, ahead):
    """The function of each value, in their order, while the threads of `pool` compute it for up to `ahead` later ones."""
    waiting = collections.deque()
    for value in values:
        waiting.append(pool.submit(function, value))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def answers(n, asking, answered, pieces):
    """`answered(ask, piece)` of each piece of work, in their order, on `n` threads.

    asking: a context manager such as `opened`, which gives the function `ask`.
    """
    with contextlib.ExitStack() as stack:
        pool = ThreadPoolExecutor(n)
        # last, when the processes have ended, for which threads may wait
        stack.callback(pool.shutdown)
        ask = stack.enter_context(asking)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        yield from in_order(pool, functools.partial(answered, ask), pieces, 2 * n)


def serve(begin):
    """Answer the questions on standard input, as pickles. begin: opening -> function of a question; it may raise OSError."""
    inbox, outbox = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # whatever a library prints must not get between the answers
    os.dup2(2, 1)
    with contextlib.suppress(EOFError, BrokenPipeError):
        answer_to = begin(pickle.load(inbox))
        while True:
            question = pickle.load(inbox)
            try:
                answer = answer_to(question)
            except OSError as error:
                answer = error
            pickle.dump(answer, outbox, pickle.HIGHEST_PROTOCOL)
            outbox.flush()
