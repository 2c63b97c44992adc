"""Wrong inputs and kills against keras_ae: python benchmarks/soak.py [--minutes 20] [--seed N]

Three promises are tried on random cases, which hypothesis makes, and makes small where one fails:

    a mistake ends in one line and exit status 2, never in a traceback: experiment files, --set values, arguments, damaged
    pictures and cards
    what keras_ae did not write stays as it is, whatever a command is told to write there
    a training that is killed at any moment goes on with --resume, from the last whole epoch

Commands run inside this process; only trainings that are killed have their own. Exit status 1 if a promise was broken.
"""

import argparse
import contextlib
import importlib
import io
import itertools
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

import hypothesis
import numpy as np
from hypothesis import strategies as st
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

TINY = (ROOT / "tests" / "tiny.toml").read_text(encoding="utf-8")
# values of options and settings
ODD = r"""0 -1 3 2147483648 9223372036854775808 1e400 nan -inf 0.0 1e308 true [] [[]] [1,'a'] [8,-8] [1000000000] {} {a=1} ""
'x' 'gausian' '../..' '$x^{$' "a\nb" "\u0000" "\u202e" 1979-05-27 0xFFFFFFFFFFFFFFFFFF [data] [[data]] [data ['a\nb'] __class__
a.b.c ..""".split()
ODD += ["", "a\nb", "1" + "0" * 400, "[" * 3000, "{a=" * 1000, "\N{CAT FACE}"]
KEYS = "data.size latent.dim training.epochs encoder.widths task.name schedule objective.beta unknown x.y .".split()
OPTIONS = "--seed --n --label --temperature --columns --runtime --prior --steps --size --model --out --data --unknown".split()
# words that a command takes
VERBS = {
    "denoise": "--model @export --data @pictures",
    "edit": "--model @export --data @pictures",
    "embed": "--model @export --data @pictures",
    "evaluate": "--model @export --data @pictures --n 50",
    "explore": "--model @export",
    "export": "--model @run",
    "generate": "--model @export --n 2",
    "interpolate": "--model @export --data @pictures",
    "reconstruct": "--model @export --data @pictures --n 2",
    "restore": "--model @export --mask @pictures/0.png",
    "score": "--model @export --data @pictures",
    "train": "@broken.toml --data @pictures",
    "upscale": "--model @export --data @pictures",
}
# what commands are told to write to; only the first ones are not there yet
PLACES = """new.png new.csv new new/deep.png theirs.png theirs.csv theirs.html theirs theirs/new.png theirs.png/new empty
pictures pictures/0.png tiny.toml run export . /dev/full""".split()
NAMES = [*b"a.png \xff\xfe.jpg $x^{$.png -rf.png *.gif \x1b.bmp".split(), b"line\nbreak.png", b" .png", b"a" * 250 + b".png"]


class Broken(AssertionError):
    """A promise that was not kept."""


# ---- cases


@st.composite
def damage(draw, data):
    """Bytes of which one to three stretches are replaced, left out or doubled, or whose end is missing."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        start, length = draw(st.integers(0, len(data))), draw(st.sampled_from([1, 8, 64, len(data)]))
        stretch = data[start : start + length]
        data[start : start + length] = draw(st.sampled_from([b"", stretch * 2]) | st.binary(min_size=1, max_size=64))
    return bytes(data)


@st.composite
def experiments(draw, texts):
    """The bytes of an experiment file with mistakes, and --set arguments."""
    text = draw(st.sampled_from(texts))
    if draw(st.integers(0, 3)) == 0:
        return draw(damage(text.encode())), []
    lines = text.splitlines()
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(lines) - 1))
        key, _, value = lines[at].partition(" = ")
        odd = draw(st.sampled_from(ODD))
        lines[at] = draw(st.sampled_from([f"{key} = {odd}", f"{odd} = {value}", odd, f"{lines[at]}\n{lines[at]}"]))
    setting = st.tuples(st.sampled_from(KEYS), st.sampled_from(["=", "=", ""]), st.sampled_from(ODD) | st.text()).map("".join)
    return "\n".join(lines).encode("utf-8", "replace"), draw(st.lists(setting, max_size=2))


def encoded_pictures():
    """Intact picture files as bytes, of every format that is read and some that are not."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(np.kron(rng.integers(0, 256, (6, 8, 3), "uint8"), np.ones((4, 4, 1), "uint8")))
    for kind in "PNG:1 PNG:LA PNG:P PNG:RGBA JPEG:L JPEG:RGB JPEG:CMYK WEBP:RGB BMP:L BMP:RGB GIF:P TIFF:F EPS:RGB".split():
        name, mode = kind.split(":")
        file = io.BytesIO()
        image.convert("L" if mode == "F" else mode).convert(mode).save(file, name)
        yield file.getvalue()


def png(width, height, colour, depth, zeros):
    """A PNG whose checksums are right, whatever its header says."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(zeros))) + chunk(b"IEND", b"")


def pictures():
    """(file name, contents) of a picture that is damaged or claims what it is not; contents may be "pipe" or "loop"."""
    sides = st.sampled_from([0, 1, 5, 40, 5000, 60_000, 2**31 - 1])
    contents = [
        st.sampled_from(list(encoded_pictures())).flatmap(damage),
        st.builds(png, sides, sides, st.integers(0, 7), st.sampled_from([1, 3, 8, 16]), st.integers(0, 5000)),
        st.binary(max_size=50),
        st.sampled_from(["pipe", "loop"]),
    ]
    return st.tuples(st.sampled_from(NAMES), st.one_of(contents))


@st.composite
def command_lines(draw):
    """A verb and its words: right ones, of which some are replaced, left out or added. `@NAME` is a path in the playground."""
    verb = draw(st.sampled_from(list(VERBS)))
    words = [*VERBS[verb].split(), "--out", "@" + draw(st.sampled_from(PLACES))]
    odd = st.sampled_from([*ODD, "@theirs", "@theirs.png", "@pictures", "@nothing", "@export/card.json"]) | st.text(max_size=9)
    for _ in range(draw(st.integers(0, 2))):
        at, option = draw(st.integers(0, len(words) - 1)), draw(st.sampled_from(OPTIONS))
        changed = [[*words[:at], draw(odd), *words[at + 1 :]], words[:at] + words[at + 1 :], [*words, option, draw(odd)]]
        words = draw(st.sampled_from(changed))
    # no program can be passed a null character
    return verb, [word.replace("\0", "") for word in words]


# ---- promises


def run(verb, words, statuses=(0, 2)):
    """Run a command in this process. Raises Broken if it ends otherwise than it may."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            importlib.import_module(f"keras_ae.{verb}").main([str(word) for word in words])
            status = 0
        except SystemExit as ended:
            status = ended.code or 0
    lines = [line for line in err.getvalue().replace("\r", "\n").splitlines() if line.strip()]
    errors = [line for line in lines if "error: " in line]
    if status not in statuses or "Traceback" in err.getvalue():
        raise Broken(f"exit status {status}: {lines[-1:]}")
    if status == 2 and len(errors) != 1:
        raise Broken(f"{len(errors)} lines of error: {lines}")


class Playground:
    """The folder of the campaign: a short training, its export, pictures, and files that keras_ae did not write."""

    def __init__(self, folder):
        self.folder = folder
        os.chdir(folder)
        for name in ("theirs", "empty", "pictures"):
            Path(name).mkdir()
        rng = np.random.default_rng(0)
        for index in range(120):
            pixels = np.kron(rng.integers(0, 256, (4, 4, 3), "uint8"), np.ones((6, 6, 1), "uint8"))
            Image.fromarray(pixels).save(f"pictures/{index}.png")
        for name in ("theirs.png", "theirs.csv", "theirs.html", "theirs/letter.txt"):
            Path(name).write_text("mine")
        Path("tiny.toml").write_text(TINY, encoding="utf-8")
        Path("broken.toml").write_text(TINY.replace("size = 16", "size = 17"), encoding="utf-8")
        words = ["tiny.toml", "--data", "pictures", "--set", "training.epochs=1", "--out", "run"]
        run("train", words, statuses=(0,))
        run("export", ["--model", "run", "--out", "export"], statuses=(0,))
        self.card = Path("export/card.json").read_bytes()
        # a run is no output of other commands
        kept = [path for path in Path(".").rglob("*") if path.is_file() and path.parts[0] not in ("cache", "export")]
        self.kept = {path: path.read_bytes() for path in kept if path.name != ".lock"}

    def check_kept(self):
        """Raise Broken if a file that was there before is gone or another one; it is put back."""
        wrong = [path for path, data in self.kept.items() if not path.is_file() or path.read_bytes() != data]
        for path in wrong:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.kept[path])
        if wrong:
            raise Broken(f"{wrong[0]} was not left as it was")

    def read_experiment(self, case):
        """An experiment file is read, or refused in one line."""
        from keras_ae.errors import UserError
        from keras_ae.training import experiment

        data, overrides = case
        (self.folder / "case.toml").write_bytes(data)
        try:
            experiment.read("case.toml", overrides)
        except UserError as error:
            if len(str(error).strip().splitlines()) != 1:
                raise Broken(f"not one line: {error!r}") from error

    def skip_picture(self, case):
        """A damaged picture is left out or read, and the intact ones beside it are scored."""
        name, contents = case
        shutil.rmtree("odd", ignore_errors=True)
        Path("odd").mkdir()
        for index in range(3):
            shutil.copy(f"pictures/{index}.png", f"odd/intact-{index}.png")
        path = os.path.join(b"odd", name)
        if contents == "pipe":
            os.mkfifo(path)
        elif contents == "loop":
            os.symlink(name, path)
        else:
            Path(os.fsdecode(path)).write_bytes(contents)
        run("score", ["--model", "export", "--data", "odd", "--out", "odd_scores"], statuses=(0,))
        scored = Path("odd_scores/scores.csv").read_text(encoding="utf-8", errors="replace").count("intact-")
        if scored < 3:
            raise Broken(f"{scored} of 3 intact pictures were scored")

    def use_damaged_card(self, data):
        """An export whose card is damaged draws pictures, or is refused in one line."""
        card = Path("export/card.json")
        try:
            card.write_bytes(data)
            run("generate", ["--model", "export", "--n", "1", "--out", "card.png"])
        finally:
            card.write_bytes(self.card)

    def run_command(self, case):
        """A command ends in 0, or in 2 and one line, and leaves alone what was there before."""
        verb, words = case
        run(verb, [str(self.folder / word[1:]) if word.startswith("@") else word for word in words])
        self.check_kept()
        for path in self.folder.glob("new*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def kill_and_resume(folder, rng, seconds):
    """Kill a training at two random moments of `seconds`, and resume it to its end. Raises Broken."""
    out, moments, status = folder / f"killed-{time.monotonic_ns()}", [], None
    words = f"-m keras_ae.train tiny.toml --data pictures --set training.epochs=3 --out {out.name}".split()
    environment = os.environ | {"KERAS_AE_CACHE": f"{out}-cache"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [environment.get("PYTHONPATH")])])
    while status is None:
        limit = rng.uniform(0.3, seconds) if len(moments) < 2 else 600
        resume = ["--resume"] if (out / "config.json").exists() else []
        command = [sys.executable, *words, *resume]
        try:
            # `run` kills the process when its time is over
            ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=limit)
            status, said = ended.returncode, ended.stderr
        except subprocess.TimeoutExpired:
            moments.append(f"{limit:.1f} s")
        if (out / "config.json").exists():
            (out / "letter.txt").write_text("mine")
    history = (out / "history.csv").read_text(encoding="utf-8").splitlines() if not status else [""]
    at = history[0].split(",").index("epoch") if history[0] else 0
    epochs = [int(line.split(",")[at]) for line in history[1:]]
    if status or len(epochs) != 3 or epochs != sorted(set(epochs)) or not (out / "metrics.json").exists():
        raise Broken(f"killed after {moments}, then exit status {status}, epochs {epochs}: {said[-300:]}")
    if not (out / "letter.txt").exists():
        raise Broken("a file in the run folder is gone")


# ---- the campaign


def try_cases(cases, promise, seed, examples):
    """Try a promise on so many random cases. What is said of the smallest case that breaks it, or ""."""
    # cases may be slow, and those of a seed are the same in every campaign
    checks = {"deadline": None, "database": None, "suppress_health_check": list(hypothesis.HealthCheck)}

    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=examples, report_multiple_bugs=False, **checks)
    @hypothesis.given(case=cases)
    def check(case):
        promise(case)

    try:
        check()
    except Exception as error:
        return "\n  ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])
    return ""


def campaign(folder, seed, minutes):
    """Try everything for so many minutes, at least once. Returns how many promises were broken."""
    began = time.monotonic()
    ends = began + 60 * minutes
    playground = Playground(folder)
    prepared = time.monotonic() - began
    print(f"trained and exported in {prepared:.0f} s", flush=True)
    texts = [TINY, *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "experiments").glob("*.toml")))]
    # cases, promise, how many cases at a time
    kinds = {
        "experiment files": (experiments(texts), playground.read_experiment, 200),
        "command lines": (command_lines(), playground.run_command, 40),
        "pictures": (pictures(), playground.skip_picture, 40),
        "cards": (damage(playground.card), playground.use_damaged_card, 20),
    }
    counts, broken = dict.fromkeys([*kinds, "kills"], 0), []

    def count(name, number, said):
        counts[name] += number
        broken.extend([name] if said else [])
        print(f"{name}: {said or number}", flush=True)

    def kill():
        rng = random.Random(seed)
        while not counts["kills"] or time.monotonic() < ends:
            try:
                kill_and_resume(folder, rng, prepared)
                count("kills", 1, "")
            except Exception as error:
                count("kills", 1, f"{type(error).__name__}: {error}")

    killing = threading.Thread(target=kill)
    killing.start()
    for part, (name, kind) in enumerate(itertools.cycle(kinds.items())):
        if part >= len(kinds) and time.monotonic() > ends:
            break
        count(name, kind[2], try_cases(*kind[:2], zlib.crc32(f"{seed} {part}".encode()), kind[2]))
    killing.join()
    print("tried: " + ", ".join(f"{number:,} {name}" for name, number in counts.items()))
    return len(broken)


def main():
    parser = argparse.ArgumentParser(prog="python benchmarks/soak.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20, help="length of the campaign (default: 20)")
    parser.add_argument("--seed", type=int, help="seed of everything random (default: from the clock)")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else time.time_ns() % 2**31
    folder = Path(tempfile.mkdtemp(prefix="keras_ae-soak-"))
    os.environ["KERAS_AE_CACHE"] = str(folder / "cache")
    print(f"seed {seed}, {arguments.minutes:g} minutes, in {folder}", flush=True)
    try:
        broken = campaign(folder.resolve(), seed, arguments.minutes)
    finally:
        os.chdir(ROOT)
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"seed {seed}: {broken or 'no'} promises broken")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
