"""The experiment files that the package contains, by name. Imports nothing heavy: `train --list` and `--help` use it."""

import difflib
from pathlib import Path

from keras_ae.errors import UserError


def folder():
    """Where they are: in the package where it is installed, in the top-level folder of the repository else."""
    package = Path(__file__).parents[1]
    inside = package / "experiments"
    return inside if inside.is_dir() else package.parent / "experiments"


def lines():
    """{name: its line} of every experiment file, from its first comment."""
    lines = {}
    for path in sorted(folder().glob("*.toml")):
        with open(path, encoding="utf-8") as file:
            lines[path.stem] = file.readline().removeprefix("#").strip()
    return lines


def listing():
    """The text of `train --list`."""
    known = lines()
    width = max(map(len, known))
    return "\n".join(f"{name:<{width}}  {line}" for name, line in known.items())


def found(experiment):
    """The path of an experiment file, given as a path, or as the name of one that the package contains. Raises UserError."""
    path = Path(experiment)
    if path.exists() and not path.is_dir():
        return path
    known = lines()
    # experiments/vae.toml outside the repository is a mistake for vae
    if path.name == str(experiment) and path.stem in known:
        return folder() / f"{path.stem}.toml"
    near = difflib.get_close_matches(path.stem, known, 1, 0.5)
    advice = f"did you mean {near[0]}? " if near else ""
    raise UserError(f"no experiment file or name {experiment}; {advice}keras-ae train --list shows the names")
