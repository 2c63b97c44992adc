"""Studies of models that restore images: denoising and super-resolution, beside classical methods."""

import numpy as np
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from course import charts, checks
from keras_ae.data import pipeline, tasks
from keras_ae.data.drawn_cats import draw_cats
from keras_ae.images import figures
from keras_ae.images.pictures import to_float


def total_variation(images, strength):
    """Chambolle's algorithm for images in [-1, 1], of scikit-image."""
    return np.stack([denoise_tv_chambolle(image, strength, channel_axis=-1) for image in images]).reshape(images.shape)


def non_local_means(images, strength):
    """Buades et al. 2005 with patches of 5 pixels, of scikit-image."""
    settings = {"h": strength, "patch_size": 5, "patch_distance": 6, "fast_mode": True, "channel_axis": -1}
    return np.stack([denoise_nl_means(image, **settings) for image in images]).reshape(images.shape)


def tune(method, inputs, images, strengths):
    """The strength of a method that is best on these images, and the method with it, a function of inputs.

    Clipped noise with a mean other than 0 brightens dark pixels and leaves bright ones: a straight line restores the contrast.
    """
    tried = []
    for strength in strengths:
        smoothed = method(inputs, strength)
        line = np.polyfit(smoothed.ravel(), images.ravel(), 1)
        tried.append((np.mean(np.square(np.polyval(line, smoothed) - images)), strength, line))
    _, best, line = min(tried, key=lambda one: one[0])
    return best, lambda inputs: np.clip(np.polyval(line, method(inputs, best)), -1, 1)


def denoising(models, image_set, seed, folder, *, tuning=32, held_out=500, strengths=(0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0)):
    """PSNR and SSIM of noisy and denoised held-out images, and of drawn cats, if the model was not trained on them."""
    name, model = next(iter(models.items()))
    task = checks.task_of(model, name, "add_noise")
    checks.need_unconditional({name: model})
    examples = pipeline.first_batch(image_set, "train", tuning, task)
    test = pipeline.first_batch(image_set, "test", held_out, task)
    images, noisy = test["images"], test["inputs"]
    results, chosen = {"noisy": noisy}, {}
    for method in (total_variation, non_local_means):
        label = method.__name__.replace("_", " ")
        chosen[label], denoise = tune(method, examples["inputs"], examples["images"], strengths)
        results[label] = denoise(noisy)
    results[name] = model.reconstruct(noisy)
    shown = charts.images_in_row(images.shape[2])
    rows = {label: result[:shown] for label, result in (results | {"clean": images}).items()}
    figures.rows(list(rows.values()), list(rows), folder / "denoising.png", f"{name}: held-out images")
    quality = {label: checks.psnr_and_ssim(images, result) for label, result in results.items()}
    measured = {"n": len(images), "strengths": chosen, "held_out": quality}
    trained_on = model.card.get("data", {}).get("name", image_set.name)
    if trained_on == "synthetic_cats":
        return measured
    foreign = to_float(draw_cats(shown, model.shape, seed)[1])
    inputs = np.asarray(task(foreign, (seed, 1)))
    rebuilt = model.reconstruct(inputs)
    title = f"{name}, trained on {trained_on}: images of another kind"
    figures.rows([inputs, rebuilt, foreign], ["noisy", name, "clean"], folder / "denoising_foreign.png", title)
    quality = {label: checks.psnr_and_ssim(foreign, result) for label, result in (("noisy", inputs), (name, rebuilt))}
    return measured | {"built-in cats": quality}


def upscaling(models, image_set, seed, folder, *, held_out=500):
    """PSNR and SSIM of bicubic interpolation and of each model on held-out images."""
    checks.need_unconditional(models)

    def blocks(small, shape):
        return small.repeat(shape[0] // small.shape[1], axis=1).repeat(shape[1] // small.shape[2], axis=2)

    rows, numbers = {}, {}
    for name, model in models.items():
        test = pipeline.first_batch(image_set, "test", held_out, checks.task_of(model, name, "downscale"))
        images, small = test["images"], test["inputs"]
        bicubic, rebuilt = np.asarray(tasks.enlarge(small, model.shape)), model.reconstruct(small)
        shown, size = charts.images_in_row(images.shape[2]), f"{small.shape[1]}x{small.shape[2]}"
        kinds = {"input": blocks(small, model.shape), "bicubic": bicubic, "model": rebuilt}
        rows |= {f"{size} {kind}": result[:shown] for kind, result in kinds.items()}
        numbers[name] = {"bicubic": checks.psnr_and_ssim(images, bicubic), "model": checks.psnr_and_ssim(images, rebuilt)}
    rows["original"] = images[:shown]
    figures.rows(list(rows.values()), list(rows), folder / "upscaling.png", "super-resolution of held-out images")
    noise = np.random.default_rng(seed).uniform(-1, 1, (shown, *small.shape[1:])).astype("float32")
    both = [blocks(noise, model.shape), model.reconstruct(noise)]
    figures.rows(both, ["noise", name], folder / "upscaling_noise.png", f"{name}: noise as input")
    return {"n": len(images), "held_out": numbers}
