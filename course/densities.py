"""Priors fitted to the same codes, and what each draws: N(0, I), Gaussian mixtures and a flow."""

import dataclasses
import time

import numpy as np

from course import checks
from keras_ae.data.variation import Variation
from keras_ae.images import figures
from keras_ae.judge.judge import Judge
from keras_ae.priors.mixture import PRIORS
from keras_ae.training.results import training_codes

MEASURED = ("fd_gabor", "precision", "recall", "sharpness", "nearest_training")
COMPONENTS = (1, 10, 20, 40)
SHOWN = 6


def codes_of(model, name, image_set):
    """What `training_codes` gives for an export: codes of images varied as in its training, and the labels."""
    known = model.card.get("configuration", {}).get("data", {})
    names = {field.name for field in dataclasses.fields(Variation)}
    variation = Variation(**{name: value for name, value in known.items() if name in names})

    def encode(batch):
        return model.encode(batch["images"].numpy(), checks.labels_of(model, name, image_set, batch))

    return training_codes(encode, image_set, max(kind.views for kind in PRIORS.values()), variation)


def fits(components, flow):
    """What to compare: {name: (class of the prior, arguments of its fit)}."""
    mixtures = {f"mixture of {count}": (PRIORS["mixture"], {"components": [count]}) for count in components}
    return {"N(0, I)": (PRIORS["normal"], {}), **mixtures, "flow": (PRIORS["flow"], flow)}


def run(models, image_set, seed, folder, *, n=2000, components=COMPONENTS, **flow):
    """For each model and prior the judge's numbers of `n` samples and the seconds of the fit; those of decoded held-out codes.

    flow: arguments of `codes.flow.Flow.fit`.
    """
    judge = Judge(image_set, n, "gabor", seed)
    classes = np.arange(judge.n, dtype="int32")
    numbers = {}
    for name, model in models.items():
        model.check_rebuilds()
        codes, labels = codes_of(model, name, image_set)
        drawn_labels = classes % len(model.labels) if model.labels else None
        rows, measured = {}, {}
        for prior, (kind, arguments) in fits(components, flow).items():
            began = time.perf_counter()
            known = (labels, len(model.labels)) if model.labels else (None, None)
            fitted = kind.fit(codes[: kind.views], seed, *known, **arguments)
            seconds = time.perf_counter() - began
            images = model.decode(fitted.sample(judge.n, seed, label=drawn_labels), drawn_labels)
            rows[prior] = images[:SHOWN]
            measured[prior] = _measured(judge, images) | {"seconds": round(seconds, 1)}
        if not model.labels:
            rebuilt = model.reconstruct(judge.held_out)
            rows["held-out codes"] = rebuilt[:SHOWN]
            measured["held-out codes"] = _measured(judge, rebuilt)
        figures.rows(list(rows.values()), list(rows), folder / f"densities_{name}.png", f"{name}: samples, by prior")
        numbers[name] = measured
    return {"n": judge.n, "models": numbers, "real": {"fd_gabor": judge.floor(intervals=False)["fd_gabor"]}}


def _measured(judge, images):
    compared = dict(judge.compare(images, judge.extract(images), intervals=False))
    return {key: compared[key] for key in MEASURED}
