"""How commands end before their time: at Ctrl-C and SIGTERM, and when what reads their output has ended."""

import contextlib
import logging
import os
import signal
import sys
import threading

# of a process that writes to a pipe that nobody reads: 128 and the number of SIGPIPE, as shells report it
UNREAD = 141

# inside it, signals end the process at once; `at_signals` puts it here while a command runs
at_once = contextlib.nullcontext


@contextlib.contextmanager
def when_unread():
    """End the process, without a word, when what reads its output has ended, such as `head -1`."""
    try:
        try:
            yield
        finally:
            # also what --help has printed
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(UNREAD)


@contextlib.contextmanager
def at_signals(prog, ends_process):
    """Ctrl-C and SIGTERM while a command starts, runs and ends; yields a function to call when it has started.

    During the start they end the process at once, with one line: an exception would break an import. Then they raise
    KeyboardInterrupt. When the command is done they change nothing any more, or do what they did before, unless `ends_process`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    stderr = os.dup(2)

    def end(number, frame):
        os.write(stderr, f"{prog}: interrupted\n".encode())
        os._exit(130)

    def interrupt(number, frame):
        # TensorFlow reports objects that the interruption leaves unused
        logging.getLogger("tensorflow").setLevel(logging.CRITICAL + 1)
        raise KeyboardInterrupt

    def handle(handlers):
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)

    @contextlib.contextmanager
    def ending_at_once():
        handle([end, end])
        try:
            yield
        finally:
            handle([interrupt, interrupt])

    global at_once
    at_once = ending_at_once
    handle([end, end])
    try:
        yield lambda: handle([interrupt, interrupt])
    finally:
        at_once = contextlib.nullcontext
        handle([signal.SIG_IGN] * 2 if ends_process else before)
        os.close(stderr)
