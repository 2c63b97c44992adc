"""What `pip install keras_ae` gives: the wheel and the sdist, in an environment and a folder without the repository."""

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, sets

EXPERIMENTS = sorted(path.stem for path in (ROOT / "experiments").glob("*.toml"))
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
# import names that are not the names of their distributions
DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "skimage": "scikit-image"}
DISTRIBUTIONS |= {name: name.replace("_", "-") for name in ("tensorflow_datasets", "annotated_types", "lazy_loader")}
# what tensorflow and tensorboard need themselves, and cannot be without
BROUGHT = {"google": "tensorboard"}


def python_of(folder):
    """The interpreter of the environment in `folder`."""
    return folder / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def built(source, out, kind):
    """Build from `source` what `kind` says; nothing is downloaded."""
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="session")
def sdist(once):
    """The unpacked sdist."""

    def make(out):
        # a copy: builds leave nothing in the repository
        source = out / "source"
        for name in ("keras_ae", "experiments", "tests", "exported/cats"):
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in ROOT.iterdir():
            if path.is_file() and not path.name.startswith("."):
                shutil.copy(path, source)
        with tarfile.open(built(source, out, "sdist")) as archive:
            archive.extractall(out / "unpacked", filter="data")

    (folder,) = (once("sdist", make) / "unpacked").iterdir()
    return folder


@pytest.fixture(scope="session")
def wheel(once, sdist):
    """The wheel, built from the sdist as pip builds it."""
    (made,) = once("wheel", lambda out: built(sdist, out, "wheel")).glob("*.whl")
    return made


@pytest.fixture(scope="session")
def python(once, wheel):
    """An interpreter of a new environment with the wheel; dependencies come from the environment of the tests."""

    def make(out):
        venv.create(out / "env", with_pip=False)
        purelib = next((out / "env").rglob("site-packages"))
        (purelib / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        # pip in the new environment, so that its scripts start its own interpreter
        pip = [sys.executable, "-m", "pip", "--python", str(python_of(out)), "--disable-pip-version-check", "--quiet"]
        install = ["install", "--no-deps", "--no-index", "--force-reinstall", str(wheel)]
        subprocess.run([*pip, *install], check=True, capture_output=True)

    return python_of(once("environment", make))


def ran(python, folder, *words, status=0):
    """Output and errors of a process in `folder`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(word) for word in (python, *words)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def test_the_list_of_packages_is_that_of_the_folders():
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "keras_ae").rglob("__init__.py")}
    assert set(SETUP["options"]["packages"].split()) == found | {"keras_ae.experiments", "keras_ae.cats"}


def test_the_wheel_holds_the_experiments_the_page_the_cats_and_nothing_beside(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if name.endswith(".toml")} == {f"keras_ae/experiments/{name}.toml" for name in EXPERIMENTS}
    assets = {path.relative_to(ROOT).as_posix() for path in (ROOT / "keras_ae").glob("*/assets/*")}
    assert assets | {"keras_ae/py.typed", "keras_ae/__init__.pyi"} <= set(names)
    assert all(name.startswith(("keras_ae/", "keras_ae-")) for name in names)
    cats = {name.removeprefix("keras_ae/cats/") for name in names if name.startswith("keras_ae/cats/")}
    networks = {f"onnx/{name}" for name in ("encoder.onnx", "decoder.onnx", "velocity.onnx", "resize.onnx", "prior.npz")}
    assert cats == networks | {"card.json"}
    assert wheel.stat().st_size < 20_000_000


def test_commands_of_the_wheel_work_in_an_empty_folder(python, tmp_path):
    place, _ = ran(python, tmp_path, "-c", "import keras_ae; print(keras_ae.__file__)")
    assert Path(place.strip()).is_relative_to(python.parents[1])
    script = python.with_name("keras-ae")
    listed, _ = ran(script, tmp_path, "train", "--list")
    assert [line.split()[0] for line in listed.splitlines()] == EXPERIMENTS
    assert all(len(line.split()) > 3 for line in listed.splitlines())
    assert "usage: keras-ae generate [-h]" in ran(script, tmp_path, "generate", "--help")[0]
    _, error = ran(script, tmp_path, "train", "vae_mnits", status=2)
    assert error == "keras-ae train: error: no experiment file or name vae_mnits; did you mean vae_mnist? " + (
        "keras-ae train --list shows the names\n"
    )


def test_the_wheel_trains_by_name_exports_draws_and_explores_in_an_empty_folder(python, tmp_path):
    script = python.with_name("keras-ae")
    quick = ["encoder.widths=[4]", "decoder.widths=[4]", "training.epochs=1", "refinement.epochs=0", "prior.components=[1]"]
    settings = sets(*quick)
    ran(script, tmp_path, "train", "digits", *settings, "--export", "exported/vae")
    ran(script, tmp_path, "generate", "--n", "4")
    ran(script, tmp_path, "explore", "--out", "page.html")
    assert (tmp_path / "samples.png").exists() and (tmp_path / "page.html").stat().st_size > 10_000


def test_without_tensorflow_the_wheel_draws_rebuilds_and_explores_the_shipped_cats(wheel, once, tmp_path):
    def make(out):
        venv.create(out / "env", with_pip=False)
        purelib = next((out / "env").rglob("site-packages"))
        here = Path(sysconfig.get_path("purelib"))
        needed = "numpy numpy.libs PIL pillow.libs onnxruntime lazy_loader tqdm filelock jinja2 markupsafe"
        for name in needed.split():
            if (here / name).exists():
                (purelib / name).symlink_to(here / name)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(purelib)

    python = python_of(once("light", make))
    pictures = [f"drawn/{index:04d}.png" for index in range(4)]
    for name, *words in (
        ("generate", "--n", "4", "--separate", "--out", "drawn"),
        ("reconstruct", *pictures),
        ("interpolate", *pictures[:2], "--out", "a.gif", "--seconds", "0.1"),
        ("score", "--data", "drawn"),
        ("demo",),
    ):
        output, errors = ran(python, tmp_path, "-m", f"keras_ae.{name}", *words)
        assert (len(output.splitlines()), errors) == (1, "") or name in ("score", "demo")
    assert sorted(map(str, (tmp_path / "drawn").iterdir())) == [str(tmp_path / path) for path in pictures]
    _, error = ran(python, tmp_path, "-m", "keras_ae.train", "vae", status=2)
    assert error.endswith("this needs the package tensorflow, which is not installed; pip install 'keras_ae[train]'\n")
    _, error = ran(python, tmp_path, "-m", "keras_ae.copies", "drawn", status=2)
    assert error.endswith("which is not installed; pip install 'keras_ae[folders]'\n")


def imported():
    """{import name of a package: first module that imports it} of the third-party imports."""
    found = {}
    for path in sorted((ROOT / "keras_ae").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            found |= {name.split(".")[0]: path.name for name in names if name.split(".")[0] not in found}
    return {name: path for name, path in found.items() if name not in sys.stdlib_module_names and name != "keras_ae"}


def requirements(*extras):
    """Names of the packages that keras_ae needs, with some of its extras."""
    text = "\n".join([SETUP["options"]["install_requires"], *(SETUP["options.extras_require"][name] for name in extras)])
    return {re.split(r"[ \[<>=]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}


def test_the_constraints_pin_every_dependency():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0].lower() for line in lines if "==" in line}
    assert {name.lower() for name in requirements("test", "docs")} <= pinned


def test_make_train_passes_data_and_arguments_to_one_command():
    words = ["make", "--no-print-directory", "--dry-run", "train-vae", "DATA=some folder", "ARGS=--seed 3"]
    *_, command = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert command.endswith('keras_ae.train experiments/vae.toml --data "some folder" --export --seed 3')


def test_every_import_is_declared():
    extras = [name for name in SETUP["options.extras_require"] if name not in ("test", "bench", "peers", "dist")]
    needed = {name: DISTRIBUTIONS.get(name, BROUGHT.get(name, name)) for name in imported()}
    declared = requirements(*extras)
    assert {name: found for name, found in needed.items() if found not in declared} == {}
