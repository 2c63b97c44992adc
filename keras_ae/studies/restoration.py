"""Denoising and super-resolution beside what needs no learning."""

import numpy as np

from keras_ae.codes import directions as attributes
from keras_ae.data import pipeline as data
from keras_ae.data import tasks
from keras_ae.errors import UserError
from keras_ae.judging import metrics
from keras_ae.judging.judge import batched
from keras_ae.media import figures
from keras_ae.media.images import to_float

SHOWN = 8
# pictures that the strength of total variation and non-local means is chosen on, and that all are measured on
TUNED = 32
MEASURED = 500
STRENGTHS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0)


def _task(model, name, wanted):
    described = dict(model.card["configuration"].get("task", {"name": "identity"}))
    if described.pop("name") != wanted:
        raise UserError(f"{name} was not trained for the task '{wanted}'")
    return lambda images, seed: tasks.TASKS[wanted](images, seed, **described)


def _numbers(images, rebuilt):
    found = metrics.reconstruction([(images, np.asarray(rebuilt, "float32"))])
    return {name: found[name] for name in ("psnr", "ssim") if name in found}


def _rebuilt(model, inputs):
    return batched(lambda part: model.decode(model.encode(part)), np.asarray(inputs))


def total_variation(images, strength):
    """Chambolle's denoising of pictures in [-1, 1] with scikit-image."""
    from skimage.restoration import denoise_tv_chambolle

    return np.stack([denoise_tv_chambolle(image, strength, channel_axis=-1) for image in images]).reshape(images.shape)


def non_local_means(images, strength):
    """Buades et al. 2005 with scikit-image, 5-pixel patches."""
    from skimage.restoration import denoise_nl_means

    settings = {"h": strength, "patch_size": 5, "patch_distance": 6, "fast_mode": True, "channel_axis": -1}
    return np.stack([denoise_nl_means(image, **settings) for image in images]).reshape(images.shape)


def _tuned(method, inputs, images):
    """The method at its best on training pictures: a strength, and a function of inputs.

    Clipped noise whose mean is not 0 lifts dark pixels and leaves bright ones: a straight line gives the contrast back.
    """
    found = []
    for strength in STRENGTHS:
        smoothed = method(inputs, strength)
        line = np.polyfit(smoothed.ravel(), images.ravel(), 1)
        found.append((np.mean(np.square(np.polyval(line, smoothed) - images)), strength, line))
    _, strength, line = min(found, key=lambda one: one[0])
    return strength, lambda inputs: np.clip(np.polyval(line, method(inputs, strength)), -1, 1)


def denoising(models, pictures, seed, folder):
    """Noisy, denoised, clean; PSNR and SSIM beside the input, total variation and non-local means; and foreign pictures."""
    name, model = next(iter(models.items()))
    task = _task(model, name, "add_noise")
    tuning = data.first_batch(pictures, "train", TUNED, task)
    held_out = data.first_batch(pictures, "test", MEASURED, task)
    images, noisy = held_out["image"], held_out["inputs"]
    results = {"noisy": noisy}
    strengths = {}
    for method in (total_variation, non_local_means):
        label = method.__name__.replace("_", " ")
        strengths[label], smooth = _tuned(method, tuning["inputs"], tuning["image"])
        results[label] = smooth(noisy)
    results[name] = _rebuilt(model, noisy)
    shown = {label: found[:SHOWN] for label, found in (results | {"clean": images}).items()}
    title = f"{name}: held-out pictures"
    figures.rows(list(shown.values()), list(shown), folder / "denoising.png", title)

    _, foreign = attributes.drawn(SHOWN, model.shape, seed)
    foreign = to_float(foreign)
    seen = np.asarray(task(foreign, (seed, 1)))
    rows = [seen, _rebuilt(model, seen), foreign]
    title = f"{name}, trained on {model.card['data']['name']}: pictures of another kind"
    figures.rows(rows, ["noisy", name, "clean"], folder / "denoising_foreign.png", title)
    return {
        "n": len(images),
        "strengths": strengths,
        "held_out": {label: _numbers(images, found) for label, found in results.items()},
        "built-in cats": {"noisy": _numbers(foreign, seen), name: _numbers(foreign, rows[1])},
    }


def upscaling(models, pictures, seed, folder):
    """Input, bicubic, model, original for each export; PSNR and SSIM; and what the last one makes of noise."""
    rows, numbers = {}, {}
    for name, model in models.items():
        held_out = data.first_batch(pictures, "test", MEASURED, _task(model, name, "downscale"))
        images, small = held_out["image"], held_out["inputs"]
        bicubic = np.asarray(tasks.unlearned(small, model.shape))
        rebuilt = _rebuilt(model, small)
        blocks = small.repeat(images.shape[1] // small.shape[1], axis=1).repeat(images.shape[2] // small.shape[2], axis=2)
        size = f"{small.shape[1]}x{small.shape[2]}"
        rows |= {f"{size} input": blocks[:SHOWN], f"{size} bicubic": bicubic[:SHOWN], f"{size} model": rebuilt[:SHOWN]}
        numbers[name] = {"bicubic": _numbers(images, bicubic), "model": _numbers(images, rebuilt)}
    rows["original"] = images[:SHOWN]
    figures.rows(list(rows.values()), list(rows), folder / "upscaling.png", "super-resolution of held-out pictures")
    noise = np.random.default_rng(seed).uniform(-1, 1, (SHOWN, *small.shape[1:])).astype("float32")
    made = _rebuilt(model, noise)
    blocks = noise.repeat(images.shape[1] // small.shape[1], axis=1).repeat(images.shape[2] // small.shape[2], axis=2)
    figures.rows([blocks, made], ["noise", name], folder / "upscaling_noise.png", f"{name}: what it makes of noise")
    return {"n": len(images), "held_out": numbers}
