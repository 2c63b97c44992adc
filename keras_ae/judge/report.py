"""The report of several models judged side by side: one HTML page that opens offline, metrics.json, pictures, and a summary."""

import base64
import html
import json
import math

from keras_ae.files import versions, write_folder
from keras_ae.images import charts, figures, pages
from keras_ae.priors.space import principal

# columns of tables, key in metrics.json: (heading, digits)
RECONSTRUCTION = {
    "psnr": ("PSNR dB", 2),
    "mse": ("MSE", 4),
    "l1": ("L1", 4),
    "ssim": ("SSIM", 3),
    "ms_ssim": ("MS-SSIM", 3),
    "sharpness": ("sharpness", 2),
}
LIKELIHOOD = {
    "neg_elbo": ("negative ELBO", 1),
    "distortion": ("distortion", 1),
    "rate": ("rate", 1),
    "aggregate_kl": ("aggregate KL", 1),
    "active_units": ("active units", 0),
    "latent_dim": ("of", 0),
}
SAMPLES = {
    "fid": ("FID", 1),
    "kid": ("KID", 4),
    "fd_gabor": ("fd_gabor", 2),
    "kernel": ("kernel", 4),
    "precision": ("precision", 2),
    "recall": ("recall", 2),
    "density": ("density", 2),
    "coverage": ("coverage", 2),
    "diversity": ("diversity", 2),
    "sharpness": ("sharpness", 2),
    "nearest_training": ("nearest", 2),
}

EXPLANATIONS = {
    "reconstruction": """
        Reconstructions from mean codes, clipped to [-1, 1]. MSE and L1 on [-1, 1]; PSNR of the pooled error with peak 2; SSIM
        and MS-SSIM (three scales) on [0, 1]; sharpness: mean absolute gradient divided by that of the originals. In small type:
        bootstrap intervals over images.
        """,
    "likelihood": """
        Nats per image; lower is better. Negative ELBO = distortion + rate, on all held-out images. Rate: KL from N(0, I).
        Aggregate KL: KL from N(0, I) of the normal distribution with the moments of all codes, what is lost when codes are
        drawn from N(0, I). On the right, on the first images alone: importance-weighted estimates with k draws (negative IW k),
        and the negative ELBO and bits per dimension (of IW with most draws) of the same images. If training did not fix the
        variance of the Gaussian likelihood, it is the mean squared error on training images.
        """,
    "samples": """
        Compared with held-out images. The last row, as many real training images, is the best that can be reached; PCA with
        normally distributed scores is the baseline. Lower is better for the Frechet and kernel distances; higher is better for
        precision, recall, density and coverage; diversity and sharpness should be 1.
        """,
    "memory": """
        Below each sample, the training image that is nearest to it in the same features. The column 'nearest' above is the
        median of this distance divided by its median for held-out images: a model that repeats training images is far below 1.
        """,
    "smoothness": "Images along straight lines between the codes of two held-out images.",
    "map": "Held-out images at the first two principal components of their codes.",
}


def _number(value, digits, interval=None):
    if value is None or not math.isfinite(value):
        return "-"
    text = f"{value:.{digits}f}"
    if interval is not None:
        text += f"<br><small>{interval[0]:.{digits}f} to {interval[1]:.{digits}f}</small>"
    return text


def _intervals(numbers):
    """The 95 % intervals of numbers of metrics.json, {key: (low, high)}, however they are given there."""
    widths = dict(numbers.get("half_widths", {}))
    if "standard_error" in numbers:
        widths["neg_elbo"] = 1.96 * numbers["standard_error"]
    around = {key: (numbers[key] - width, numbers[key] + width) for key, width in widths.items()}
    return around | numbers.get("intervals", {})


def _scroll(content):
    return f"<div class=scroll tabindex=0>{content}</div>"


def _table(rows, columns):
    """A table as HTML. rows: {name: numbers}. columns: {key: (heading, digits)}; those that no row has are left out."""
    columns = {key: column for key, column in columns.items() if any(key in numbers for numbers in rows.values())}
    lines = [("th", ["", *(html.escape(heading) for heading, _ in columns.values())])]
    for name, numbers in rows.items():
        around = _intervals(numbers)
        cells = [_number(numbers.get(key), digits, around.get(key)) for key, (_, digits) in columns.items()]
        lines.append(("td", [html.escape(name), *cells]))
    text = [f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in line)}</tr>" for tag, line in lines]
    return _scroll(f"<table>{''.join(text)}</table>")


def _likelihood_rows(rows):
    """Likelihoods with their importance-weighted estimates beside the other numbers, and the columns of the table."""
    joined, columns = {}, dict(LIKELIHOOD)
    for name, numbers in rows.items():
        weighted = numbers["importance_weighted"]
        estimates = {f"first {key}": weighted[key] for key in weighted["intervals"]}
        intervals = {f"first {key}": interval for key, interval in weighted["intervals"].items()}
        bits = list(weighted.get("bits_per_dimension", {}).values())[-1:]
        joined[name] = numbers | estimates | {"intervals": intervals} | ({"bits": bits[0]} if bits else {})
        for key in weighted["intervals"]:
            draws = key.rpartition("_")[2]
            heading = f"first {weighted['n']}: negative ELBO" if key == "neg_elbo" else f"negative IW {draws}"
            columns[f"first {key}"] = (heading, 1)
    return joined, columns | {"bits": ("bits/dim", 3)}


def _picture(path, text):
    """A PNG file as an inline image of its own size."""
    encoded = base64.b64encode(path.read_bytes()).decode()
    return _scroll(f'<img alt="{html.escape(text)}" src="data:image/png;base64,{encoded}">')


def page_html(protocol, models, real, drawn):
    """The whole document, from the contents of metrics.json and the pictures that `draw` returns."""

    def section(name, heading, *tables):
        pictures = [_picture(path, text) for place, path, text in drawn if place == name]
        explanation = html.escape(" ".join(EXPLANATIONS[name].split()))
        return [f"<h2>{heading}</h2>", f"<p>{explanation}</p>", *tables, *pictures] if pictures else []

    def rows(key):
        return {name: model[key] for name, model in models.items() if model[key]}

    others = ""
    if protocol["n_others"]:
        text = f"The same for {protocol['n_others']} images from another folder:"
        others = f"<p>{text}</p>{_table(rows('others'), RECONSTRUCTION)}"
    title = f"How good is {' and '.join(protocol['models'])}?"
    packages = ", ".join(f"{name} {protocol['versions'][name]}" for name in ("keras_ae", "tensorflow"))
    conditions = (
        f"Data set {protocol['data']}: {protocol['n_held_out']} of {protocol['n_test']} held-out and {protocol['n_train']} "
        f"training images. {protocol['n_samples']} images drawn with seed {protocol['seed']}. Features: "
        f"{protocol['features']}. Intervals are of 95 %. {packages}."
    )
    parts = [
        f"<p>{html.escape(conditions)}</p>",
        *(f"<p class=warning>Warning: {html.escape(line)}</p>" for line in protocol["warnings"]),
        *section("reconstruction", "Reconstruction", _table(rows("reconstruction"), RECONSTRUCTION), others),
        *section("likelihood", "Likelihood", _table(*_likelihood_rows(rows("likelihood")))),
        *section("samples", "Samples", _table(rows("samples") | {"real images": real}, SAMPLES)),
        *section("memory", "Memory"),
        *section("smoothness", "Smoothness"),
        *section("map", "Latent map"),
    ]
    return pages.document(title, parts)


def _draw_comparisons(folder, models, arrays):
    kinds = {"original": next(iter(arrays.values()))["originals"][:16]}
    kinds |= {name: array["rebuilt"][:16] for name, array in arrays.items()}
    path, title = folder / "reconstructions.png", "Held-out images and their reconstructions"
    figures.reconstructions(kinds, path, title)
    yield "reconstruction", path, f"{title}: rows of originals, below each a row of each of {', '.join(arrays)}"
    kls = {name: numbers["likelihood"]["kl_per_dimension"] for name, numbers in models.items() if numbers["likelihood"]}
    if kls:
        path = folder / "kl_per_dimension.png"
        charts.kl_per_dimension(kls, path)
        yield "likelihood", path, f"Chart: KL of each latent dimension of {', '.join(kls)}, largest first"


def _draw_model(folder, index, name, array):
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
    path, title = folder / f"latent_map_{index}.png", f"{name}: {len(originals)} held-out images at the places of their codes"
    figures.thumbnails(principal(array["z"]), originals, path, title, "PCA")
    yield "map", path, title


def draw(folder, models, arrays):
    """Draw every picture of the report into `folder`: a list of (section, path, alternative text).

    models, arrays: as `Judge.measure_all` returns them.
    """
    drawn = [*_draw_comparisons(folder, models, arrays)]
    for index, (name, array) in enumerate(arrays.items()):
        drawn += _draw_model(folder, index, name, array)
    return drawn


def write(out, judge, titled, models, arrays, warnings=(), force=False):
    """Write the report to the folder `out`: index.html, metrics.json and pictures/. Returns its summary as text.

    titled: names of the models in the title. models, arrays: as `Judge.measure_all` returns them. Raises UserError as
    `files.write_folder` does.
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
        drawn = draw(folder / "pictures", models, arrays)
        (folder / "index.html").write_text(page_html(protocol, models, real, drawn), encoding="utf-8")
    return summary(models, real, judge.frechet_name)


def summary(models, real, frechet):
    """The closing table on the terminal; ± is half the width of a 95 % interval."""

    def cell(numbers, key, width, digits):
        spread = (numbers or {}).get("half_widths", {}).get(key)
        text = f"{numbers[key]:.{digits}f}" if numbers and key in numbers else "-"
        return f"{text} ±{spread:.{digits}f}".rjust(width) if spread is not None else text.rjust(width)

    def reconstruction(numbers):
        return cell(numbers, "psnr", 9, 2) + cell(numbers, "ssim", 7, 3) + cell(numbers, "sharpness", 11, 2)

    lines = [f"{'':<20}  PSNR dB   SSIM  sharpness  {frechet:>12}     precision        recall  nearest"]
    for name, model in [*models.items(), ("real images", {"reconstruction": None, "samples": real})]:
        samples = "".join(cell(model["samples"], key, 14, 2) for key in (frechet, "precision", "recall"))
        nearest = cell(model["samples"], "nearest_training", 9, 2)
        lines.append(f"{name:<20}{reconstruction(model['reconstruction'])}{samples}{nearest}")
    if all(model["others"] for model in models.values()):
        lines.append("images of --others")
        lines += [f"{name:<20}{reconstruction(model['others'])}" for name, model in models.items()]
    return "\n".join(lines)
