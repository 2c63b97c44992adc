"""Samples with codes from N(0, I) and from the fitted prior, for each model, as the judge measures them."""

from course import charts, checks
from keras_ae.images.pictures import to_float
from keras_ae.judge.judge import Judge, export_candidate

SAMPLES = ("fd_gabor", "precision", "recall", "nearest_training")


def run(models, image_set, seed, folder, *, n=2000):
    """PSNR and SSIM of each model, metrics of `n` samples for each prior, and the same Frechet distance of real images."""
    checks.need_unconditional(models)
    judge = Judge(image_set, n, "gabor", seed)
    panels, numbers = {}, {}
    for name, model in models.items():
        rebuilt = dict(judge.reconstruction(export_candidate(model, name), judge.held_out))
        numbers[name] = {key: rebuilt[key] for key in ("psnr", "ssim") if key in rebuilt}
        for prior, text in (("normal", "N(0, I)"), ("fitted", "fitted prior")):
            drawn = to_float(model.generate(judge.n, seed, prior=prior)[0])
            panels[f"{name}, {text}"] = drawn[:64]
            compared = dict(judge.compare(drawn, judge.extract(drawn), intervals=False))
            numbers[name][text] = {key: compared[key] for key in SAMPLES}
    charts.squares(panels, folder / "priors.png", "samples, by the prior that their codes are drawn from")
    return {"n": judge.n, "models": numbers, "real": {"fd_gabor": judge.floor(intervals=False)["fd_gabor"]}}
