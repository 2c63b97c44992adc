"""Training: experiment files, runs and their folders, both stages, results. Finding experiment files needs no TensorFlow."""

import difflib
from pathlib import Path

from keras_ae.errors import UserError


def experiment_files():
    """{name: path} of the experiment files: in the package where it is installed, in the top-level folder else."""
    package = Path(__file__).parents[1]
    inside = package / "experiments"
    folder = inside if inside.is_dir() else package.parent / "experiments"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_experiment(experiment):
    """The path of an experiment file, given as a path, or as the name of one that the package contains. Raises UserError."""
    path, known = Path(experiment), experiment_files()
    if path.is_file():
        return path
    # experiments/vae.toml outside the repository is a mistake for vae
    if path.name == str(experiment) and path.stem in known:
        return known[path.stem]
    near = difflib.get_close_matches(path.stem, known, 1, 0.5)
    advice = f"did you mean {near[0]}? " if near else ""
    raise UserError(f"no experiment file or name {experiment}; {advice}keras-ae train --list shows the names")
