import functools
import json
import re
import shutil

import numpy as np
import pytest
from conftest import draw_cat, eager

from keras_ae import evaluate
from keras_ae.data import pipeline
from keras_ae.exports.load import Exported
from keras_ae.images import pictures
from keras_ae.judge import likelihood, metrics
from keras_ae.judge.judge import Candidate, Judge, fit_pca, load_images, read_likelihood, warn_of_other_data

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Importance-weighted estimates of 8 images, and intervals from few resamples, without graphs."""
    with pytest.MonkeyPatch.context() as patch, eager():
        patch.setattr(likelihood, "measure", functools.partial(likelihood.measure, n=8))
        intervals = metrics.intervals
        patch.setattr(metrics, "intervals", lambda *sets, groups=3: intervals(*sets, groups=3))
        yield


def test_images_beyond_the_memory_are_left_out_and_samples_have_the_spread_of_the_scores():
    images = (RANDOM.normal(size=(500, 48)) * np.linspace(0.3, 0.01, 48)).reshape(500, 4, 4, 3).astype("float32")
    some, all_of_some = fit_pca(np.array_split(images, 7), 10, most=48 * 400), fit_pca([images[:400]], 10)
    np.testing.assert_allclose(some.rebuild(images), all_of_some.rebuild(images), atol=1e-4)
    spread = some.encode(some.generate(20_000, 0))["z"].std(axis=0)
    np.testing.assert_allclose(spread, some.encode(images[:400])["z"].std(axis=0), rtol=0.05)


@pytest.fixture(scope="module")
def judge():
    """A judge on digits, enlarged to 32x32."""
    return Judge(pipeline.load("digits", size=32), 400)


def probabilistic_pca(judge, latent_dim):
    """A VAE whose training has a closed form (Tipping & Bishop 1999): PCA with codes of unit variance and their posteriors."""
    pca = judge.baseline(latent_dim)
    scores = pca.encode(judge.real)["z"]
    noise, spread = np.mean((judge.real - pca.decode(scores)) ** 2), scores.std(axis=0)

    def encode(images):
        mean = pca.encode(images)["z"] * spread / (spread**2 + noise)
        return {"z": mean, "z_mean": mean, "z_log_var": np.broadcast_to(np.log(noise / (spread**2 + noise)), mean.shape)}

    return Candidate(f"{latent_dim}", latent_dim, encode, lambda z: pca.decode((z * spread).astype("float32")), pca.generate)


@pytest.fixture(scope="module")
def numbers(judge):
    """What the judge measures of models with codes of 1 and 16 numbers."""
    measured, _ = judge.measure_all([lambda size=size: probabilistic_pca(judge, size) for size in (1, 16)])
    return measured


def test_better_models_get_better_numbers(judge, numbers):
    def falls(values):
        return sorted(values, reverse=True) == values

    rebuilt, likelihoods, samples = ([n[key] for n in numbers.values()] for key in ("reconstruction", "likelihood", "samples"))
    for key, sign in {"psnr": -1, "ssim": -1, "sharpness": -1, "mse": 1, "l1": 1}.items():
        assert falls([sign * found[key] for found in rebuilt]), key
    assert falls([found["neg_elbo"] for found in likelihoods])
    assert falls([found["importance_weighted"]["neg_elbo"] for found in likelihoods])
    for key in ("fd_gabor", "kernel"):
        assert falls([*(found[key] for found in samples), judge.floor(intervals=False)[key]]), key
    for found in (rebuilt[-1], likelihoods[-1]["importance_weighted"]):
        for name, (low, high) in found["intervals"].items():
            assert low < found[name] < high, name
    # no likelihood
    assert not dict(likelihood.measure(judge.baseline(4), judge.held_out, judge.real, 0))


def test_real_images_are_precise_complete_and_diverse(judge):
    real = judge.floor()
    assert min(real["precision"], real["recall"], real["coverage"]) > 0.8
    assert real["density"] == pytest.approx(1, abs=0.3)
    assert real["sharpness"] == pytest.approx(1, abs=0.1)
    # unbiased: zero lies in its interval
    assert abs(real["kernel"]) < np.ptp(real["intervals"]["kernel"])


def test_a_judge_compares_with_a_sample_and_says_so(folder, monkeypatch):
    image_set = pipeline.load("folder", str(folder), 32, 3)
    monkeypatch.setattr(pipeline, "SAMPLED", 64)
    monkeypatch.setattr("keras_ae.judge.judge.BATCH", 32)
    judge = Judge(image_set, 10_000)
    assert len(judge.training_features) == judge.n == len(judge.real) == 64
    assert f"samples are compared with 64 of {image_set.n_train} training images" in list(judge.warnings())[-1]
    assert judge.baseline(4).latent_dim == 4


@pytest.fixture(scope="session")
def report(exported, folder, once):
    words = ["--model", str(exported), "--data", str(folder), "--n", "100", "--out"]
    return once("reports", lambda out: evaluate.main([*words, str(out / "report")])) / "report"


def test_a_report_is_one_page_that_needs_nothing_else(report):
    text = (report / "index.html").read_text()
    assert 'name=viewport content="width=device-width' in text
    assert re.findall(r'src="(?!data:image/png;base64,)|href=|@import|url\(', text) == []
    for heading in ("Reconstruction", "Likelihood", "Samples", "Memory", "Smoothness", "Latent map"):
        assert f"<h2>{heading}</h2>" in text
    found = json.loads((report / "metrics.json").read_text())
    assert list(found["models"]) == ["tiny", "PCA-6"]
    assert re.findall('<img alt=.([^"]*).', text) and "" not in re.findall('<img alt=.([^"]*).', text)
    assert found["protocol"]["n_samples"] == 100
    assert f"{found['models']['tiny']['reconstruction']['psnr']:.2f}" in text


def test_the_same_evaluation_twice_writes_the_same_report_and_says_that_the_sample_is_small(
    report, exported, folder, tmp_path, capfd
):
    shutil.copytree(report, tmp_path / "report")
    # a report is replaced by a later one without --force
    evaluate.main(["--model", str(exported), "--data", str(folder), "--n", "100", "--out", str(tmp_path / "report")])
    for name in ("metrics.json", "index.html"):
        assert (tmp_path / "report" / name).read_bytes() == (report / name).read_bytes()
    printed = capfd.readouterr()
    (warned,) = (line.removeprefix("warning: ") for line in printed.err.splitlines() if line.startswith("warning: "))
    assert "held-out images are too few for metrics of samples" in warned
    found = json.loads((report / "metrics.json").read_text())
    assert found["protocol"]["warnings"] == [warned]
    assert warned in (report / "index.html").read_text()
    samples = found["models"]["tiny"]["samples"]
    (line,) = (line for line in printed.out.splitlines() if line.startswith("tiny "))
    for key in ("fd_gabor", "precision", "recall"):
        assert f"{samples[key]:.2f} ±{np.ptp(samples['intervals'][key]) / 2:.2f}" in line


def test_models_are_compared_with_refined_codes_and_pictures_from_elsewhere(exported, folder, tmp_path, capfd):
    for index, image in enumerate(np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), "uint8")):
        pictures.write_png(tmp_path / "others" / f"{index}.png", image)
    words = ["--compare", exported, "--data", folder, "--others", tmp_path / "others", "--refine", "5", "--n", "50"]
    evaluate.main([*map(str, words), "--out", str(tmp_path / "report")])
    found = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert found["protocol"]["n_others"] == 9
    plain, refined, pca = (found["models"][name] for name in ("tiny", "tiny, 5 steps", "PCA-6"))
    assert plain["samples"]["n"] == 50 and refined["samples"] is None
    for side in ("reconstruction", "others"):
        assert refined[side]["psnr"] > plain[side]["psnr"]
    # noise is harder to rebuild than what a model was trained on
    assert pca["others"]["psnr"] < pca["reconstruction"]["psnr"]
    assert "9 images from another folder" in (tmp_path / "report" / "index.html").read_text()
    lines = capfd.readouterr().out.splitlines()
    assert f"{plain['others']['psnr']:.2f}" in lines[lines.index("images of --others") + 1]


def test_a_model_judged_on_other_images_is_reported(exported, folder, tmp_path):
    for index in range(20):
        pictures.write_png(tmp_path / "other" / f"{index}.png", draw_cat(index, 16, 8))
    models = {"tiny": Exported(exported)}
    for place, expected in ((folder, []), (tmp_path / "other", ["tiny was trained on other images"])):
        lines = warn_of_other_data(models, load_images(models, str(place)))
        assert [line.partition(";")[0] for line in lines] == expected


def test_mistakes_end_in_one_line(exported, folder, tmp_path, fails):
    assert "no such folder" in fails(evaluate.main, "--model", tmp_path / "nowhere", "--data", folder)
    assert "name the folder of held-out picture files with --data" in fails(evaluate.main, "--model", exported)
    assert "--n" in fails(evaluate.main, "--model", exported, "--data", folder, "--n", "3")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    arguments = ("--model", exported, "--data", folder, "--out", tmp_path / "mine")
    assert "exists and is not from keras_ae" in fails(evaluate.main, *arguments)
    for index in range(12):
        pictures.write_png(tmp_path / "few" / f"{index}.png", draw_cat(index, 16, 9))
    arguments = ("--model", exported, "--data", tmp_path / "few", "--out", tmp_path / "r")
    assert "too few to judge" in fails(evaluate.main, *arguments)


def test_a_likelihood_fixed_in_training_is_the_one_measured():
    card = {"configuration": {"reconstruction": {"name": "laplace", "scale": 0.5}}}
    nats = read_likelihood(card)(np.zeros((1, 2, 2, 1), "float32"), np.ones((1, 2, 2, 1), "float32"))
    assert float(np.sum(nats)) == pytest.approx(4 * 2)
    assert read_likelihood({}) is None
