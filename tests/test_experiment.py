import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_ae.codes import priors
from keras_ae.errors import UserError
from keras_ae.training import experiment

SHAPES = {"mnist": (28, 28, 1), "melodies": (32, 32, 1)}
FILES = sorted((Path(__file__).parents[1] / "experiments").glob("*.toml"))


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("file", "precision"),
    [(file, "mixed_bfloat16") for file in FILES] + [(file, "float32") for file in FILES if file.stem in ("ae", "vae")],
    ids=lambda value: getattr(value, "stem", value),
)
def test_every_experiment_file_trains_a_step(file, precision):
    asked = experiment.read(file, [f"training.precision={precision}"])
    assert asked.name == file.stem
    shape = SHAPES.get(asked.data.name, (64, 64, 3))
    model, _ = asked.model(shape, steps_per_epoch=10, classes=5)
    pictures = np.random.default_rng(0).uniform(-1, 1, (2, *shape)).astype("float32")
    batch = {"image": tf.constant(pictures), "label": tf.constant([0, 4])}
    if asked.task():
        batch["inputs"] = asked.task()(batch["image"], (0, 0))
    before = [weights.numpy().copy() for weights in model.trainable_variables]
    # what stands before a convolution that begins with zeros moves in the second step
    for _ in range(2):
        terms = model.train_on_batch(batch, return_dict=True)
    assert np.isfinite(terms["loss"])
    changed = [not np.array_equal(old, new) for old, new in zip(before, model.trainable_variables, strict=True)]
    assert np.mean(changed) > 0.9
    assert all(weights.dtype == "float32" for weights in model.weights)
    if asked.tables["adversarial"]["epochs"]:
        second = asked.refined(model.encoder, model.decoder, priors.normal(asked.latent_dim))
        before = second.decoder.get_weights()
        terms = second.train_on_batch(batch, return_dict=True)
        assert all(np.isfinite(value) for value in terms.values())
        changed = [np.any(old != new) for old, new in zip(before, second.decoder.get_weights(), strict=True)]
        assert np.mean(changed) > 0.5


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_experiment_file_says_its_command_time_and_number(file):
    header = "".join(line for line in file.read_text().splitlines(keepends=True) if line.startswith("#"))
    assert f"make train-{file.stem}" in header
    assert re.search(r"\d min", header)
    assert re.search(r"PSNR [\d.]+ dB", header)


def test_defaults_fill_every_table(tmp_path):
    tables = experiment.read(written(tmp_path, "")).tables
    assert tables["training"]["batch"] == 64
    assert tables["latent"] == {"name": "gaussian", "dim": 128}
    assert set(tables) == {*experiment.CHOICES, *experiment.SINGLE}


def test_overrides_win_and_are_read_as_toml(tmp_path):
    path = written(tmp_path, "[training]\nepochs = 3\n")
    overrides = ["training.epochs=7", "encoder.widths=[4, 8]", "reconstruction.name=laplace", "data.flip=true"]
    tables = experiment.read(path, overrides).tables
    assert tables["training"]["epochs"] == 7
    assert tables["encoder"]["widths"] == [4, 8]
    assert tables["reconstruction"] == {"name": "laplace", "scale": 1.0}
    assert tables["data"]["flip"] is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[latent]\nname = 'gausian'",
            "unknown latent 'gausian'; did you mean 'gaussian'? choose one of features, gaussian, point",
        ),
        ("[encoder]\nwidhts = [8]", r"unknown key in \[encoder\] conv: 'widhts'; did you mean 'widths'"),
        ("[trainning]\nepochs = 3", "unknown table 'trainning'; did you mean 'training'"),
        ("[training]\nepochs = 'many'", r"\[training\] epochs must be of type int. Received: 'many'"),
        ("[training]\nepochs = 2.5", "epochs must be of type int. Received: 2.5"),
        ("[training]\nepochs = true", "epochs must be of type int. Received: True"),
        ("[training]\nbatch = 0", "batch must be above 0. Received: 0"),
        (
            "[training]\nprecision = 'float8'",
            "unknown precision 'float8'; did you mean 'float32'? choose one of auto, float32, mixed_bfloat16",
        ),
        ("[objective]\nbeta = -1.0", "beta must be 0 or more. Received: -1.0"),
        ("[encoder]\nwidths = [8, 'a']", r"widths must be of type list\[int\]"),
        ("[encoder]\nwidths = []", r"widths must be of type list\[int\]. Received: \[\]"),
        ("[data]\nflip = 1", "flip must be of type bool. Received: 1"),
        ("training = 3", r"\[training\] must be a table"),
        ("[training", "mine.toml is not valid TOML"),
    ],
)
def test_mistakes_in_a_file_are_told(tmp_path, text, message):
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        experiment.read(written(tmp_path, text))


@pytest.mark.parametrize("override", ["training", "epochs=3", "=3", "training.epochs"])
def test_mistakes_in_overrides_are_told(tmp_path, override):
    with pytest.raises(UserError, match="--set takes table.key=value"):
        experiment.read(written(tmp_path, ""), [override])


def test_a_missing_file_names_those_that_exist():
    with pytest.raises(UserError, match="no experiment file nowhere.toml"):
        experiment.read("nowhere.toml")


def test_the_same_seed_builds_the_same_model(tmp_path):
    asked = experiment.read(written(tmp_path, ""), ["encoder.widths=[4]", "decoder.widths=[4]"])
    first, second = (asked.model((16, 16, 3), 10)[0].get_weights() for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_networks_built_in_low_precision_give_float32_codes_and_images(tmp_path):
    asked = experiment.read(written(tmp_path, ""))
    encoder, decoder = asked.networks((16, 16, 3), precision="mixed_bfloat16")
    codes = encoder(tf.zeros((1, 16, 16, 3)))
    assert codes["z"].dtype == tf.float32
    assert decoder(codes["z"]).dtype == tf.float32
