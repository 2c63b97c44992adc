"""Workers on this machine, for a try of several processes: this one becomes the chief, and starts the others."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from keras_ae.errors import UserError
from keras_ae.training.devices import WorkerLost

# seconds between looks at the workers, and those that the chief has to report a worker that ended by itself
INTERVAL = 0.5
GRACE = 20


def _free_ports(n):
    """Numbers of ports of this machine that no program uses."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]


def last_line(path):
    """The last line of a text file that is not empty, or "" where there is none."""
    lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _failed(workers, folder):
    """What is known of the first worker that ended by itself and too early, as a text; None where there is none."""
    for index, worker in enumerate(workers, 1):
        if worker.poll() not in (None, 0):
            line = last_line(folder / f"{index}.log")
            return f"worker {index} of {len(workers) + 1} ended with status {worker.returncode}" + (f": {line}" if line else "")
    return None


def _watch(workers, folder, ended):
    """End this process where a worker ended before the training did: one that never appears would be waited for without end."""
    while not ended.wait(INTERVAL):
        failure = _failed(workers, folder)
        # the chief may find out by itself, and ends in a better way
        if failure and not ended.wait(GRACE):
            print(f"\n{failure}", file=sys.stderr, flush=True)
            for worker in workers:
                worker.kill()
            os._exit(2)


def _end(workers, patience):
    """End the workers that do not end by themselves within so many seconds."""
    until = time.monotonic() + patience
    for worker in workers:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(max(0.0, until - time.monotonic()))
        if worker.poll() is None:
            worker.kill()
            worker.wait()


@contextlib.contextmanager
def started(n, command):
    """Run the block in the first of n workers; the others run `command`, a list of words, and end with the block.

    TensorFlow reads the variable TF_CONFIG, which this sets, when the block makes a strategy. What the others print goes to
    files that are removed at the end.
    """
    cluster = {"worker": [f"localhost:{port}" for port in _free_ports(n)]}

    def config(index):
        return json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})

    before = os.environ.get("TF_CONFIG")
    ended = threading.Event()
    with tempfile.TemporaryDirectory(prefix="keras_ae-") as name:
        folder, workers = Path(name), []
        done = False
        try:
            for index in range(1, n):
                with open(folder / f"{index}.log", "w", encoding="utf-8") as log:
                    environment = os.environ | {"TF_CONFIG": config(index)}
                    # of a session of their own: Ctrl-C reaches the chief, which ends them
                    workers.append(
                        subprocess.Popen(
                            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                        )
                    )
            os.environ["TF_CONFIG"] = config(0)
            threading.Thread(target=_watch, args=(workers, folder, ended), daemon=True).start()
            yield
            done = True
        except WorkerLost:
            failure = _failed(workers, folder)
            if failure is None:
                raise
            raise UserError(f"{failure}. All whole epochs are saved; the same command with --resume goes on") from None
        finally:
            ended.set()
            _end(workers, 30 if done else 0)
            os.environ.pop("TF_CONFIG") if before is None else os.environ.update({"TF_CONFIG": before})
