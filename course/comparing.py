"""Studies that compare models and priors: samples from two priors, densities of codes, sizes of codes, classes."""

import dataclasses
import functools
import time

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from course import charts, checks
from keras_ae.data import pipeline
from keras_ae.data.tasks import Variation
from keras_ae.errors import UserError
from keras_ae.images import figures
from keras_ae.images.pictures import to_float
from keras_ae.judge import metrics
from keras_ae.judge.features import extractor
from keras_ae.judge.judge import Judge, export_candidate, fit_pca
from keras_ae.priors.mixture import PRIORS
from keras_ae.training.results import training_codes


def _measure(judge, images, keys=("fd_gabor", "precision", "recall", "sharpness", "nearest_training")):
    """What the judge says of images that a model drew: {key: number}."""
    compared = dict(judge.compare(images, judge.extract(images), intervals=False))
    return {key: compared[key] for key in keys}


def priors(models, image_set, seed, folder, *, n=2000):
    """PSNR and SSIM of each model, metrics of `n` samples for each prior, and the same Frechet distance of real images."""
    checks.need_unconditional(models)
    judge = Judge(image_set, n, "gabor", seed)
    panels, numbers = {}, {}
    for name, model in models.items():
        rebuilt = dict(judge.reconstruction(export_candidate(model, name), judge.held_out))
        numbers[name] = {key: rebuilt[key] for key in ("psnr", "ssim") if key in rebuilt}
        for prior, text in (("normal", "N(0, I)"), ("fitted", "fitted prior")):
            drawn = to_float(model.generate(judge.n, seed, prior=prior)[0])
            panels[f"{name}, {text}"] = drawn[:64]
            numbers[name][text] = _measure(judge, drawn, ("fd_gabor", "precision", "recall", "nearest_training"))
    charts.squares(panels, folder / "priors.png", "samples, by the prior that their codes are drawn from")
    return {"n": judge.n, "models": numbers, "real": {"fd_gabor": judge.floor(intervals=False)["fd_gabor"]}}


def codes_of(model, name, image_set):
    """What `training_codes` gives for an export: codes of images varied as in its training, and the labels."""
    known = model.card.get("configuration", {}).get("data", {})
    names = {field.name for field in dataclasses.fields(Variation)}
    variation = Variation(**{name: value for name, value in known.items() if name in names})

    def encode(batch):
        return model.encode(batch["images"].numpy(), checks.labels_of(model, name, image_set, batch))

    return training_codes(encode, image_set, max(kind.views for kind in PRIORS.values()), variation)


def densities(models, image_set, seed, folder, *, n=2000, components=(1, 10, 20, 40), **flow):
    """For each model and prior the judge's numbers of `n` samples and the seconds of the fit; those of decoded held-out codes.

    components: of the mixtures. flow: arguments of `priors.flow.Flow.fit`.
    """
    fits = {"N(0, I)": (PRIORS["normal"], {})}
    fits |= {f"mixture of {count}": (PRIORS["mixture"], {"components": [count]}) for count in components}
    fits |= {"flow": (PRIORS["flow"], flow)}
    judge = Judge(image_set, n, "gabor", seed)
    classes = np.arange(judge.n, dtype="int32")
    numbers, shown = {}, 6
    for name, model in models.items():
        model.check_rebuilds()
        codes, labels = codes_of(model, name, image_set)
        drawn_labels = classes % len(model.labels) if model.labels else None
        known = (labels, len(model.labels)) if model.labels else (None, None)
        rows, measured = {}, {}
        for prior, (kind, arguments) in fits.items():
            began = time.perf_counter()
            fitted = kind.fit(codes[: kind.views], seed, *known, **arguments)
            seconds = time.perf_counter() - began
            images = model.decode(fitted.sample(judge.n, seed, label=drawn_labels), drawn_labels)
            rows[prior] = images[:shown]
            measured[prior] = _measure(judge, images) | {"seconds": round(seconds, 1)}
        if not model.labels:
            rebuilt = model.reconstruct(judge.held_out)
            rows["held-out codes"] = rebuilt[:shown]
            measured["held-out codes"] = _measure(judge, rebuilt)
        figures.rows(list(rows.values()), list(rows), folder / f"densities_{name}.png", f"{name}: samples, by prior")
        numbers[name] = measured
    return {"n": judge.n, "models": numbers, "real": {"fd_gabor": judge.floor(intervals=False)["fd_gabor"]}}


def sizes(models, image_set, seed, folder, *, shown=5):
    """Held-out PSNR of each model and of PCA, as their cards give it; measured where a card does not."""
    batch = pipeline.first_batch(image_set, "test", shown)
    images = batch["images"]
    rows, numbers, n = {"original": images}, {}, None

    def rebuild(model, name, batch):
        return model.reconstruct(batch["images"], checks.labels_of(model, name, image_set, batch))

    for name, model in sorted(models.items(), key=lambda pair: pair[1].latent_dim):
        size = model.latent_dim
        pca = fit_pca((batch["images"].numpy() for batch in pipeline.batches(image_set, "train", 128)), size)
        rows |= {f"AE-{size}": rebuild(model, name, batch), f"PCA-{size}": np.clip(pca.rebuild(images), -1, 1)}
        of_model = checks.held_out(model.card, "held_out", image_set, functools.partial(rebuild, model, name))
        of_pca = checks.held_out(
            model.card, "held_out_baseline", image_set, lambda batch, pca=pca: pca.rebuild(batch["images"])
        )
        numbers[str(size)] = {"autoencoder": of_model["psnr"], "PCA": of_pca["psnr"]}
        n = n or of_model["n"]
    curves = {
        kind: ([int(size) for size in numbers], [both[kind] for both in numbers.values()]) for kind in ("autoencoder", "PCA")
    }
    data = image_set.name
    title = f"{data}: held-out images from codes of several lengths"
    figures.rows(list(rows.values()), list(rows), folder / f"sizes_{data}.png", title)
    title, path = f"{data}: {n:,} held-out images", folder / f"sizes_{data}_curve.png"
    charts.lines(curves, path, title, "numbers for each image", "PSNR (dB)", logarithmic=True)
    return {"n": n, f"psnr_{data}": numbers}


def labels(models, image_set, seed, folder, *, k=5, drawn=1000, training=20_000, held_out=2000):
    """Agreement of a classifier, `k` nearest neighbours in Gabor features, with the classes of generated and of real images.

    And the sharpness of generated images, as the judge measures it: 1 is that of real ones.
    """
    name, model = next(iter(models.items()))
    if not model.labels:
        raise UserError(f"{name} is not conditional; train experiments/cvae_mnist.toml or another conditional experiment")
    checks.need_images(image_set, k, "train")
    classes = len(model.labels)
    shown = charts.images_in_row(model.shape[1])
    _, z = model.generate(shown, seed)
    rows = [model.decode(z, np.full(shown, index)) for index in range(classes)]
    figures.rows(rows, list(model.labels), folder / "labels.png", f"{name}: a class in each row, a code in each column")
    train, test = (pipeline.first_batch(image_set, *side) for side in (("train", training), ("test", held_out)))
    checks.labels_of(model, name, image_set, train)
    extract = extractor("gabor")
    classifier = KNeighborsClassifier(k).fit(extract(train["images"]), train["label"])
    generated = to_float(model.generate(drawn, seed)[0])
    agreement = {
        "generated": float(classifier.score(extract(generated), np.arange(drawn) % classes)),
        "real held-out": float(classifier.score(extract(test["images"]), test["label"])),
    }
    sharpness, real = (np.mean(metrics.gradient_energy(images)) for images in (generated, test["images"]))
    return {"n": drawn, "agreement": agreement, "sharpness": float(sharpness / real)}
