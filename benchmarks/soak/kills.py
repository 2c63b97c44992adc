"""Kill -9 at random moments of all phases; then the run is resumed to its end, which must be that of an uninterrupted run."""

import os
import signal

from soak import commands
from soak.table import Finding
from soak.training import PHASES, complete, generated

# phases in the order of a run; "saving" follows a file that appears in the run folder
ORDER = ("start", "cache", "first", "saving", "second", "saving late", "pictures")
# files that a run writes before the second stage, about
EARLY, LATE = 8, 20


def summary(outcomes):
    """Peak memory and time of outcomes."""
    return {
        "mebibytes": max((outcome.mebibytes for outcome in outcomes), default=0.0),
        "seconds": max((outcome.seconds for outcome in outcomes), default=0.0),
    }


def _written(folder):
    """What is in a folder, and when it was written: changes with each file."""
    found = []
    for path in commands.walk(folder):
        try:
            status = os.stat(path)
        except OSError:
            continue
        found.append((path, status.st_mtime_ns, status.st_ino))
    return frozenset(found)


def wait_for(command, phase, rng, training, out, cache):
    """Wait for a random moment in a phase. Returns its description, None if the process ended before."""
    seconds = training.seconds
    if phase == "start":
        delay = rng.uniform(0, seconds["data"])
        return f"{delay:.2f} s after the start" if command.sleep(delay) else None
    if phase == "cache":
        if not command.until(lambda: any(".preparing" in path for path in commands.walk(cache)), every=0.001):
            return None
        delay = rng.uniform(0, 0.3)
        return f"{delay:.3f} s after the cache was begun" if command.sleep(delay) else None
    if phase.startswith("saving"):
        changes = int(rng.integers(*((1, EARLY) if phase == "saving" else (EARLY, LATE))))
        for _ in range(changes):
            before = _written(out)
            if not command.until(lambda before=before: _written(out) != before, every=0.0005):
                return None
        delay = rng.uniform(0, 0.02)
        return f"{delay:.4f} s after change {changes} of the run folder" if command.sleep(delay) else None
    names = [*list(PHASES)[1:], "train"]
    ends = names[names.index(phase) + 1]
    if not command.until(lambda: PHASES[phase] in command.text()):
        return None
    delay = rng.uniform(0, max(0.2, seconds[ends] - seconds[phase]))
    return f"{delay:.2f} s after '{PHASES[phase]}'" if command.sleep(delay) else None


def killed_training(campaign, index, rng, place):
    """Up to two kills of one run, the second of the resumed run in the same phase or a later one."""
    training, out, cache = campaign.training, place / "run", place / "cache"
    first = index % len(ORDER)
    phases = [ORDER[first], ORDER[int(rng.integers(first, len(ORDER)))]]
    moments, outcomes, wrong = [], [], ""
    for phase in phases:
        if (out / "metrics.json").exists():
            break
        more = ["--resume"] if (out / "config.json").exists() else []
        command = commands.Command(campaign, training.words(out, *more), place, cache)
        moment = wait_for(command, phase, rng, training, out, cache)
        if moment and command.send(signal.SIGKILL):
            moments.append(f"{phase}: {moment}")
        outcome = command.wait()
        outcomes.append(outcome)
        wrong = wrong or outcome.wrong(statuses=(0, -signal.SIGKILL))
    ended, more = complete(campaign, out, place, cache)
    return Finding("; ".join(moments), wrong or ended, len(moments), **summary(outcomes + more))


def killed_export(campaign, index, rng, place):
    """A killed export leaves nothing half-written that is believed; half of the time it was to replace an older one."""
    out, training = place / "export", campaign.training
    words = ["export", "--model", training.run, "--out", out]
    outcomes = []
    if index % 2:
        outcomes.append(commands.run(campaign, words, place))
    command = commands.Command(campaign, words, place)
    # the first part is TensorFlow's start
    delay = rng.uniform(0.3, 1.1) * training.seconds["export"]
    killed = command.sleep(delay) and command.send(signal.SIGKILL)
    outcomes.append(command.wait())
    wrong = outcomes[-1].wrong(statuses=(0, -signal.SIGKILL))
    if not wrong and out.exists():
        wrong, drawn = generated(campaign, out, place, training.folder / "export.png")
        outcomes.append(drawn)
    outcomes.append(commands.run(campaign, words, place))
    wrong = wrong or outcomes[-1].wrong(place, statuses=(0,))
    if not wrong:
        wrong, drawn = generated(campaign, out, place, training.folder / "export.png")
        outcomes.append(drawn)
    return Finding(f"export: {delay:.2f} s after the start", wrong, int(killed), **summary(outcomes))


def killed(campaign, index, rng, place):
    """The body of the kind of cases: every sixth kills an export."""
    return (killed_export if index % 6 == 5 else killed_training)(campaign, index, rng, place)


def interrupted(campaign, index, rng, place):
    """Ctrl-C or SIGTERM at a random moment from the first lines of the package on: 130 with one line, or complete."""
    training, out, cache = campaign.training, place / "run", place / "cache"
    plain = ["--model", campaign.exports / "plain"]
    words = {
        "train": training.words(out),
        "generate": ["generate", *plain, "--out", place / "a.png"],
        "export": ["export", "--model", training.run, "--out", place / "export"],
        "score": ["score", *plain, "--data", training.pictures, "--out", place / "a.csv"],
    }
    verb = ("train", "generate", "train", "export", "train", "score")[index % 6]
    sent = (signal.SIGINT, signal.SIGTERM)[int(rng.integers(2))]
    command = commands.Command(campaign, words[verb], place, cache)
    # before, the interpreter itself starts, and no program can do anything about it
    command.until(lambda: command.processor_seconds() >= 0.15)
    delay = rng.uniform(0, training.seconds.get(verb, training.seconds["generate"]))
    command.sleep(delay)
    command.send(sent)
    outcome = command.wait(60)
    wrong, more = outcome.wrong(place, statuses=(0, 130)), []
    if verb == "train" and not wrong:
        wrong, more = complete(campaign, out, place, cache)
    return Finding(f"{verb}: {sent.name} {delay:.2f} s after the start", wrong, **summary([outcome, *more]))
