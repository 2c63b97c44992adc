"""Autoencoders of several latent sizes, each beside PCA with as many numbers for an image."""

import numpy as np

from keras_ae.data import pipeline
from keras_ae.judging import baselines
from keras_ae.media import charts, figures


def run(models, image_set, seed, folder, *, shown=5):
    """Held-out PSNR of each model and of PCA, as their cards give it."""
    ordered = sorted(models.values(), key=lambda model: model.latent_dim)
    images = pipeline.examples(image_set, "test", shown)
    rows, numbers = {"original": images}, {}

    def stream():
        return (batch["images"].numpy() for batch in pipeline.batches(image_set, "train", 128))

    for model in ordered:
        size = model.latent_dim
        pca = baselines.fit_pca(stream, size)
        rows |= {f"AE-{size}": model.reconstruct(images), f"PCA-{size}": np.clip(pca.rebuild(images), -1, 1)}
        card = model.card
        numbers[str(size)] = {"autoencoder": card["held_out"]["psnr"], "PCA": card["held_out_baseline"]["psnr"]}
    curves = {
        kind: ([int(size) for size in numbers], [both[kind] for both in numbers.values()]) for kind in ("autoencoder", "PCA")
    }
    data, n = image_set.name, ordered[0].card["held_out"]["n"]
    title = f"{data}: held-out images from codes of several lengths"
    figures.rows(list(rows.values()), list(rows), folder / f"sizes_{data}.png", title)
    title, path = f"{data}: {n:,} held-out images", folder / f"sizes_{data}_curve.png"
    charts.lines(curves, path, title, "numbers for each image", "PSNR (dB)", logarithmic=True)
    return {"n": n, f"psnr_{data}": numbers}
