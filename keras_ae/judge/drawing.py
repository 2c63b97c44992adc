"""The pictures of the judge's report."""

import numpy as np

from keras_ae.images import charts, figures
from keras_ae.priors.space import principal

ROW = 8


def _reconstructions(folder, arrays):
    originals = next(iter(arrays.values()))["originals"]
    for part, first in (("a", 0), ("b", ROW)):
        rows = slice(first, first + ROW)
        if not len(originals[rows]):
            return
        kinds = {"original": originals[rows], **{name: array["rebuilt"][rows] for name, array in arrays.items()}}
        path = folder / f"reconstructions_{part}.png"
        title = "Held-out images and their reconstructions"
        figures.rows(list(kinds.values()), list(kinds), path, title)
        yield path, f"{title}: a row of originals, then a row of each of {', '.join(arrays)}"


def _likelihood(folder, judged, arrays):
    with_rate = {name: array for name, array in arrays.items() if "rate" in array}
    if not with_rate:
        return
    kls = {name: np.array(judged[name]["likelihood"]["kl_per_dimension"]) for name in with_rate}
    path = folder / "kl_per_dimension.png"
    charts.kl_per_dimension(kls, path)
    yield path, f"Chart: KL of each latent dimension of {', '.join(kls)}, largest first"
    path = folder / "rate_distortion.png"
    charts.rate_distortion({name: (array["rate"], array["distortion"]) for name, array in with_rate.items()}, path)
    yield path, f"Chart: rate and distortion of each held-out image for {', '.join(with_rate)}"


def _samples(folder, index, name, array):
    path = folder / f"samples_{index}.png"
    figures.samples(array["samples"], path, f"{name}: samples, not selected")
    yield path, f"{len(array['samples'])} samples of {name}"


def _memory(folder, index, name, array):
    path = folder / f"nearest_{index}.png"
    title = f"{name}: samples, and below each the nearest training image"
    pairs = [array[kind][first : first + ROW] for first in (0, ROW) for kind in ("samples", "nearest")]
    figures.rows(pairs, ["sample", "nearest"] * 2, path, title)
    yield path, title


def _smoothness(folder, index, name, array):
    path = folder / f"interpolations_{index}.png"
    title = f"{name}: straight lines between codes of held-out images"
    figures.rows(array["interpolations"], [], path, title)
    yield path, f"{title}, {len(array['interpolations'])} rows of {len(array['interpolations'][0])} images"


def _map(folder, index, name, array):
    path = folder / f"latent_map_{index}.png"
    title = f"{name}: {len(array['originals'])} held-out images at the places of their codes"
    figures.thumbnails(principal(array["z"]), array["originals"], path, title, "PCA")
    yield path, title


def draw(folder, judged, arrays):
    """Draw every picture of the report into `folder`: {section: [(path, alternative text), ...]}.

    judged, arrays: as `side_by_side.judge_all` returns them.
    """
    drawn = {
        "reconstruction": list(_reconstructions(folder, arrays)),
        "likelihood": list(_likelihood(folder, judged, arrays)),
    }
    generating = {name: array for name, array in arrays.items() if "samples" in array}
    sections = {"samples": (_samples, generating), "memory": (_memory, generating)}
    sections |= {"smoothness": (_smoothness, arrays), "map": (_map, arrays)}
    for section, (draw_one, shown) in sections.items():
        # numbers of files follow the order of all models
        places = {name: index for index, name in enumerate(arrays)}
        drawn[section] = [pair for name, array in shown.items() for pair in draw_one(folder, places[name], name, array)]
    return drawn
