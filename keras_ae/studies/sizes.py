"""Autoencoders beside PCA with as many numbers for a picture."""

import numpy as np

from keras_ae.data import pipeline as data
from keras_ae.judging import baselines
from keras_ae.media import figures

SHOWN = 8


def sizes(models, pictures, seed, folder):
    """Reconstructions and held-out error of exports of several latent sizes and of PCA; numbers as their cards have them."""
    ordered = sorted(models.values(), key=lambda model: model.latent_dim)
    images = data.examples(pictures, "test", SHOWN)
    rows, curves, numbers = {"original": images}, {}, {}
    for model in ordered:
        size = model.latent_dim
        pca = baselines.fit_pca(lambda: (batch["image"].numpy() for batch in data.batches(pictures, "train", 128)), size)
        rows |= {f"AE-{size}": model.decode(model.encode(images)), f"PCA-{size}": np.clip(pca.rebuild(images), -1, 1)}
        learned, linear = model.card["held_out"], model.card["held_out_baseline"]
        numbers[str(size)] = {"autoencoder": learned["psnr"], "PCA": linear["psnr"]}
    names = {"autoencoder": "autoencoder", "PCA": "PCA"}
    for name in names:
        curves[name] = ([model.latent_dim for model in ordered], [numbers[str(m.latent_dim)][name] for m in ordered])
    data_name = pictures.name
    title = f"{data_name}: held-out pictures from so many numbers"
    figures.rows(list(rows.values()), list(rows), folder / f"sizes_{data_name}.png", title)
    title = f"{data_name}: {ordered[0].card['held_out']['n']:,} held-out pictures"
    figures.lines(
        curves, folder / f"sizes_{data_name}_curve.png", title, "numbers for each picture", "PSNR (dB)", logarithmic=True
    )
    return {"n": ordered[0].card["held_out"]["n"], f"psnr_{data_name}": numbers}
