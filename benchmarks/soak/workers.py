"""A long-lived process that runs cases inside keras_ae, watched: time, memory and its life. `inside.py` is what it runs."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

# the process is killed beyond it, before the machine suffers
MOST_MEBIBYTES = 6000


class Worker:
    """Cases of one kind: `ask` them. A process that died is replaced, and so is one after `lasts` cases."""

    running = set()

    def __init__(self, campaign, kind, lasts=250):
        self.campaign, self.kind, self.lasts = campaign, kind, lasts
        self.process = None

    def _start(self):
        command = [sys.executable, str(Path(__file__).with_name("inside.py")), self.kind]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.campaign.environment,
            cwd=self.campaign.folder,
            start_new_session=True,
        )
        Worker.running.add(self)
        self.asked, self.rest = 0, b""
        # not a case: the time of the imports
        return self._answer(120)

    def _mebibytes(self):
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
            return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
        except (OSError, StopIteration):
            return 0.0

    def _answer(self, limit):
        """The next line of the process, or what befell it."""
        began = time.monotonic()
        while b"\n" not in self.rest:
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                piece = os.read(self.process.stdout.fileno(), 65536)
                if not piece:
                    status = self.process.wait()
                    text = f"the process ended with signal {-status}" if status < 0 else f"the process ended ({status})"
                    return self._lost(text, began)
                self.rest += piece
            elif time.monotonic() - began > limit or self.campaign.stopped.is_set():
                return self._lost(f"no answer in {limit} s", began)
            elif self._mebibytes() > MOST_MEBIBYTES:
                return self._lost(f"more than {MOST_MEBIBYTES} MiB", began)
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)

    def _lost(self, text, began):
        memory = self._mebibytes()
        self.close()
        return {"wrong": text, "mebibytes": memory, "seconds": time.monotonic() - began}

    def ask(self, limit=20, **request):
        """The answer to a request: {"answer": text} or {"wrong": text}, with "mebibytes" and "seconds"."""
        if self.process is None or self.asked >= self.lasts:
            self.close()
            started = self._start()
            if "wrong" in started:
                return started
        self.asked += 1
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        return self._answer(limit)

    def close(self):
        Worker.running.discard(self)
        if self.process is not None:
            if self.process.poll() is None:
                os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None


def end_all():
    """Kill every process, when the campaign ends."""
    for worker in list(Worker.running):
        if worker.process and worker.process.poll() is None:
            os.kill(worker.process.pid, signal.SIGKILL)
