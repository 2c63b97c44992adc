"""Experiment files that are damaged, or say what no experiment can be."""

import functools
import re
import resource
from pathlib import Path

from soak import commands
from soak.mutations import mutated
from soak.table import Finding
from soak.training import TINY
from soak.workers import Worker

ROOT = Path(__file__).parents[2]
MOST_ADDRESSES = 16 << 30
VALUES = (
    "0", "-1", "1", "3", "2147483648", "4294967296", "9223372036854775808", "-9223372036854775809", "1" + "0" * 400, "9" * 5000,
    "1e400", "-inf", "nan", "inf", "0.0", "-0.0", "1e-320", "1e308", "true", "[]", "[[]]", "[1, 'a']", "{}", "{a = 1}", '""',
    '"x"', "'''\n'''", '"a\\nb"', '"\\u0000"', '"' + "x" * 100_000 + '"', "[" * 5000 + "]" * 5000, "[" * 5000, "{a=" * 3000,
    "1979-05-27", "1979-05-27T07:32:00Z", "07:32:00", "0xFFFFFFFFFFFFFFFFFF", "0b11", "1_000", "[8, -8]", "[0]", "[1e9]",
    "[1000000000]", "1000000000", "[16, 32, 64, 128, 256, 512]", "[true]", "'gausian'", "'../..'", "'$x^{$'", '"\\u202e"',
)  # fmt: skip
KEYS = ("", "''", '"a\\nb"', "unknown", "a.b.c", ".".join("a" * 3000), "name", "__class__", "self", "'$'", "\N{CAT FACE}")
TABLES = ("[[data]]", "[data", "[]", "[data.size]", "[unknown]", "['a\nb']", "[latent]", "[" + ".".join("b" * 3000) + "]")
# settings that real commands refuse, or survive
SETTINGS = (
    "training.seed=4294967296", "training.epochs=9223372036854775808", "latent.dim=1000000000", "data.shift=1000000000",
    "task.name=downscale task.factor=1000", "encoder.widths=[1000000]", "decoder.widths=[65536,65536]", "latent.dim=65536",
    "training.batch=65536", "schedule.learning_rate=1e30", "optimizer.clip_norm=1e-300", "data.size=256 latent.dim=60000",
    "training.precision=float64", "data.channels=2", "data.size=9", "refinement.batch=60000", "objective.beta=1e300",
    "data.shift=64", "encoder.widths=[8,8,8,8,8,8]", "reconstruction.name=bernoulli", "reconstruction.name=laplace",
    "condition.name=on_label", "prior.components=[1000000]", "training.epochs=" + "9" * 5000, "data.name=[[[",
)  # fmt: skip


@functools.cache
def corpus():
    """The text of every experiment of the repository, and of the tiny one."""
    return [TINY, *(path.read_text() for path in sorted((ROOT / "experiments").glob("*.toml")))]


def changed(text, rng):
    """A text with one line changed to something odd, and what was changed."""
    lines = text.splitlines()
    pairs = [number for number, line in enumerate(lines) if re.match(r"\w+ *=", line)]
    heads = [number for number, line in enumerate(lines) if line.startswith("[")]
    kind = str(rng.choice(["value", "value", "value", "key", "table", "twice", "lost"]))
    number = int(rng.choice(heads if kind == "table" else pairs))
    key, _, value = lines[number].partition("=")
    if kind == "value":
        value = VALUES[int(rng.integers(len(VALUES)))]
        lines[number] = f"{key}= {value}"
    elif kind == "key":
        value = KEYS[int(rng.integers(len(KEYS)))]
        lines[number] = f"{value} = {lines[number].partition('=')[2]}"
    elif kind == "table":
        value = TABLES[int(rng.integers(len(TABLES)))]
        lines[number] = value
    elif kind == "twice":
        lines.insert(number, lines[number])
    else:
        del lines[number]
    return "\n".join(lines) + "\n", f"{kind} {key.strip()} {value.strip()[:40]!r}"


def damaged(rng):
    """The bytes of an experiment file, overrides, and what was done to them."""
    text, kind = corpus()[int(rng.integers(len(corpus())))], rng.random()
    if kind < 0.25:
        data, names = mutated(text.encode(), rng)
        return data, [], names
    described = []
    for _ in range(int(rng.integers(1, 4))):
        if re.search(r"^\w+ *=", text, re.MULTILINE) and re.search(r"^\[", text, re.MULTILINE):
            text, what = changed(text, rng)
            described.append(what)
    overrides = []
    if kind > 0.75:
        path = re.findall(r"^(\w+) *=", text, re.MULTILINE) or ["dim"]
        table = str(rng.choice(["data", "latent", "training", "encoder", "refinement", "", "task", "x.y", "schedule"]))
        value = VALUES[int(rng.integers(len(VALUES)))]
        overrides = [f"{table}{'.' if rng.random() < 0.95 else ''}{rng.choice(path)}={value}"]
        described.append(f"--set {overrides[0][:50]!r}")
    return text.encode(), overrides, ", ".join(described)


class Experiments:
    """The body of the kind of cases: damaged files, read in one long-lived process."""

    def __init__(self):
        self.worker = None

    def __call__(self, campaign, index, rng, place):
        if self.worker is None:
            self.worker = Worker(campaign, "experiments", lasts=1000)
        data, overrides, what = damaged(rng)
        path = place / ("a\nb.toml" if rng.random() < 0.05 else "a.toml")
        if rng.random() < 0.01:
            path.mkdir()
            what = "a folder"
        else:
            path.write_bytes(data)
        answer = self.worker.ask(function="experiment", path=str(path), overrides=overrides)
        return Finding(what, answer.get("wrong", ""), mebibytes=answer["mebibytes"], seconds=answer["seconds"])


def trained(campaign, index, rng, place):
    """A real command with a setting that cannot be: refused in one line, or trained."""
    setting = SETTINGS[int(rng.integers(len(SETTINGS)))] if index else SETTINGS[2]
    words = ["train", campaign.training.file, "--data", campaign.training.pictures, "--out", place / "run"]
    words += ["--set", "refinement.epochs=0"] + [word for one in setting.split() for word in ("--set", one)]
    command = commands.Command(campaign, words, place)
    # should it try to build a model that is too large, the machine and its other programs live on
    resource.prlimit(command.process.pid, resource.RLIMIT_AS, (MOST_ADDRESSES, MOST_ADDRESSES))
    outcome = command.wait(120)
    return Finding(setting[:60], outcome.wrong(place), mebibytes=outcome.mebibytes, seconds=outcome.seconds)
