"""What a finished run is worth and looks like: a prior for its codes, held-out numbers, pictures."""

import numpy as np
import tensorflow as tf

from keras_ae.codes import paths as codes
from keras_ae.codes import priors
from keras_ae.data import pipeline as data
from keras_ae.data import tasks
from keras_ae.files import written_whole
from keras_ae.judging import baselines, metrics
from keras_ae.media import figures
from keras_ae.models.networks import apply

BATCH = 128
SHOWN = 16
SAMPLES = 64
STEPS = 50


def _image_batches(pictures, side):
    return (batch["image"].numpy() for batch in data.batches(pictures, side, BATCH))


def _compiled(function):
    # one graph for every batch size
    return tf.function(function, reduce_retracing=True)


def _encoded(encoder, batch):
    return apply(encoder, images=batch["inputs"], label=batch["label"])["z_mean"]


def training_codes(encoder, pictures, task):
    """Mean codes of the training pictures, (n_train, latent_dim)."""
    encode = _compiled(lambda batch: _encoded(encoder, batch))
    return np.concatenate([encode(batch) for batch in data.batches(pictures, "train", BATCH, task)])


def baseline(pictures, latent_dim, task):
    """Held-out numbers without a network, and their name: PCA of the latent size, or what a task's inputs are worth."""
    held_out = data.batches(pictures, "test", BATCH, task)
    if task is None:
        pca = baselines.fit_pca(lambda: _image_batches(pictures, "train"), latent_dim)
        name, rebuild = f"PCA-{latent_dim}", lambda batch: pca.rebuild(np.asarray(batch["image"]))
    else:
        (batch,) = held_out.take(1)
        name = "noisy" if batch["inputs"].shape == batch["image"].shape else "bicubic"
        rebuild = _compiled(lambda batch: tasks.unlearned(batch["inputs"], pictures.shape))
    return {"name": name, **metrics.reconstruction((batch["image"], rebuild(batch)) for batch in held_out)}


def measure(encoder, decoder, pictures, task):
    """Held-out reconstruction numbers of the model, from mean codes, and of the `baseline`."""
    rebuild = _compiled(lambda batch: apply(decoder, z=_encoded(encoder, batch), label=batch["label"]))
    held_out = data.batches(pictures, "test", BATCH, task)
    return {
        "reconstruction": metrics.reconstruction((batch["image"], rebuild(batch)) for batch in held_out),
        "baseline": baseline(pictures, decoder.inputs[0].shape[1], task),
    }


def fit_prior(run, encoder, pictures):
    """Fit the experiment's density to the training codes and keep it in the run."""
    experiment = run.experiment()
    found = training_codes(encoder, pictures, experiment.task())
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

    shown = data.first_batch(pictures, "test", SHOWN, experiment.task())
    z_mean = np.asarray(_encoded(encoder, shown))
    rebuilt = np.asarray(apply(decoder, z=z_mean, label=shown["label"]))
    title = f"{experiment.name}: held-out pictures and their reconstructions from {experiment.latent_dim} numbers"
    kinds = {"original": shown["image"], "rebuilt": rebuilt}
    if experiment.task():
        kinds = {"input": np.asarray(tasks.unlearned(shown["inputs"], pictures.shape)), **kinds}
    figures.reconstructions(kinds, folder / "reconstructions.png", title)

    rows = {}
    for name, prior in (("N(0, I)", priors.normal(experiment.latent_dim)), ("fitted density", priors.Mixture.load(run.prior))):
        labels = np.arange(SAMPLES, dtype="int32") % max(1, len(pictures.labels))
        drawn = np.asarray(apply(decoder, z=prior.sample(0, SAMPLES, seed, 1.0), label=labels))
        rows[name] = drawn[:8]
        file = "samples_normal.png" if name == "N(0, I)" else "samples_fitted.png"
        figures.samples(drawn, folder / file, f"{experiment.name}: samples, codes from {name}")
    figures.rows(list(rows.values()), list(rows), folder / "priors.png", f"{experiment.name}: what codes are drawn from")

    for way in (codes.linear, codes.spherical):
        frames = np.asarray(apply(decoder, z=way(z_mean[0], z_mean[1], STEPS), label=np.repeat(shown["label"][:1], STEPS)))
        title = f"{experiment.name}: {way.__name__} interpolation between two held-out pictures"
        figures.interpolation(frames, folder / f"interpolation_{way.__name__}.png", title)
    return folder


def finish(run, pictures):
    """Fit the prior, measure and draw; the run counts as complete when this ends. Returns the metrics."""
    experiment = run.experiment()
    encoder, decoder = run.best_networks()
    fit_prior(run, encoder, pictures)
    measured = measure(encoder, decoder, pictures, experiment.task())
    rows = run.history()
    best = run.best()
    measured["bound"] = {name: best[f"val_{name}"] for name in ("neg_elbo", "reconstruction", "kl")}
    measured["epochs"] = len(rows)
    measured["best_epoch"] = int(best["epoch"])
    measured["training_seconds"] = round(sum(row["seconds"] for row in rows), 1)
    draw(run, pictures, run.pictures, experiment.training.seed)
    run.write_json("metrics", measured)
    return measured
