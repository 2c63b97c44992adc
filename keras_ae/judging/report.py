"""The judge's report: one HTML page with every picture inside, that opens offline and fits a phone."""

import base64
import html
import math

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.25rem; margin-top: 2.2rem }
img { max-width: 100%; height: auto; display: block; margin: .6rem auto; background: #fff }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
small { opacity: .7 }
"""

# column: (heading, what it is, digits)
RECONSTRUCTION = {
    "psnr": ("PSNR dB", 2),
    "mse": ("MSE", 4),
    "l1": ("L1", 4),
    "ssim": ("SSIM", 3),
    "ms_ssim": ("MS-SSIM", 3),
    "sharpness": ("sharpness", 2),
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
        From mean codes, clipped. MSE and L1 on [-1, 1], PSNR of the pooled error with peak 2, SSIM and MS-SSIM (three scales)
        on [0, 1], sharpness: mean absolute gradient over that of the originals. In small type the bootstrap's interval over
        pictures.
        """,
    "likelihood": """
        Nats per picture; a higher bound is better. IW k: importance-weighted with k draws. Where training fixed no variance,
        the Gaussian's is the mean squared error on training pictures. Rate: KL from N(0, I). Aggregate KL: that of the normal
        distribution with the moments of all codes, what is missed when codes are drawn from N(0, I).
        """,
    "samples": """
        Beside held-out pictures. The last row, as many real training pictures, is the best that can be reached; PCA with
        normal scores is what a model must beat. Lower is better for the Frechet and kernel distances and for SWD, the sliced
        Wasserstein distance at each side of a Laplacian pyramid; higher for precision, recall, density and coverage;
        diversity and sharpness should be 1.
        """,
    "memory": """
        Each sample over the training picture nearest to it in the same features. The column 'nearest' above is the median of
        this distance, over its median for held-out pictures: far below 1, a model repeats what it was trained on.
        """,
    "smoothness": "Mean squared change of the features per squared step along a line between two codes; lower is smoother.",
    "map": "Held-out pictures at the first two principal components of their codes.",
}


def _table(headings, rows):
    cells = [f"<tr>{''.join(f'<th>{html.escape(h)}</th>' for h in headings)}</tr>"]
    cells += [f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows]
    return f"<div class=scroll><table>{''.join(cells)}</table></div>"


def _number(value, digits, interval=None):
    if value is None or not math.isfinite(value):
        return "-"
    text = f"{value:.{digits}f}"
    if interval is not None:
        text += f"<br><small>{interval[0]:.{digits}f} to {interval[1]:.{digits}f}</small>"
    return text


def _spread(numbers, name):
    width = numbers["half_widths"].get(name)
    return None if width is None else (numbers[name] - width, numbers[name] + width)


def _reconstruction_table(models):
    shown = {
        name: column for name, column in RECONSTRUCTION.items() if any(name in m["reconstruction"] for m in models.values())
    }
    rows = []
    for name, model in models.items():
        numbers = model["reconstruction"]
        cells = [_number(numbers.get(key), digits, numbers["intervals"].get(key)) for key, (_, digits) in shown.items()]
        rows.append([html.escape(name), *cells])
    return _table(["", *(heading for heading, _ in shown.values())], rows)


def _likelihood_table(models):
    rows = []
    for name, model in models.items():
        numbers = model["likelihood"]
        if numbers:
            bounds = [_number(value, 1, numbers["intervals"][key]) for key, value in numbers["nats"].items()]
            bits = [_number(numbers["bits_per_dimension"]["importance_weighted_500"], 3)]
            used = f"{numbers['active_units']} of {numbers['latent_dim']}"
            rest = [_number(numbers[key], 1) for key in ("rate", "distortion", "aggregate_kl")]
            rows.append([html.escape(name), *bounds, *bits, *rest, used])
    headings = ["", "ELBO", "IW 50", "IW 500", "bits/dim", "rate", "distortion", "aggregate KL", "active units"]
    return _table(headings, rows)


def _samples_table(models, real):
    numbers = {name: model["samples"] for name, model in models.items() if model["samples"]} | {"real pictures": real}
    shown = {key: column for key, column in SAMPLES.items() if key in real}
    sides = list(real["sliced_wasserstein"])
    rows = []
    for name, found in numbers.items():
        cells = [_number(found[key], digits, _spread(found, key)) for key, (_, digits) in shown.items()]
        cells += [_number(found["sliced_wasserstein"][side], 1) for side in sides]
        rows.append([html.escape(name), *cells])
    return _table(["", *(heading for heading, _ in shown.values()), *(f"SWD {side}" for side in sides)], rows)


def _smoothness_table(models):
    rows = []
    for name, model in models.items():
        numbers = model["smoothness"]
        rows.append([html.escape(name), _number(numbers["path_length"], 1, _spread(numbers, "path_length"))])
    return _table(["", "perceptual path length"], rows)


def _picture(path, text):
    """A PNG file as an inline image."""
    encoded = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{html.escape(text)}" src="data:image/png;base64,{encoded}">'


def _protocol(protocol):
    versions = protocol["versions"]
    return (
        f"{protocol['data']}: {protocol['n_held_out']} of {protocol['n_test']} held-out and {protocol['n_train']} training "
        f"pictures. {protocol['n_samples']} pictures drawn with seed {protocol['seed']}. Features: {protocol['features']}. "
        f"Intervals are of 95 %. keras_ae {versions['keras_ae']}, tensorflow {versions['tensorflow']}."
    )


def page(protocol, judged, real, drawn):
    """The whole document, from what metrics.json holds and the pictures drawn: {section: [(path, text), ...]}."""

    def section(name, heading, *tables):
        if not drawn[name]:
            return []
        pictures = [_picture(path, text) for path, text in drawn[name]]
        return [f"<h2>{heading}</h2>", f"<p>{html.escape(' '.join(EXPLANATIONS[name].split()))}</p>", *tables, *pictures]

    title = f"How good is {' and '.join(protocol['models'])}?"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{html.escape(_protocol(protocol))}</p>",
        *section("reconstruction", "Reconstruction", _reconstruction_table(judged)),
        *section("likelihood", "Likelihood", _likelihood_table(judged)),
        *section("samples", "Samples", _samples_table(judged, real)),
        *section("memory", "Memory"),
        *section("smoothness", "Smoothness", _smoothness_table(judged)),
        *section("map", "Latent map"),
    ]
    viewport = '<meta name=viewport content="width=device-width, initial-scale=1">'
    head = f"<meta charset=utf-8>{viewport}<title>{html.escape(title)}</title><style>{STYLE}</style>"
    return "\n".join([f"<!doctype html><html lang=en>{head}", *parts, "</html>", ""])
