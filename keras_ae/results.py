"""What a finished run is worth and looks like: a prior for its codes, held-out numbers, pictures."""

import numpy as np
import tensorflow as tf

from keras_ae import baselines, codes, data, figures, metrics, priors
from keras_ae.files import written_whole

BATCH = 128
SHOWN = 16
STEPS = 50


def _image_batches(pictures, side):
    return (batch["image"].numpy() for batch in data.batches(pictures, side, BATCH))


def _compiled(function):
    # one graph for every batch size
    return tf.function(function, reduce_retracing=True)


def training_codes(encoder, pictures):
    """Mean codes of the training pictures, (n_train, latent_dim)."""
    encode = _compiled(lambda images: encoder(images, training=False)["z_mean"])
    return np.concatenate([encode(images) for images in _image_batches(pictures, "train")])


def measure(encoder, decoder, pictures, latent_dim):
    """Held-out reconstruction numbers of the model, from mean codes, and of PCA with as many numbers per picture."""
    rebuild = _compiled(lambda images: decoder(encoder(images, training=False)["z_mean"], training=False))
    pca = baselines.fit_pca(lambda: _image_batches(pictures, "train"), latent_dim)
    return {
        "reconstruction": metrics.reconstruction(_image_batches(pictures, "test"), rebuild),
        "pca": metrics.reconstruction(_image_batches(pictures, "test"), pca.rebuild),
    }


def fit_prior(run, encoder, pictures):
    """Fit the experiment's density to the training codes and keep it in the run."""
    experiment = run.experiment()
    found = training_codes(encoder, pictures)
    prior = priors.fit(found, experiment.training.seed, **experiment.tables["prior"])
    with written_whole(run.prior) as path:
        prior.save(path)
    return prior


def draw(run, pictures, folder, seed):
    """Write every picture of a run into `folder`; `seed` draws the samples. Returns the folder."""
    encoder, decoder = run.best_networks()
    experiment = run.experiment()
    folder.mkdir(parents=True, exist_ok=True)
    figures.curves(run.tensorboard, folder / "curves.png")

    originals = data.examples(pictures, "test", SHOWN)
    z_mean = np.asarray(encoder(originals)["z_mean"])
    rebuilt = np.asarray(decoder(z_mean))
    title = f"{experiment.name}: held-out pictures and their reconstructions from {experiment.latent_dim} numbers"
    figures.reconstructions(originals, rebuilt, folder / "reconstructions.png", title)

    rows = {}
    for name, prior in (("N(0, I)", priors.normal(experiment.latent_dim)), ("fitted density", priors.Mixture.load(run.prior))):
        drawn = np.asarray(decoder(prior.sample(0, 64, seed, 1.0)))
        rows[name] = drawn[:8]
        file = "samples_normal.png" if name == "N(0, I)" else "samples_fitted.png"
        figures.samples(drawn, folder / file, f"{experiment.name}: samples, codes from {name}")
    figures.rows(list(rows.values()), list(rows), folder / "priors.png", f"{experiment.name}: what codes are drawn from")

    for way in (codes.linear, codes.spherical):
        frames = np.asarray(decoder(way(z_mean[0], z_mean[1], STEPS)))
        title = f"{experiment.name}: {way.__name__} interpolation between two held-out pictures"
        figures.interpolation(frames, folder / f"interpolation_{way.__name__}.png", title)
    return folder


def finish(run, pictures):
    """Fit the prior, measure and draw; the run counts as complete when this ends. Returns the metrics."""
    experiment = run.experiment()
    encoder, decoder = run.best_networks()
    fit_prior(run, encoder, pictures)
    measured = measure(encoder, decoder, pictures, experiment.latent_dim)
    rows = run.history()
    best = run.best()
    measured["bound"] = {name: best[f"val_{name}"] for name in ("neg_elbo", "reconstruction", "kl")}
    measured["epochs"] = len(rows)
    measured["best_epoch"] = int(best["epoch"])
    measured["training_seconds"] = round(sum(row["seconds"] for row in rows), 1)
    draw(run, pictures, run.pictures, experiment.training.seed)
    run.write_json("metrics", measured)
    return measured
