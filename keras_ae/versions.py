"""Versions of the package, of what it builds on, and of its checkout."""

import subprocess
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("keras", "tensorflow", "tensorflow-datasets", "numpy", "scikit-learn")


def versions():
    """Versions of keras_ae and of the packages that influence its results: {name: version}."""
    return {"keras_ae": version("keras_ae"), **{name: version(name) for name in PACKAGES}}


def git_state():
    """Commit of the package's checkout, with the suffix "-dirty" where files differ from it; None outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        described = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, encoding="utf-8", check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
