import ast
import configparser
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXPERIMENTS = sorted(path.stem for path in (ROOT / "experiments").glob("*.toml"))
# names of imports that differ from those of their packages
PACKAGES = {"PIL": "pillow", "sklearn": "scikit-learn", "skimage": "scikit-image", "umap": "umap-learn"}


def settings():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built without network from a copy of what git tracks."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    names = ["setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "experiments", "keras_ae"]
    tracked = subprocess.run(["git", "ls-files", *names], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("needs the files that git tracks")
    for name in tracked.stdout.splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-build-isolation",
        "--no-deps",
        "--no-index",
        "--wheel-dir",
        out,
        source,
    ]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def started(installed, folder, *words):
    """Run a module of the unpacked wheel in an empty folder."""
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run([sys.executable, "-m", *words], cwd=folder, env=environment, capture_output=True, text=True)


def test_the_wheel_contains_what_the_package_reads(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = {path.relative_to(ROOT).as_posix() for path in (ROOT / "keras_ae").rglob("*") if path.is_file()}
    assert not {name for name in tracked if "__pycache__" not in name} - names
    assert not {f"keras_ae/experiments/{name}.toml" for name in EXPERIMENTS} - names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "docs"))]


def test_the_wheel_declares_the_entry_point(installed):
    (declared,) = installed.glob("*.dist-info/entry_points.txt")
    assert "keras-ae = keras_ae.__main__:main" in declared.read_text()


def test_experiments_are_listed_in_an_empty_folder(installed, tmp_path):
    done = started(installed, tmp_path, "keras_ae.train", "--list")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == EXPERIMENTS
    assert all(len(line.split()) > 3 for line in done.stdout.splitlines())


def test_an_unknown_experiment_is_one_line_with_a_near_match(installed, tmp_path):
    done = started(installed, tmp_path, "keras_ae.train", "vae_mnits")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "did you mean vae_mnist?" in done.stderr


def test_without_a_model_generate_says_in_one_line_how_to_get_one(installed, tmp_path):
    done = started(installed, tmp_path, "keras_ae.generate")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "keras-ae train vae" in done.stderr
    assert not list(tmp_path.iterdir())


def test_setup_cfg_names_every_folder_of_the_package():
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "keras_ae").rglob("__init__.py")}
    assert set(settings()["options"]["packages"].split()) == folders | {"keras_ae.experiments"}


def test_every_import_of_the_package_is_declared():
    chosen = settings()
    tables = [chosen["options"]["install_requires"], *chosen["options.extras_require"].values()]
    lines = [line.strip() for table in tables for line in table.splitlines()]
    declared = {line.replace("[", " ").split()[0].lower() for line in lines if line and not line.startswith("#")}
    imported = set()
    for path in (ROOT / "keras_ae").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.partition(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"keras_ae"}
    assert {"tensorflow", "skimage"} <= foreign
    assert not sorted(
        {PACKAGES.get(name, name).replace("_", "-") for name in foreign} - {n.replace("_", "-") for n in declared}
    )
