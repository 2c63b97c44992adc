import contextlib
import functools
import gc
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

# NumPy and scikit-learn read these when they are imported: several threads would wait for each other busily, on cores that run
# other tests
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

from keras_ae import commandline

tf = commandline.import_tensorflow()
# graphs are many small objects: at the usual threshold, a tenth of the time is spent looking for cycles among them
gc.set_threshold(50_000, 20, 20)

import keras

from course import music
from keras_ae import export, train
from keras_ae.data.drawn_cats import draw, sample_factors
from keras_ae.errors import UserError
from keras_ae.exports import portable
from keras_ae.images import pictures
from keras_ae.training import results

ROOT = Path(__file__).parents[1]
CATS = ROOT / "exported" / "cats"

TINY = (Path(__file__).parent / "tiny.toml").read_text()

COURSE_SETTINGS = ["training.epochs=1", "training.batch=256", "training.precision=float32", "prior.components=[1, 5]"]
COURSE = {
    "ae": ["data.name=digits", "latent.name=point", "latent.dim=2", "encoder.widths=[8]", "decoder.widths=[8]"],
    "vae": ["data.name=digits", "latent.dim=2", "encoder.widths=[8]", "decoder.widths=[8]", "reconstruction.name=bernoulli"],
    "cvae": ["data.name=digits", "condition.name=on_label", "latent.dim=3", "encoder.widths=[8]", "decoder.widths=[8]"],
    "denoiser": ["data.name=digits", "task.name=add_noise", "latent.dim=4", "encoder.widths=[8]", "decoder.widths=[8]"],
    "upscaler": ["data.name=digits", "task.name=downscale", "latent.dim=4", "encoder.widths=[8]", "decoder.widths=[8]"],
    "music": ["uses.module=course.music", "data.name=melodies", "reconstruction.name=categorical", "latent.dim=4"],
}


@pytest.fixture(scope="session")
def common(tmp_path_factory):
    """A folder that all processes of a parallel run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def sets(*overrides):
    """The words of a command that set these keys of an experiment."""
    return [word for override in overrides for word in ("--set", override)]


def process(*words, **options):
    """A finished process of Python with these arguments, which imports this checkout."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | options.pop("env", {})
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run([sys.executable, *map(str, words)], text=True, env=environment, **streams)


@functools.cache
def draw_cat(index, side=24, seed=3):
    """A drawn cat, uint8 (side, side, 3)."""
    return draw(sample_factors(seed, index), side)


def rewrite(folder, **values):
    """Change values in the card of an export; gives the card as it was."""
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | values))
    return card


@contextlib.contextmanager
def eager():
    """A context without graphs: to trace that of a step takes as long as dozens of steps."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


class Batches(keras.utils.PyDataset):
    """A `PyDataset` of these batches."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


@pytest.fixture(scope="session", autouse=True)
def cache(common):
    """Nothing is read from or left in the user's own cache."""
    os.environ["KERAS_AE_CACHE"] = str(common / "cache")


@pytest.fixture(scope="session")
def shared():
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the real pictures in ../shared")
    return folder


@pytest.fixture(scope="session")
def folder(once):
    """A folder of 150 different little pictures."""

    def write(out):
        for index in range(150):
            pictures.write_png(out / "cats" / f"{index}.png", draw_cat(index, seed=7))

    return once("data", write) / "cats"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """An experiment file that trains in seconds."""
    path = tmp_path_factory.mktemp("experiments") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def once(common):
    """once(name, make): a folder that `make(folder)` fills in one process of a parallel run, and all others use."""

    def made(name, make):
        folder, done = common / name, common / f"{name}.done"
        with FileLock(common / f"{name}.lock"):
            if not done.exists():
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def run(once, folder, tiny):
    """The folder of a finished run of the tiny experiment."""
    return once("run", lambda out: train.main([str(tiny), "--data", str(folder), "--out", str(out / "tiny")])) / "tiny"


@pytest.fixture(scope="session")
def short():
    """short(): a context without graphs, in which runs end without pictures, a third of their time, and few melodies exist."""

    @contextlib.contextmanager
    def context():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(results, "draw", lambda *_: None)
            patch.setattr(music, "COUNT", 1000)
            with eager():
                yield

    return context


@pytest.fixture
def undrawn(short):
    """For tests that look at something else than the pictures of a run."""
    with short():
        yield


@pytest.fixture(scope="session")
def portable_files():
    """portable_files(*kinds): a context in which exports have these portable files alone; they take most of the time."""

    def leave_out(*_):
        raise UserError("left out by a test")

    @contextlib.contextmanager
    def context(*kinds):
        with pytest.MonkeyPatch.context() as patch:
            for kind in {"onnx", "litert"} - set(kinds):
                patch.setattr(portable, f"write_{kind}_files", leave_out)
            yield

    return context


@pytest.fixture
def not_portable(portable_files):
    """For tests that look at something else than portable files."""
    with portable_files():
        yield


@pytest.fixture(scope="session")
def exported(once, run, portable_files):
    """The export of the tiny run, with ONNX files."""
    with portable_files("onnx"):
        return once("exported", lambda out: export.main(["--model", str(run), "--out", str(out / "tiny")])) / "tiny"


@pytest.fixture(scope="session")
def course(once, short, portable_files):
    """A folder of exports, one for each of COURSE, hardly trained, without portable files."""
    with short(), portable_files():
        return once("course", train_course)


def train_course(root):
    for name, overrides in COURSE.items():
        path = root / f"{name}.toml"
        # 8x8 pictures are shown to the encoder of the upscaler as 4x4
        path.write_text("")
        kinds = {"upscaler": ["encoder.name=dense"], "music": ["encoder.name=sequence", "decoder.name=sequence"]}
        settings = sets(*kinds.get(name, []), *overrides, *COURSE_SETTINGS)
        train.main([str(path), *settings, "--out", str(root / "runs" / name)])
        export.main(["--model", str(root / "runs" / name), "--out", str(root / name)])


@pytest.fixture
def fails(capfd):
    """Run a command's main with arguments that must fail: exit status 2, one line on stderr, no traceback; gives the line."""

    def check(main, *arguments):
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        assert stopped.value.code == 2
        # progress, waiting for a lock, and warnings of the data are no errors
        other = re.compile(r"\s*$|.*%\||.*waiting:|warning: ")
        lines = [line for line in capfd.readouterr().err.splitlines() if not other.match(line)]
        assert len(lines) == 1, lines
        assert ": error: " in lines[0]
        return lines[0]

    return check
