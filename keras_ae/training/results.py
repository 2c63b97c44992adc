"""Results of a trained run: the prior of its codes, held-out metrics, pictures."""

import shlex

import numpy as np
import tensorflow as tf

from keras_ae import files
from keras_ae.data import pipeline, tasks
from keras_ae.images import charts, figures
from keras_ae.judge import metrics
from keras_ae.judge.judge import fit_pca
from keras_ae.models.networks import codebook, is_conditional
from keras_ae.priors import mixture, space
from keras_ae.training import tracking

BATCH = 128


def _compile(function):
    # one graph for all sizes of a batch
    return tf.function(function, reduce_retracing=True)


def training_codes(encode, image_set, views, variation, task=None):
    """Codes of up to `views` views of the training images, or of `pipeline.sample`, (views, n, latent_dim); labels (n,).

    encode: batch -> codes (batch, latent_dim). Views are varied by what of the variation of training leaves pixels sharp.
    """
    variation, codes = variation.sharp, []
    for view in range(variation.views(views)):
        batches = pipeline.sample(image_set, BATCH, task, view, variation)
        encoded = [(encode(batch), batch["label"]) for batch in batches]
        codes.append(np.concatenate([z for z, _ in encoded]))
    return np.stack(codes), np.concatenate([labels for _, labels in encoded])


def fit_prior(run, image_set):
    """The prior of a run as it was saved, or else learned with the model, or fitted to the codes of training images."""
    if not run.prior.exists():
        experiment = run.experiment()
        model, arguments = run.best_model(), dict(experiment.tables["prior"])
        kind = mixture.PRIORS[arguments.pop("name")]
        encode = _compile(lambda batch: model.encode(batch)["z_mean"])
        codes, labels = training_codes(encode, image_set, kind.views, experiment.data.variation, experiment.task())
        if len(labels) < image_set.n_train:
            print(f"the prior and PCA are fitted to {len(labels):,} of {image_set.n_train:,} training images")
        known = (labels, len(image_set.labels)) if is_conditional(model.encoder) else (None, None)
        prior = model.learned_prior() or kind.fit(codes, experiment.training.seed, *known, codebook(model.encoder), **arguments)
        with files.write_file(run.prior) as path:
            mixture.save_prior(prior, path)
    return mixture.load_prior(run.prior)


def measure(model, image_set, task):
    """Held-out metrics of the model, from mean codes, and of a baseline: PCA of as many numbers, or the inputs of a task."""

    def measure_pairs(rebuild):
        held_out = pipeline.batches(image_set, "test", BATCH, task)
        return metrics.reconstruction((batch["images"], rebuild(batch)) for batch in held_out)

    if task is None:
        latent_dim = model.decoder.inputs[0].shape[1]
        pca = fit_pca((batch["images"].numpy() for batch in pipeline.sample(image_set, BATCH)), latent_dim)
        name, baseline = f"PCA-{latent_dim}", lambda batch: pca.rebuild(np.asarray(batch["images"]))
    else:
        name = "noisy" if model.encoder.inputs[0].shape[1:3] == image_set.shape[:2] else "bicubic"
        baseline = _compile(lambda batch: tasks.enlarge(batch["inputs"], image_set.shape))
    rebuild = _compile(lambda batch: model.decode(model.encode(batch)["z_mean"], batch))
    return {"reconstruction": measure_pairs(rebuild), "baseline": {"name": name, **measure_pairs(baseline)}}


def draw(run, model, image_set, folder):
    """Write every picture of a run and its best model into `folder`."""
    experiment = run.experiment()
    name, latent_dim = experiment.name, experiment.latent_dim
    charts.curves(run.history(), folder / "curves.png")

    shown = pipeline.first_batch(image_set, "test", 16, experiment.task())
    z_mean = np.asarray(model.encode(shown)["z_mean"])
    kinds = {"original": shown["images"], "rebuilt": np.asarray(model.decode(z_mean, shown))}
    if experiment.task():
        kinds = {"input": np.asarray(tasks.enlarge(shown["inputs"], image_set.shape)), **kinds}
    title = f"{name}: held-out images and their reconstructions from {latent_dim} numbers"
    figures.reconstructions(kinds, folder / "reconstructions.png", title)

    classes = np.arange(64, dtype="int32") % max(1, len(image_set.labels))
    priors = {"normal": ("N(0, I)", mixture.Normal(latent_dim)), "fitted": ("fitted prior", mixture.load_prior(run.prior))}
    for file, (label, prior) in priors.items():
        z = prior.sample(len(classes), experiment.training.seed, label=classes)
        drawn = np.asarray(model.decode(z, {"label": classes}))
        figures.samples(drawn, folder / f"samples_{file}.png", f"{name}: samples, codes from {label}")

    # of a single held-out image, to itself
    between = space.curve(z_mean[[0, min(1, len(z_mean) - 1)]], points=49).astype("float32")
    frames = np.asarray(model.decode(between, {"label": np.repeat(shown["label"][:1], len(between))}))
    figures.interpolation(frames, folder / "interpolation.png", f"{name}: from a held-out image to another")


def finish(run, image_set):
    """Measure and draw a run with a prior; it is complete when this ends."""
    model, experiment = run.best_model(), run.experiment()
    task = experiment.task()
    measured = measure(model, image_set, task)
    if (entries := codebook(model.encoder)) is not None:
        encode, prior = _compile(lambda batch: model.encode(batch)["z_mean"]), mixture.load_prior(run.prior)
        codes = [(encode(batch), batch["label"]) for batch in pipeline.batches(image_set, "test", BATCH, task)]
        z, labels = map(np.concatenate, zip(*codes, strict=True))
        measured["codes"] = metrics.code_usage(z, *entries.shape)
        # that a prior over the entries needs
        if isinstance(prior, mixture.Autoregressive):
            measured["codes"]["prior_bits"] = float(prior.neg_log_likelihood(z, labels).mean() / np.log(2))
    rows, best = run.history(), run.best()
    measured["neg_elbo_nats"] = {name: best[f"val_{name}"] for name in ("neg_elbo", "reconstruction", "kl")}
    measured |= {"epochs": len(rows), "best_epoch": best["epoch"]}
    measured["training_seconds"] = round(sum(row["seconds"] for row in rows), 1)
    with files.write_folder(run.pictures, force=True) as partial:
        draw(run, model, image_set, partial)
    numbers = {name: value for name, value in measured["reconstruction"].items() if name != "n"}
    tracking.write_hyperparameters(run.tensorboard / "hparams", experiment.values(), numbers)
    run.write_json("metrics", measured)


def summarize(run):
    """The closing lines of a complete run: held-out metrics, and where everything is."""
    experiment, measured = run.experiment(), run.read_json("metrics")
    reference, terms = measured["baseline"], measured["neg_elbo_nats"]
    lines = [f"{measured['reconstruction']['n']} held-out images     PSNR dB      L1    SSIM  sharpness"]
    for name, numbers in ((experiment.name, measured["reconstruction"]), (reference["name"], reference)):
        ssim = f"{numbers['ssim']:7.3f}" if "ssim" in numbers else "      -"
        lines.append(f"  {name:<23} {numbers['psnr']:9.2f} {numbers['l1']:7.4f} {ssim} {numbers['sharpness']:10.2f}")
    nats = f"reconstruction {terms['reconstruction']:.1f} nats"
    if terms["kl"]:
        nats = f"negative ELBO {terms['neg_elbo']:.1f} nats = {nats} + KL {terms['kl']:.1f} nats"
    if codes := measured.get("codes"):
        used = f"{codes['used']:.0%} of {codes['entries']:,} entries used, perplexity {codes['perplexity']:.0f}"
        of_prior = f", {codes['prior_bits']:.0f} by the prior" if "prior_bits" in codes else ""
        lines.append(f"{used}; {codes['bits']:.0f} bits a picture{of_prior}")
    minutes = measured["training_seconds"] / 60
    lines += [
        f"{nats} (epoch {measured['best_epoch']} of {measured['epochs']}, {minutes:.1f} min)",
        f"run       {run}  (history.csv, metrics.json, weights)",
        f"pictures  {run.pictures}",
        f"watch     tensorboard --logdir {shlex.quote(str(run.tensorboard))}",
        f"export    python -m keras_ae.export --model {shlex.quote(str(run))} --out exported/{experiment.name}",
    ]
    return "\n".join(lines)
