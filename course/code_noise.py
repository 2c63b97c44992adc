"""Images decoded from codes with added noise, and the reconstruction error by the strength of the noise."""

import numpy as np

from course import charts, checks
from keras_ae.data import pipeline
from keras_ae.images import figures

NOISES = (0.0, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0)


def run(models, image_set, seed, folder, *, held_out=2000, noises=NOISES):
    """Mean squared errors of each model; noise is in units of the standard deviation of each number over the images."""
    checks.need_unconditional(models)
    images = pipeline.examples(image_set, "test", held_out)
    shown = charts.images_in_row(images.shape[2])
    random = np.random.default_rng(seed)
    errors, rows = {}, {"original": images[:shown]}
    for name, model in models.items():
        z = model.encode(images)
        noise = random.normal(size=z.shape) * z.std(axis=0)
        decoded = {level: model.decode((z + level * noise).astype("float32")) for level in noises}
        errors[name] = [float(np.mean(np.square(images - rebuilt))) for rebuilt in decoded.values()]
        rows |= {f"{name} {level:g}": rebuilt[:shown] for level, rebuilt in decoded.items()}
    title = "decoded from codes with noise, in standard deviations of the codes"
    figures.rows(list(rows.values()), list(rows), folder / "code_noise.png", title)
    curves = {name: (noises, values) for name, values in errors.items()}
    title = "reconstruction error with noise added to the codes"
    charts.lines(
        curves, folder / "code_noise_curve.png", title, "noise (standard deviations of the codes)", "mean squared error"
    )
    return {"n": len(images), "noise": list(noises), "mse": errors}
