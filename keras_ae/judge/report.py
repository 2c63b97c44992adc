"""The report of several models judged side by side: one HTML page that opens offline, metrics.json, pictures, and a summary."""

import base64
import collections
import json
import math

from keras_ae.files import render, versions, write_folder
from keras_ae.images import charts, figures
from keras_ae.priors.space import principal

SECTIONS = ("reconstruction", "others", "codes", "likelihood")
# of numbers on the page; of the others, two
DIGITS = dict.fromkeys(("n", "active_units", "latent_dim", "entries", "perplexity", "bits"), 0)
DIGITS |= {"ssim": 3, "bits_per_dimension": 3}
DIGITS |= dict.fromkeys(("neg_elbo", "neg_importance_weighted_50", "neg_importance_weighted_500"), 1)
DIGITS |= dict.fromkeys(("distortion", "rate", "aggregate_kl", "fid"), 1) | dict.fromkeys(("mse", "l1", "kid", "kernel"), 4)


def _format(numbers):
    """The numbers of a model as the page shows them: {key: (number, 95 % interval or "")}."""
    intervals, found = numbers.get("intervals", {}), {}
    for key, value in numbers.items():
        if isinstance(value, int | float):
            digits = DIGITS.get(key, 2)
            interval = " to ".join(f"{end:.{digits}f}" for end in intervals.get(key, ()))
            found[key] = (f"{value:.{digits}f}" if math.isfinite(value) else "-", interval)
    return found


def page_html(protocol, models, real, drawn):
    """The whole document, from the contents of metrics.json and the pictures of `draw`."""
    rows = {key: {name: model[key] for name, model in models.items()} for key in SECTIONS}
    rows["importance_weighted"] = {name: (found or {}).get("importance_weighted") for name, found in rows["likelihood"].items()}
    rows["samples"] = {name: model["samples"] for name, model in models.items()} | {"real images": real}
    tables = {key: {name: _format(numbers) for name, numbers in row.items() if numbers} for key, row in rows.items()}
    pictures = collections.defaultdict(list)
    for section, path, text in drawn:
        pictures[section].append((text, base64.b64encode(path.read_bytes()).decode()))
    title = f"How good is {' and '.join(protocol['models'])}?"
    return render(__package__, "report.html", title=title, protocol=protocol, tables=tables, pictures=pictures)


def draw(folder, models, arrays):
    """Draw every picture of the report into `folder`: triples (section, path, alternative text)."""
    path, title = folder / "reconstructions.png", "Held-out images and their reconstructions"
    kinds = {"original": next(iter(arrays.values()))["originals"][:16]}
    figures.reconstructions(kinds | {name: array["rebuilt"][:16] for name, array in arrays.items()}, path, title)
    yield "reconstruction", path, f"{title}: rows of originals, below each a row of each of {', '.join(arrays)}"
    kls = {name: numbers["likelihood"]["kl_per_dimension"] for name, numbers in models.items() if numbers["likelihood"]}
    if kls:
        path = folder / "kl_per_dimension.png"
        charts.kl_per_dimension(kls, path)
        yield "likelihood", path, f"Chart: KL of each latent dimension of {', '.join(kls)}, largest first"
    for index, (name, array) in enumerate(arrays.items()):
        if "drawn" in array:
            path = folder / f"samples_{index}.png"
            figures.samples(array["drawn"], path, f"{name}: samples, not selected")
            yield "samples", path, f"{len(array['drawn'])} samples of {name}"
            path, title = folder / f"nearest_{index}.png", f"{name}: samples, and below each the nearest training image"
            pairs = [array[kind][first : first + 8] for first in (0, 8) for kind in ("drawn", "nearest")]
            figures.rows(pairs, ["sample", "nearest"] * 2, path, title)
            yield "memory", path, title
        path, title = folder / f"interpolations_{index}.png", f"{name}: straight lines between codes of held-out images"
        lines = array["interpolations"]
        figures.rows(lines, [], path, title)
        yield "smoothness", path, f"{title}, {len(lines)} rows of {len(lines[0])} images"
        originals = array["originals"]
        path = folder / f"latent_map_{index}.png"
        title = f"{name}: {len(originals)} held-out images at the places of their codes"
        figures.thumbnails(principal(array["z"]), originals, path, title)
        yield "map", path, title


def write(out, judge, titled, models, arrays, warnings=(), force=False):
    """Write the report to the folder `out`: index.html, metrics.json and pictures/. Returns its summary as text.

    titled: names of the models in the title. models, arrays: as `Judge.measure_all` returns them.
    """
    real = judge.floor()
    protocol = {
        "models": list(titled),
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
    with write_folder(out, force) as folder:
        numbers = {"protocol": protocol, "real": real, "models": models}
        (folder / "metrics.json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
        (folder / "pictures").mkdir()
        page = page_html(protocol, models, real, draw(folder / "pictures", models, arrays))
        (folder / "index.html").write_text(page, encoding="utf-8")
    return summary(models, real, judge.frechet_name)


def summary(models, real, frechet):
    """The closing table on the terminal; ± is half the width of a 95 % interval."""

    def cell(numbers, key, width, digits, spread=False):
        if key not in (numbers or {}):
            return "-".rjust(width)
        low, high = numbers["intervals"][key] if spread else (0, 0)
        return (f"{numbers[key]:.{digits}f}" + (f" ±{(high - low) / 2:.{digits}f}" if spread else "")).rjust(width)

    def reconstruction(numbers):
        return cell(numbers, "psnr", 9, 2) + cell(numbers, "ssim", 7, 3) + cell(numbers, "sharpness", 11, 2)

    lines = [f"{'':<20}  PSNR dB   SSIM  sharpness  {frechet:>12}     precision        recall  nearest"]
    for name, model in [*models.items(), ("real images", {"reconstruction": None, "samples": real})]:
        samples = "".join(cell(model["samples"], key, 14, 2, spread=True) for key in (frechet, "precision", "recall"))
        nearest = cell(model["samples"], "nearest_training", 9, 2)
        lines.append(f"{name:<20}{reconstruction(model['reconstruction'])}{samples}{nearest}")
    if all(model["others"] for model in models.values()):
        lines.append("images of --others")
        lines += [f"{name:<20}{reconstruction(model['others'])}" for name, model in models.items()]
    return "\n".join(lines)
