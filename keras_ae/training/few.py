"""What changes where there are few training images: the table [few] of an experiment file."""

import dataclasses
import math
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

# of an epoch, at least: each ends with a look at the held-out images, and is saved
STEPS = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Few:
    """Other values below `images` training images (0: never), for what --set leaves open.

    steps: of the first stage, at least: an epoch of few images is short, and there are more of them. batch: at most.
    dim: of the code. shift, scale, rotation: of [data]. refined_from: least number of training images for the second stage.
    refined_steps: of the second stage, at least.
    start_rate, start_steps: learning rate and steps of the first stage where training starts from an export, for any number
    of images: its weights are near the end of their way, and a higher rate would lose them.
    """

    images: Annotated[int, Ge(0), Le(10**9)] = 0
    steps: Annotated[int, Ge(1), Le(10**9)] = 1500
    batch: Annotated[int, Ge(1), Le(65536)] = 16
    dim: Annotated[int, Ge(1), Le(65536)] = 64
    shift: Annotated[float, Ge(0), Le(64)] = 3
    scale: Annotated[float, Ge(0), Le(0.5)] = 0.08
    rotation: Annotated[float, Ge(0), Le(180)] = 8.0
    refined_from: Annotated[int, Ge(0), Le(10**9)] = 0
    refined_steps: Annotated[int, Ge(1), Le(10**9)] = 600
    start_rate: Annotated[float, Gt(0), Lt(10)] | None = None
    start_steps: Annotated[int, Ge(1), Le(10**9)] | None = None


def _wanted(experiment, n_train, replicas):
    """{(table, key): value} that [few] asks for; batches are such that so many devices can share them."""

    def shared(batch):
        return max(replicas, batch // replicas * replicas)

    few, starts, second = experiment.few, experiment.training.start_from, experiment.second_stage
    values = {}
    if n_train < few.images:
        values["training", "batch"] = shared(min(few.batch, n_train // STEPS))
        values |= {("data", key): getattr(few, key) for key in ("shift", "scale", "rotation")}
        if not starts:
            values["latent", "dim"] = min(few.dim, experiment.latent_dim)
        if n_train < few.refined_from and "refinement.epochs" not in experiment.chosen:
            values["refinement", "epochs"] = 0
        elif second.epochs:
            batch = values["refinement", "batch"] = shared(min(second.batch, max(2, n_train)))
            values["refinement", "epochs"] = max(second.epochs, math.ceil(few.refined_steps / max(1, n_train // batch)))
    if starts and few.start_rate and "learning_rate" in experiment.tables["schedule"]:
        values["schedule", "learning_rate"] = few.start_rate
    return values


def adapted(experiment, n_train, replicas=1):
    """The experiment for so many training images and devices, and a line that says what [few] changed, or None."""
    few, tables = experiment.few, {name: dict(table) for name, table in experiment.tables.items()}
    changed, starts = {}, experiment.training.start_from

    def change(table, key, value):
        if f"{table}.{key}" not in experiment.chosen and tables[table][key] != value:
            tables[table][key] = changed[f"{table}.{key}"] = value

    for (table, key), value in _wanted(experiment, n_train, replicas).items():
        change(table, key, value)
    steps = max(1, n_train // tables["training"]["batch"])
    if starts and few.start_steps:
        change("training", "epochs", math.ceil(few.start_steps / steps))
    elif n_train < few.images:
        change("training", "epochs", max(tables["training"]["epochs"], math.ceil(few.steps / steps)))
    if not changed:
        return experiment, None
    reasons = [f"{n_train:,} training images are few"] if n_train < few.images else []
    reasons += [f"training starts from {starts}"] if starts else []
    values = ", ".join(f"{key}={value}" for key, value in changed.items())
    return dataclasses.replace(experiment, tables=tables), f"{' and '.join(reasons)}: {values} ([few]; --set keeps yours)"
