"""The judge's report: one HTML page that contains every picture, opens offline, and is readable on a phone."""

import base64
import html
import math

# tables and pictures scroll inside their box, so that numbers and the labels in pictures keep their size on a phone
STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; overflow-wrap: break-word }
h1 { font-size: 1.6rem } h2 { font-size: 1.25rem; margin-top: 2.2rem }
.scroll { overflow-x: auto; margin: .6rem 0 }
img { display: block; background: #fff }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; vertical-align: top }
th:first-child, td:first-child {
  position: sticky; left: 0; background: Canvas; text-align: left; white-space: normal; min-width: 5rem; max-width: 9rem
}
small { opacity: .7 }
.warning { border-left: 4px solid #c60; padding-left: .6rem }
"""

# key in metrics.json: (heading, digits)
RECONSTRUCTION = {
    "psnr": ("PSNR dB", 2),
    "mse": ("MSE", 4),
    "l1": ("L1", 4),
    "ssim": ("SSIM", 3),
    "ms_ssim": ("MS-SSIM", 3),
    "sharpness": ("sharpness", 2),
    "perceptual": ("perceptual", 3),
    "recognized": ("recognized", 2),
}
SAMPLES = {
    "fid": ("FID", 1),
    "kid": ("KID", 4),
    "fd_learned": ("fd_learned", 3),
    "fd_gabor": ("fd_gabor", 2),
    "kernel": ("kernel", 4),
    "recognized": ("recognized", 2),
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
        and MS-SSIM (three scales) on [0, 1]; sharpness: mean absolute gradient divided by that of the originals. By a network
        trained on ImageNet, where its weights are present: perceptual distance (lower is better), and the share recognized as
        what real images are. In small type: bootstrap intervals over images.
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
        normally distributed scores is the baseline. Lower is better for the Frechet and kernel distances and for SWD, the
        sliced Wasserstein distance at each side of a Laplacian pyramid; higher is better for precision, recall, density and
        coverage; diversity and sharpness should be 1.
        """,
    "memory": """
        Below each sample, the training image that is nearest to it in the same features. The column 'nearest' above is the
        median of this distance divided by its median for held-out images: a model that repeats training images is far below 1.
        """,
    "smoothness": "Mean squared change of the features per squared step along a line between two codes; lower is smoother.",
    "map": "Held-out images at the first two principal components of their codes.",
}


def _scrolling(content):
    return f"<div class=scroll tabindex=0>{content}</div>"


def _table(headings, rows):
    cells = [f"<tr>{''.join(f'<th>{html.escape(h)}</th>' for h in headings)}</tr>"]
    cells += [f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows]
    return _scrolling(f"<table>{''.join(cells)}</table>")


def _number(value, digits, interval=None):
    if value is None or not math.isfinite(value):
        return "-"
    text = f"{value:.{digits}f}"
    if interval is not None:
        text += f"<br><small>{interval[0]:.{digits}f} to {interval[1]:.{digits}f}</small>"
    return text


def _around(value, half_width):
    return None if half_width is None else (value - half_width, value + half_width)


def _reconstruction_table(models, of="reconstruction"):
    shown = {name: column for name, column in RECONSTRUCTION.items() if any(name in model[of] for model in models.values())}
    rows = []
    for name, model in models.items():
        numbers = model[of]
        cells = [_number(numbers.get(key), digits, numbers["intervals"].get(key)) for key, (_, digits) in shown.items()]
        rows.append([html.escape(name), *cells])
    return _table(["", *(heading for heading, _ in shown.values())], rows)


def _likelihood_table(models):
    rows, headings = [], []
    for name, model in models.items():
        numbers = model["likelihood"]
        if not numbers:
            continue
        weighted = numbers["importance_weighted"]
        estimates = list(weighted["intervals"])
        spread = _around(numbers["neg_elbo"], 1.96 * numbers["standard_error"])
        row = [html.escape(name), _number(numbers["neg_elbo"], 1, spread)]
        row += [_number(numbers[key], 1) for key in ("distortion", "rate", "aggregate_kl")]
        row.append(f"{numbers['active_units']} of {numbers['latent_dim']}")
        row += [_number(weighted[key], 1, weighted["intervals"][key]) for key in estimates]
        rows.append([*row, _number(weighted.get("bits_per_dimension", {}).get(estimates[-1]), 3)])
        short = ["negative ELBO" if key == "neg_elbo" else f"negative IW {key.rpartition('_')[2]}" for key in estimates]
        headings = ["", "negative ELBO", "distortion", "rate", "aggregate KL", "active units"]
        headings += [f"first {weighted['n']}: {short[0]}", *short[1:], "bits/dim"]
    return _table(headings, rows)


def _samples_table(models, real):
    numbers = {name: model["samples"] for name, model in models.items() if model["samples"]} | {"real images": real}
    shown = {key: column for key, column in SAMPLES.items() if key in real}
    sides = list(real["sliced_wasserstein"])
    rows = []
    for name, model in numbers.items():
        widths = model["half_widths"]
        cells = [_number(model[key], digits, _around(model[key], widths.get(key))) for key, (_, digits) in shown.items()]
        cells += [_number(model["sliced_wasserstein"][side], 1) for side in sides]
        rows.append([html.escape(name), *cells])
    return _table(["", *(heading for heading, _ in shown.values()), *(f"SWD {side}" for side in sides)], rows)


def _smoothness_table(models):
    rows = []
    for name, model in models.items():
        length, widths = model["smoothness"]["path_length"], model["smoothness"]["half_widths"]
        rows.append([html.escape(name), _number(length, 1, _around(length, widths["path_length"]))])
    return _table(["", "perceptual path length"], rows)


def _picture(path, text):
    """A PNG file as an inline image of its own size."""
    encoded = base64.b64encode(path.read_bytes()).decode()
    return _scrolling(f'<img alt="{html.escape(text)}" src="data:image/png;base64,{encoded}">')


def _protocol(protocol):
    versions = protocol["versions"]
    return (
        f"Data set {protocol['data']}: {protocol['n_held_out']} of {protocol['n_test']} held-out and {protocol['n_train']} "
        f"training images. {protocol['n_samples']} images drawn with seed {protocol['seed']}. Features: "
        f"{protocol['features']}. Intervals are of 95 %. keras_ae {versions['keras_ae']}, tensorflow {versions['tensorflow']}."
    )


def page(protocol, judged, real, drawn):
    """The whole document, from the contents of metrics.json and the pictures: {section: [(path, alternative text), ...]}."""

    def section(name, heading, *tables):
        if not drawn[name]:
            return []
        pictures = [_picture(path, text) for path, text in drawn[name]]
        return [f"<h2>{heading}</h2>", f"<p>{html.escape(' '.join(EXPLANATIONS[name].split()))}</p>", *tables, *pictures]

    others = ""
    if protocol["n_others"]:
        text = f"The same for {protocol['n_others']} images from another folder:"
        others = f"<p>{text}</p>{_reconstruction_table(judged, 'others')}"
    title = f"How good is {' and '.join(protocol['models'])}?"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{html.escape(_protocol(protocol))}</p>",
        *(f"<p class=warning>Warning: {html.escape(line)}</p>" for line in protocol["warnings"]),
        *section("reconstruction", "Reconstruction", _reconstruction_table(judged), others),
        *section("likelihood", "Likelihood", _likelihood_table(judged)),
        *section("samples", "Samples", _samples_table(judged, real)),
        *section("memory", "Memory"),
        *section("smoothness", "Smoothness", _smoothness_table(judged)),
        *section("map", "Latent map"),
    ]
    viewport = '<meta name=viewport content="width=device-width, initial-scale=1">'
    head = f"<meta charset=utf-8>{viewport}<title>{html.escape(title)}</title><style>{STYLE}</style>"
    return "\n".join([f"<!doctype html><html lang=en>{head}", *parts, "</html>", ""])
