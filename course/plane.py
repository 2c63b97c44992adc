"""The plane of codes of two numbers, decoded at the quantiles of N(0, 1), and the negative ELBO of held-out images."""

import statistics

import numpy as np

from course import charts, checks
from keras_ae.data import pipeline
from keras_ae.errors import UserError
from keras_ae.judge import likelihood
from keras_ae.judge.judge import export_candidate


def run(models, image_set, seed, folder, *, side=20, held_out=10_000, importance_images=500, importance_draws=500):
    """The likelihood of held-out images under each VAE, in nats: see `keras_ae.judge.likelihood.measure`."""
    for name, model in models.items():
        if model.latent_dim != 2:
            raise UserError(f"the plane needs codes of two numbers; {name} has {model.latent_dim}")
    checks.need_unconditional(models)
    images = pipeline.examples(image_set, "test", held_out)
    training_images = pipeline.examples(image_set, "train", 1000)
    numbers = {}
    for name, model in models.items():
        pairs = likelihood.measure(
            export_candidate(model, name),
            images,
            training_images,
            seed,
            n=importance_images,
            draws=importance_draws,
            ks=(importance_draws,),
        )
        if not (measured := dict(pairs)):
            raise UserError(f"{name} has no Gaussian latent; this study needs a VAE")
        numbers[name] = measured
    quantiles = [statistics.NormalDist().inv_cdf((index + 0.5) / side) for index in range(side)]
    across, up = np.meshgrid(quantiles, quantiles[::-1])
    z = np.stack([across.ravel(), up.ravel()], axis=1).astype("float32")
    panels = {name: model.decode(z) for name, model in models.items()}
    charts.squares(panels, folder / "plane.png", "decoded from the plane of codes, at the quantiles of N(0, 1)")
    return {"n": len(images), "likelihood": numbers}
