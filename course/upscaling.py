"""Super-resolution: the small image, bicubic interpolation, the model and the original, and what a model makes of noise."""

import numpy as np

from course import charts, checks
from keras_ae.data import pipeline, tasks
from keras_ae.images import figures


def _blocks(small, shape):
    return small.repeat(shape[0] // small.shape[1], axis=1).repeat(shape[1] // small.shape[2], axis=2)


def run(models, image_set, seed, folder, *, held_out=500):
    """PSNR and SSIM of bicubic interpolation and of each model on held-out images."""
    checks.need_unconditional(models)
    rows, numbers = {}, {}
    for name, model in models.items():
        test = pipeline.first_batch(image_set, "test", held_out, checks.task_of(model, name, "downscale"))
        images, small = test["images"], test["inputs"]
        bicubic, rebuilt = np.asarray(tasks.unlearned(small, model.shape)), model.reconstruct(small)
        shown, size = charts.images_in_row(images.shape[2]), f"{small.shape[1]}x{small.shape[2]}"
        kinds = {"input": _blocks(small, model.shape), "bicubic": bicubic, "model": rebuilt}
        rows |= {f"{size} {kind}": result[:shown] for kind, result in kinds.items()}
        numbers[name] = {"bicubic": checks.psnr_and_ssim(images, bicubic), "model": checks.psnr_and_ssim(images, rebuilt)}
    rows["original"] = images[:shown]
    figures.rows(list(rows.values()), list(rows), folder / "upscaling.png", "super-resolution of held-out images")
    noise = np.random.default_rng(seed).uniform(-1, 1, (shown, *small.shape[1:])).astype("float32")
    both = [_blocks(noise, model.shape), model.reconstruct(noise)]
    figures.rows(both, ["noise", name], folder / "upscaling_noise.png", f"{name}: noise as input")
    return {"n": len(images), "held_out": numbers}
