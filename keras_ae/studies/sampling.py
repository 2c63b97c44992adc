"""What is decoded from codes that no picture had: drawn at random, from a density, for a class."""

import numpy as np

from keras_ae import evaluate
from keras_ae.errors import UserError
from keras_ae.judging import distances, judge
from keras_ae.judging.features import extractor
from keras_ae.judging.judge import batched
from keras_ae.media import figures
from keras_ae.studies.codes import first_of, images_and_labels

SHOWN = 10
MAPS = 4
DRAWN = 1000
NEIGHBOURS = 5
JUDGED = 2000


def _as_pictures(z, model):
    """Codes as grey pictures, enlarged by whole pixels: {label: (n, H, W, C)}, one for each channel of a map."""
    encoder = model.card.get("configuration", {}).get("encoder", {})
    low, high = np.percentile(z, (1, 99))
    scaled = np.clip((z - low) / (high - low), 0, 1) * 2 - 1
    if encoder.get("name") == "spatial":
        side = model.input_shape[0] // 2 ** encoder["halvings"]
        maps = np.moveaxis(scaled.reshape(len(z), side, side, -1), 3, 0)[:MAPS]
    else:
        height = next(rows for rows in range(int(z.shape[1] ** 0.5), 0, -1) if z.shape[1] % rows == 0)
        maps = scaled.reshape(1, len(z), height, -1)
    shape = model.shape
    rows, columns = (np.arange(shape[0]) * maps.shape[axis] // shape[0] for axis in (2, 3))
    enlarged = maps[:, :, rows][:, :, :, columns][..., None].repeat(shape[2], axis=4)
    return {f"code, map {index + 1}" if len(maps) > 1 else "code": found for index, found in enumerate(enlarged)}


def sampling(models, pictures, seed, folder):
    """The lesson's first part: codes as pictures, codes drawn at random decoded, and codes drawn from a fitted density."""
    name, model = first_of(models)
    images, _ = images_and_labels(pictures)
    z = batched(model.encode, images)
    random = np.random.default_rng(seed)
    # even chances between the least and the greatest value of each number, as the lesson draws them
    drawn = random.uniform(z.min(axis=0), z.max(axis=0), (DRAWN, z.shape[1])).astype("float32")
    anyhow = batched(model.decode, drawn)
    fitted = model.generate(DRAWN, seed)[0] / 127.5 - 1.0
    rows = {
        "original": images[:SHOWN],
        **_as_pictures(z[:SHOWN], model),
        "rebuilt": model.decode(z[:SHOWN]),
        "random codes": anyhow[:SHOWN],
        "": anyhow[SHOWN : 2 * SHOWN],
        "fitted density": fitted[:SHOWN],
        " ": fitted[SHOWN : 2 * SHOWN],
    }
    figures.rows(
        list(rows.values()), list(rows), folder / "sampling.png", f"{name}: codes, and what is decoded from random ones"
    )
    extract = extractor("gabor")
    real = extract(images)
    half = len(images) // 2
    return {
        "n": DRAWN,
        "fd_gabor": {
            "random codes": distances.frechet(real, extract(anyhow)),
            "fitted density": distances.frechet(real, extract(fitted.astype("float32"))),
            "real against real": distances.frechet(real[:half], real[half:]),
        },
    }


def labels(models, pictures, seed, folder):
    """A conditional model: a class in each row, the same code in each column; how often a classifier sees the class."""
    from sklearn.neighbors import KNeighborsClassifier

    name, model = first_of(models)
    if not model.labels:
        raise UserError(f'{name} is not conditional; train one with condition.name = "on_label"')
    classes = len(model.labels)
    _, z = model.generate(SHOWN, seed)
    rows = [model.decode(z, np.full(SHOWN, index)) for index in range(classes)]
    figures.rows(rows, list(model.labels), folder / "labels.png", f"{name}: a class in each row, a code in each column")
    images, told = images_and_labels(pictures, "train", 20_000)
    test, truth = images_and_labels(pictures, most=2000)
    extract = extractor("gabor")
    classifier = KNeighborsClassifier(NEIGHBOURS).fit(extract(images), told)
    asked = np.arange(DRAWN) % classes
    drawn, _ = model.generate(DRAWN, seed)
    return {
        "n": DRAWN,
        "agreement": {
            "generated": float(classifier.score(extract(drawn.astype("float32") / 127.5 - 1), asked)),
            "real held-out": float(classifier.score(extract(test), truth)),
        },
    }


def priors(models, pictures, seed, folder):
    """Samples with codes from N(0, I) and from the fitted density for each export, and what the judge says of them."""
    bench = judge.Judge(pictures, JUDGED, "gabor", seed)
    panels, numbers = {}, {}
    for name, model in models.items():
        found = bench.reconstruction(evaluate.candidate(model, name))
        numbers[name] = {key: found[key] for key in ("psnr", "ssim") if key in found}
        for prior, told in (("normal", "N(0, I)"), ("fitted", "fitted density")):
            drawn = model.generate(bench.n, seed, prior=prior)[0].astype("float32") / 127.5 - 1
            panels[f"{name}, {told}"] = drawn[:64]
            compared = bench.compared(drawn, bench.extract(drawn))
            numbers[name][told] = {key: compared[key] for key in ("fd_gabor", "precision", "recall", "nearest_training")}
    figures.squares(panels, folder / "priors.png", "samples, by what codes are drawn from")
    return {"n": bench.n, "models": numbers, "real": {"fd_gabor": bench.floor()["fd_gabor"]}}
