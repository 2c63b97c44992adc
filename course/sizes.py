"""Autoencoders of several latent sizes, each beside PCA with as many numbers for an image."""

import functools

import numpy as np

from course import charts, checks
from keras_ae.data import pipeline
from keras_ae.images import figures
from keras_ae.judge.judge import fit_pca


def run(models, image_set, seed, folder, *, shown=5):
    """Held-out PSNR of each model and of PCA, as their cards give it; measured where a card does not."""
    batch = pipeline.first_batch(image_set, "test", shown)
    images = batch["images"]
    rows, numbers, n = {"original": images}, {}, None

    def rebuilt(model, name, batch):
        return model.reconstruct(batch["images"], checks.labels_of(model, name, image_set, batch))

    for name, model in sorted(models.items(), key=lambda pair: pair[1].latent_dim):
        size = model.latent_dim
        first = rebuilt(model, name, batch)
        pca = fit_pca((batch["images"].numpy() for batch in pipeline.batches(image_set, "train", 128)), size)
        rows |= {f"AE-{size}": first, f"PCA-{size}": np.clip(pca.rebuild(images), -1, 1)}
        of_model = checks.held_out(model.card, "held_out", image_set, functools.partial(rebuilt, model, name))
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
