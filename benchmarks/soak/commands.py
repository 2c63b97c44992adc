"""Commands of keras_ae as users start them, and the rules that each of them keeps however it ends."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

# seconds after which a command is killed and has fallen short
LIMIT = 240
# lines on stderr that are no errors: bars, warnings, which model was chosen, waiting for another process
HARMLESS = re.compile(r".*(%\||\d(it|image|step|s/it)/s).*|\s*|(warning|waiting): .*|model     .*")


@dataclasses.dataclass
class Outcome:
    """How a command ended. status: negative for a signal. late: the limit in seconds, if it was killed for it.

    before: half-written files in its folder that others had left.
    """

    words: list
    status: int
    out: str
    err: str
    seconds: float
    mebibytes: float
    pid: int
    late: float = 0
    before: frozenset = frozenset()

    @property
    def errors(self):
        """Lines on stderr, and on stdout where they are of a traceback, that are errors."""
        return [line for line in re.split(r"[\r\n]", self.err) if not HARMLESS.fullmatch(line)]

    def wrong(self, *places, statuses=(0, 2)):
        """How the command broke the rules, "" if it kept them. places: folders that contain no half-written file of it."""
        leftover = sorted(path for place in places for path in partial(place) - self.before if self._is_own(path))
        checks = {
            f"took more than {self.late} s": bool(self.late),
            f"traceback: {self.errors[-1] if self.errors else self.out[-200:]}": "Traceback" in self.out + self.err,
            f"exit status {self.status}: {' / '.join(self.errors)[-300:]}": self.status not in statuses,
            f"{len(self.errors)} lines of error: {' / '.join(self.errors)[:300]}": self.status == 2 and len(self.errors) != 1,
            f"not said that it was interrupted: {self.errors}": self.status == 130 and not self.interrupted(),
            f"left {leftover[:1]}": bool(leftover) and self.status >= 0,
        }
        return next((f"{self.words[0]}: {text}" for text, broken in checks.items() if broken), "")

    def _is_own(self, path):
        """Whether a half-written file does not name another process."""
        process = re.split(r"[/.]", path.rpartition(".partial-")[2])[0]
        return not process.isdecimal() or int(process) == self.pid

    def interrupted(self):
        """One line says so; the command that continues a run may follow, indented."""
        flush = [line for line in self.errors if not line.startswith("  ")]
        return len(flush) == 1 and "interrupted" in flush[0]


def walk(place):
    """The paths of everything in a folder, as text, whatever disappears meanwhile."""
    return [os.path.join(root, name) for root, folders, names in os.walk(place) for name in (*folders, *names)]


def partial(place):
    """The half-written files and folders in a folder."""
    return frozenset(path for path in walk(place) if ".partial-" in path)


class Command:
    """A running `python -m keras_ae.VERB ...` in the folder `place`. words: ["VERB", ...]."""

    running = set()

    def __init__(self, campaign, words, place, cache=None):
        self.words = [str(word) for word in words]
        self.folder = Path(place) / f"output-{time.monotonic_ns()}"
        self.folder.mkdir()
        self.before = partial(place)
        verb, *more = self.words
        environment = campaign.environment | ({"KERAS_AE_CACHE": str(cache)} if cache else {})
        with open(self.folder / "out", "wb") as out, open(self.folder / "err", "wb") as err:
            self.began = time.monotonic()
            command = [sys.executable, "-m", f"keras_ae.{verb}", *more]
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=place, env=environment, start_new_session=True
            )
        Command.running.add(self)
        self.usage = self.status = None

    def text(self, name="out"):
        return (self.folder / name).read_bytes().decode("utf-8", "replace")

    def ended(self):
        """Whether the process has ended; its status and peak memory are kept."""
        if self.status is None:
            pid, status, self.usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.status = self.process.returncode = os.waitstatus_to_exitcode(status)
                self.seconds = time.monotonic() - self.began
                Command.running.discard(self)
        return self.status is not None

    def until(self, condition, limit=LIMIT, every=0.002):
        """Wait for `condition()`; False if the process ends before, or the limit."""
        ends = time.monotonic() + limit
        while not self.ended() and time.monotonic() < ends:
            if condition():
                return True
            time.sleep(every)
        return False

    def sleep(self, seconds):
        """Wait, at most until the process ends. Whether it still runs."""
        self.until(lambda: False, seconds)
        return not self.ended()

    def processor_seconds(self):
        """Seconds of processor time so far."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, IndexError):
            return time.monotonic() - self.began

    def send(self, number):
        """Send a signal. Whether the process was still running."""
        if self.ended():
            return False
        os.kill(self.process.pid, number)
        return True

    def wait(self, limit=LIMIT):
        """The Outcome, when the process has ended; it is killed after `limit` seconds."""
        late = 0
        self.until(lambda: False, limit, every=0.01)
        if not self.ended():
            late = limit
            self.send(signal.SIGKILL)
            self.until(lambda: False, 30)
        memory = self.usage.ru_maxrss / 1024 if self.usage else 0.0
        status = -signal.SIGKILL if self.status is None else self.status
        seconds = time.monotonic() - self.began if self.status is None else self.seconds
        return Outcome(self.words, status, self.text(), self.text("err"), seconds, memory, self.process.pid, late, self.before)


def run(campaign, words, place, cache=None, limit=LIMIT):
    """Run a command to its end: its Outcome."""
    return Command(campaign, words, place, cache).wait(limit)


def end_all():
    """Kill what still runs, when the campaign is interrupted."""
    for command in list(Command.running):
        command.send(signal.SIGKILL)
