import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXPERIMENTS = sorted(path.stem for path in (ROOT / "experiments").glob("*.toml"))


def make(*arguments):
    done = subprocess.run(["make", "--no-print-directory", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_make_help_lists_every_target_with_a_line():
    lines = {line.split()[0]: line.split()[1:] for line in make("help").splitlines()}
    assert {"install", "test", "lint", "bench", "docs", *(f"train-{name}" for name in EXPERIMENTS)} <= set(lines)
    assert all(lines.values())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_a_target_that_trains_exports_and_draws(name):
    commands = make("--dry-run", f"train-{name}", "DATA=some folder", "ARGS=--seed 3")
    assert f'keras_ae.train experiments/{name}.toml --data "some folder" --seed 3' in commands
    assert f"keras_ae.export --model runs/{name} --out exported/{name}" in commands
    assert f"keras_ae.generate --model exported/{name} --n 16" in commands


def test_the_constraints_pin_every_dependency():
    import configparser
    import re

    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    wanted = setup["options"]["install_requires"] + extras["test"] + extras["docs"]
    names = {re.split(r"[ <>=[]", line)[0] for line in wanted.splitlines() if line and not line.startswith("#")}
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert {name.lower() for name in names} <= {name.lower() for name in pinned}
