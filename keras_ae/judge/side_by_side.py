"""Several models judged side by side on one data set, and the report of it: index.html, metrics.json and pictures/."""

import dataclasses
import json
from pathlib import Path

from tqdm import tqdm

from keras_ae import outputs
from keras_ae.data import pipeline
from keras_ae.errors import UserError
from keras_ae.images.pictures import to_float
from keras_ae.judge import drawing, report
from keras_ae.judge.judge import Candidate
from keras_ae.models.losses import RECONSTRUCTIONS, Likelihood
from keras_ae.versions import versions

# of the closing table: key, width and digits
RECONSTRUCTED = (("psnr", (9, 2)), ("ssim", (7, 3)), ("sharpness", (11, 2)))


def likelihood_of(card):
    """The likelihood that an export was trained with, `models.losses.Likelihood`; None if its variance was not fixed."""
    table = card.get("configuration", {}).get("reconstruction", {"name": "gaussian_optimal_variance"})
    # a likelihood of somebody's own has no name here
    if table.get("name") not in RECONSTRUCTIONS or table["name"] == "gaussian_optimal_variance":
        return None
    return Likelihood(**table)


def candidate(model, name):
    """An `Exported` model as a `Candidate` with this name."""

    def generate(n, seed):
        return to_float(model.generate(n, seed)[0])

    generates = generate if model.generates else None
    return Candidate(name, model.latent_dim, model.codes, model.decode, generates, likelihood_of(model.card))


def refined(model, name, steps):
    """The reconstructions of a model from codes refined in so many steps, as a `Candidate` without a generator."""

    def refine(images, z):
        return model.refine(images, z, steps, progress="refining codes")

    # mean codes alone: likelihood and samples are those of the model itself
    return dataclasses.replace(candidate(model, name), encode=lambda x: {"z": model.encode(x)}, generate=None, refine=refine)


def named(folders):
    """{name: folder}: the last part of each path, or the whole path if two last parts are equal."""
    short = [Path(folder).resolve().name for folder in folders]
    return dict(zip(short if len(set(short)) == len(short) else map(str, folders), folders, strict=True))


def load_images(models, directory):
    """The data set to judge on, an `ImageSet`: that of --data, or the one that the first card names.

    models: {name: Exported}, all of one image shape. Raises UserError.
    """
    shapes = {model.shape for model in models.values()}
    if len(shapes) > 1:
        raise UserError(f"models of different image shapes cannot be compared: {', '.join(map(str, sorted(shapes)))}")
    ((height, _, channels),) = shapes
    name = next(iter(models.values())).card.get("configuration", {}).get("data", {}).get("name", "folder")
    if directory:
        name, directory = pipeline.resolve(name, directory)
    elif name == "folder":
        raise UserError("name the folder of held-out picture files with --data DIR")
    return pipeline.load(name, directory, height, channels)


def trained_on_others(models, image_set):
    """A line for each of {name: Exported} that was trained on other images than these."""
    lines = []
    for name, model in models.items():
        trained_on = model.card.get("data", {}).get("fingerprint")
        if trained_on and trained_on != image_set.fingerprint:
            lines.append(f"{name} was trained on other images; it may have seen images that are held out here")
    return lines


def judge_all(judge, makers):
    """Judge the candidate that each of `makers` returns: {name: numbers}, {name: arrays}; a progress bar on stderr."""
    judged, arrays = {}, {}
    with tqdm(makers, unit="model", disable=None, leave=False) as bar:
        for make in bar:
            candidate = make()
            bar.set_description(candidate.name)
            judged[candidate.name], arrays[candidate.name] = judge.judge(candidate)
    return judged, arrays


def write(out, judge, names, judged, arrays, warnings=()):
    """Write the report to the folder `out`; returns its summary as text. names: of the models in the title."""
    real = judge.floor()
    protocol = {
        "models": list(names),
        "data": judge.image_set.name,
        "fingerprint": judge.image_set.fingerprint,
        "n_train": judge.image_set.n_train,
        "n_test": judge.image_set.n_test,
        "n_held_out": len(judge.held_out),
        "n_others": 0 if judge.others is None else len(judge.others),
        "n_samples": judge.n,
        "seed": judge.seed,
        "features": judge.features_name,
        "versions": versions(),
        "warnings": list(warnings),
    }
    with outputs.folder(out) as folder:
        numbers = {"protocol": protocol, "real": real, "models": judged}
        (folder / "metrics.json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
        (folder / "pictures").mkdir()
        pictures = drawing.draw(folder / "pictures", judged, arrays)
        (folder / "index.html").write_text(report.page(protocol, judged, real, pictures), encoding="utf-8")
    return summary(judged, real, judge.frechet_name)


def _cell(value, width, digits, half_width=None):
    if value is None:
        return f"{'-':>{width}}"
    text = f"{value:.{digits}f}" if half_width is None else f"{value:.{digits}f} ±{half_width:.{digits}f}"
    return f"{text:>{width}}"


def summary(judged, real, frechet):
    """The closing table on the terminal; ± is half the width of a 95 % interval."""
    lines = [f"{'':<20}  PSNR dB   SSIM  sharpness  {frechet:>12}     precision        recall  nearest"]
    for name, model in [*judged.items(), ("real images", {"reconstruction": {}, "samples": real})]:
        rebuilt, samples = model["reconstruction"], model["samples"] or {"half_widths": {}}
        cells = [_cell(rebuilt.get(key), *shape) for key, shape in RECONSTRUCTED]
        spread = samples["half_widths"]
        cells += [_cell(samples.get(key), 14, 2, spread.get(key)) for key in (frechet, "precision", "recall")]
        lines.append(f"{name:<20}" + "".join(cells) + _cell(samples.get("nearest_training"), 9, 2))
    if all(model["others"] for model in judged.values()):
        lines.append("images of --others")
        for name, model in judged.items():
            cells = [_cell(model["others"].get(key), *shape) for key, shape in RECONSTRUCTED]
            lines.append(f"{name:<20}" + "".join(cells))
    return "\n".join(lines)
