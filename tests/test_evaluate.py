import functools
import json
import re
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_ae import evaluate
from keras_ae.data import pipeline
from keras_ae.data.drawn_cats import draw, sample_factors
from keras_ae.images import pictures
from keras_ae.judge import altered, recognition, side_by_side
from keras_ae.judge.judge import Candidate, Judge
from keras_ae.training.experiment import complete

TABLES = {
    "encoder": {"name": "conv", "widths": [16, 32]},
    "decoder": {"name": "residual", "widths": [16, 32], "blocks": [0]},
    "latent": {"dim": 16},
    "optimizer": {"name": "muon"},
    "schedule": {"name": "constant", "learning_rate": 0.003},
    "training": {"batch": 32, "precision": "float32"},
}


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Features that learn for a moment only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(altered, "STEPS", 5)
        yield


@pytest.fixture(scope="module")
def image_set(tmp_path_factory):
    """700 drawn cats of 32x32."""
    folder = tmp_path_factory.mktemp("drawn")
    for index in range(700):
        pictures.write_png(folder / f"{index}.png", draw(sample_factors(3, index), 32))
    return pipeline.load("folder", str(folder), 32, 3)


@pytest.fixture(scope="module")
def numbers(image_set):
    """What the judge measures of a model untrained, after 3 epochs and after 12, of PCA, and of real images."""
    model, _ = complete("judged", TABLES).model(image_set.shape, 20)
    judge = Judge(image_set, 400, "gabor", 0, importance_images=8)

    def candidate(name):
        def generate(n, seed):
            z = tf.random.stateless_normal((n, 16), (seed, 0)) * spread + mean
            return np.clip(model.decoder(z), -1, 1)

        codes = model.encoder(judge.real)["z_mean"].numpy()
        mean, spread = codes.mean(axis=0), codes.std(axis=0)

        def encode(images):
            codes = model.encoder(images)
            mean, log_var = codes["z_mean"].numpy(), codes["z_log_var"].numpy()
            return {"z": mean, "z_mean": mean, "z_log_var": log_var}

        return Candidate(name, 16, encode, lambda z: model.decoder(z).numpy(), generate)

    found = {}
    stream = pipeline.training(image_set, 32, 0)
    for name, epochs in (("untrained", 0), ("half", 3), ("trained", 9)):
        if epochs:
            model.fit(stream, steps_per_epoch=20, epochs=epochs, shuffle=False, verbose=0)
        found[name], _ = judge.judge(candidate(name))
    found["pca"], _ = judge.judge(judge.baseline(16))
    return found | {"real": {"samples": judge.floor()}}


def test_better_models_get_better_numbers(numbers):
    def across(*path):
        return [
            functools.reduce(lambda found, key: found[key], path, numbers[name]) for name in ("untrained", "half", "trained")
        ]

    for key in ("psnr", "ssim"):
        assert sorted(across("reconstruction", key)) == across("reconstruction", key)
    for key in ("mse", "l1"):
        assert sorted(across("reconstruction", key), reverse=True) == across("reconstruction", key)
    for path in (("likelihood", "neg_elbo"), ("likelihood", "importance_weighted", "neg_elbo")):
        assert sorted(across(*path), reverse=True) == across(*path)
    for key in ("fd_gabor", "kernel"):
        values = [*across("samples", key), numbers["real"]["samples"][key]]
        assert sorted(values, reverse=True) == values, key
    for side in ("32", "16"):
        values = [*across("samples", "sliced_wasserstein", side), numbers["real"]["samples"]["sliced_wasserstein"][side]]
        assert values[-1] == min(values) and values[0] == max(values)


def test_real_images_are_precise_complete_and_diverse(numbers):
    real = numbers["real"]["samples"]
    assert min(real["precision"], real["recall"], real["coverage"]) > 0.8
    assert real["density"] == pytest.approx(1, abs=0.3)
    assert real["diversity"] == pytest.approx(1, abs=0.1)
    assert real["sharpness"] == pytest.approx(1, abs=0.1)
    # unbiased: zero lies in its interval
    assert abs(real["kernel"]) < 2 * real["half_widths"]["kernel"]
    assert numbers["untrained"]["samples"]["recall"] == 0


def test_more_draws_give_tighter_estimates_of_the_same_images_and_pca_has_none(numbers):
    found = numbers["trained"]["likelihood"]
    weighted = found["importance_weighted"]
    assert weighted["n"] == 8
    assert weighted["neg_elbo"] > weighted["neg_importance_weighted_50"] > weighted["neg_importance_weighted_500"]
    assert found["n"] == numbers["trained"]["reconstruction"]["n"]
    assert found["neg_elbo"] == pytest.approx(found["distortion"] + found["rate"])
    assert 0 < found["active_units"] <= 16
    assert numbers["pca"]["likelihood"] is None


def test_numbers_lie_in_their_intervals(numbers):
    rebuilt, weighted = (numbers["trained"]["reconstruction"], numbers["trained"]["likelihood"]["importance_weighted"])
    for found in (rebuilt, weighted):
        for name, (low, high) in found["intervals"].items():
            assert low < found[name] < high, name


@pytest.fixture(scope="module")
def report(exported, folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("reports") / "report"
    evaluate.main(["--model", str(exported), "--data", str(folder), "--n", "100", "--out", str(out)])
    return out


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
    out = tmp_path / "again"
    evaluate.main(["--model", str(exported), "--data", str(folder), "--n", "100", "--out", str(out)])
    assert (out / "metrics.json").read_text() == (report / "metrics.json").read_text()
    assert (out / "index.html").read_bytes() == (report / "index.html").read_bytes()
    printed = capfd.readouterr()
    (warned,) = (line.removeprefix("warning: ") for line in printed.err.splitlines() if line.startswith("warning: "))
    assert "held-out images are too few for metrics of samples" in warned
    assert "use at least 250" in warned
    assert warned in (out / "index.html").read_text()
    found = json.loads((out / "metrics.json").read_text())
    assert found["protocol"]["warnings"] == [warned]
    samples = found["models"]["tiny"]["samples"]
    (line,) = (line for line in printed.out.splitlines() if line.startswith("tiny "))
    for key in ("fd_learned", "precision", "recall"):
        assert f"{samples[key]:.2f} ±{samples['half_widths'][key]:.2f}" in line


def test_pictures_from_elsewhere_and_refined_codes_are_judged_beside(exported, folder, tmp_path, capfd):
    for index, image in enumerate(np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), "uint8")):
        pictures.write_png(tmp_path / "others" / f"{index}.png", image)
    more = [
        "--others",
        str(tmp_path / "others"),
        "--refine",
        "5",
        "--n",
        "50",
        "--features",
        "gabor",
        "--out",
        str(tmp_path / "report"),
    ]
    evaluate.main(["--model", str(exported), "--data", str(folder), *more])
    found = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert found["protocol"]["n_others"] == 9
    plain, refined, pca = (found["models"][name] for name in ("tiny", "tiny, 5 steps", "PCA-6"))
    for side in ("reconstruction", "others"):
        assert refined[side]["psnr"] > plain[side]["psnr"]
    assert refined["samples"] is None
    # noise is harder to rebuild than what a model was trained on
    assert pca["others"]["psnr"] < pca["reconstruction"]["psnr"]
    assert "9 images from another folder" in (tmp_path / "report" / "index.html").read_text()
    lines = capfd.readouterr().out.splitlines()
    assert f"{plain['others']['psnr']:.2f}" in lines[lines.index("images of --others") + 1]


@pytest.fixture
def network(monkeypatch):
    """A stand-in for ImageNet's network: the brightness of an image is its class, and every layer is the image."""

    def application():
        images = keras.Input((None, None, 3))
        layers = [keras.layers.Activation("linear", name=name)(images) for name in recognition.LAYERS]
        brightness = keras.ops.mean(layers[0], axis=(1, 2, 3))[:, None]
        classes = keras.layers.Lambda(lambda x: -keras.ops.abs(x - keras.ops.arange(0, 256, 32, dtype="float32")))(brightness)
        return keras.Model(images, classes + 0 * sum(keras.ops.mean(layer) for layer in layers))

    monkeypatch.setattr(keras.applications, "EfficientNetV2B0", application)


def test_recognized_are_images_of_the_classes_of_real_ones(network):
    levels = np.repeat([0.0] * 9 + [0.5], 10)[:, None, None, None]
    real = np.broadcast_to(levels, (100, 16, 16, 3)).astype("float32")
    judge = recognition.Recognition(real)
    # 127.5 is nearest to 128; nine tenths are that
    assert judge.classes.tolist() == [4]
    assert judge.recognized(np.stack([real[0], real[-1], real[0] - 1])).tolist() == [1, 0, 0]
    noisy = real[:2] + np.random.default_rng(0).normal(0, [[[[0.1]]], [[[0.4]]]], (2, 16, 16, 3)).astype("float32")
    near, far = judge.perceptual(real[:2] + 0.1, noisy + 0.1)
    assert 0 < near < far
    assert judge.perceptual(real, real).max() == 0


def test_a_report_has_the_second_opinion_where_it_is_asked_for(network, exported, folder, tmp_path):
    more = ["--recognition", "on", "--features", "gabor", "--n", "50", "--out", str(tmp_path / "report")]
    evaluate.main(["--model", str(exported), "--data", str(folder), *more])
    found = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert found["real"]["recognized"] >= 0.8
    model = found["models"]["tiny"]
    assert 0 <= model["samples"]["recognized"] <= 1
    assert 0 <= model["reconstruction"]["recognized"] <= 1
    assert model["reconstruction"]["perceptual"] > 0
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count("<th>recognized</th>") == 2
    assert "<th>perceptual</th>" in page


def test_weights_that_cannot_be_downloaded_are_a_clear_error(monkeypatch, exported, folder, fails):
    def refused():
        raise OSError("no route to host")

    monkeypatch.setattr(keras.applications, "EfficientNetV2B0", refused)
    arguments = ("--model", exported, "--data", folder, "--recognition", "on", "--n", "50")
    assert "(no route to host); use --recognition off" in fails(evaluate.main, *arguments)


def test_the_second_opinion_is_off_without_its_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert not recognition.is_present()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "efficientnetv2-b0.h5").touch()
    assert recognition.is_present()


class Stranger(tf.Module):
    """Another program's generator: the contract's one signature, and the decoder of an export."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    @tf.function(
        input_signature=[tf.TensorSpec((), tf.int32, name) for name in ("n", "seed")]
        + [tf.TensorSpec((), tf.float32, "temperature")]
    )
    def generate(self, n, seed, temperature):
        z = temperature * tf.random.stateless_normal(tf.stack([n, 6]), tf.stack([seed, 0]))
        return {"images": self.decoder.signatures["decode_uint8"](z=z)["images"], "z": z}


def test_models_are_compared_even_one_of_another_program(exported, folder, tmp_path, capfd):
    stranger = tmp_path / "stranger"
    for name in ("encoder", "decoder"):
        shutil.copytree(exported / name, stranger / name)
    module = Stranger(tf.saved_model.load(str(stranger / "decoder")))
    tf.saved_model.save(module, str(stranger / "generator"), module.generate)
    out = tmp_path / "report"
    more = ["--features", "gabor", "--n", "60", "--out", str(out)]
    evaluate.main(["--compare", str(exported), str(stranger), "--data", str(folder), *more])
    found = json.loads((out / "metrics.json").read_text())["models"]
    assert found["stranger"]["samples"]["n"] == 60
    assert found["stranger"]["samples"] != found["tiny"]["samples"]
    assert found["stranger"]["reconstruction"] == found["tiny"]["reconstruction"]
    assert "was trained on other images" not in capfd.readouterr().err


def test_a_model_without_a_generator_is_judged_by_the_rest(exported, folder, tmp_path):
    for name in ("encoder", "decoder"):
        shutil.copytree(exported / name, tmp_path / "silent" / name)
    more = ["--features", "gabor", "--n", "60", "--out", str(tmp_path / "r")]
    evaluate.main(["--model", str(tmp_path / "silent"), "--data", str(folder), *more])
    found = json.loads((tmp_path / "r" / "metrics.json").read_text())["models"]["silent"]
    assert found["samples"] is None
    assert found["reconstruction"]["n"] > 0


def test_a_model_judged_on_other_images_is_reported(exported, tmp_path, capfd):
    for index in range(100):
        pictures.write_png(tmp_path / "other" / f"{index}.png", draw(sample_factors(8, index), 16))
    more = ["--features", "gabor", "--n", "60", "--out", str(tmp_path / "r")]
    evaluate.main(["--model", str(exported), "--data", str(tmp_path / "other"), *more])
    assert "warning: tiny was trained on other images" in capfd.readouterr().err


def test_mistakes_end_in_one_line(exported, folder, tmp_path, fails):
    assert "no such folder" in fails(evaluate.main, "--model", tmp_path / "nowhere", "--data", folder)
    assert "name the folder of held-out picture files with --data" in fails(evaluate.main, "--model", exported)
    assert "--n" in fails(evaluate.main, "--model", exported, "--data", folder, "--n", "3")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    assert "which keras_ae did not write" in fails(
        evaluate.main, "--model", exported, "--data", folder, "--out", tmp_path / "mine"
    )
    assert not (tmp_path / "mine" / "metrics.json").exists()


def test_too_few_held_out_images_are_refused(exported, tmp_path, fails):
    for index in range(12):
        pictures.write_png(tmp_path / "few" / f"{index}.png", draw(sample_factors(9, index), 16))
    assert "too few to judge" in fails(evaluate.main, "--model", exported, "--data", tmp_path / "few", "--out", tmp_path / "r")


def test_a_likelihood_fixed_in_training_is_the_one_measured():
    card = {"configuration": {"reconstruction": {"name": "laplace", "scale": 0.5}}}
    nats = side_by_side.likelihood_of(card)(np.zeros((1, 2, 2, 1), "float32"), np.ones((1, 2, 2, 1), "float32"))
    assert float(keras.ops.sum(nats)) == pytest.approx(4 * 2)
    assert side_by_side.likelihood_of({}) is None
