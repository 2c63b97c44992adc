import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_ae.codes import priors
from keras_ae.errors import UserError
from keras_ae.training import experiment, schema

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
    batch = {"images": tf.constant(pictures), "label": tf.constant([0, 4])}
    if asked.task():
        batch["inputs"] = asked.task()(batch["images"], (0, 0))
    before = [weights.numpy().copy() for weights in model.trainable_variables]
    # what precedes a convolution with zeros as its first kernel moves in the second step
    for _ in range(2):
        terms = model.train_on_batch(batch, return_dict=True)
    assert np.isfinite(terms["loss"])
    changed = [not np.array_equal(old, new) for old, new in zip(before, model.trainable_variables, strict=True)]
    assert np.mean(changed) > 0.9
    assert all(weights.dtype == "float32" for weights in model.weights)
    if asked.second_stage.epochs:
        second = asked.refined(model.encoder, model.decoder, priors.Normal.of(asked.latent_dim))
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
    assert set(tables) == set(schema.TABLES)


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
        ("[training]\nbatch = 0", "batch must be at least 1 and at most 65536. Received: 0"),
        (
            "[training]\nprecision = 'float8'",
            "unknown precision 'float8'; did you mean 'float32'? choose one of auto, float32, mixed_bfloat16",
        ),
        ("[objective]\nbeta = -1.0", "beta must be at least 0 and at most 1e\\+06. Received: -1.0"),
        ("[encoder]\nwidths = [8, 'a']", r"widths must be of type list\[int\]"),
        ("[encoder]\nwidths = []", r"widths must be of type list\[int\]. Received: \[\]"),
        ("[data]\nflip = 1", "flip must be of type bool. Received: 1"),
        ("[data]\nsize = 7", "size must be at least 8 and at most 256. Received: 7"),
        ("[refinement]\naverage = 7", "average must be at least 0 and below 1. Received: 7"),
        ("[refinement]\nseed = 7", r"unknown key in \[refinement\] 'seed'"),
        ("[schedule]\nlearning_rate = 0", "learning_rate must be above 0 and at most 10. Received: 0"),
        ("[encoder]\nwidths = [8, 0]", r"widths must be at least 1 and at most 4096. Received: \[8, 0\]"),
        ("[latent]\ndim = 1000000000", "dim must be at least 1 and at most 65536. Received: 1000000000"),
        ("[optimizer]\nname = 'adam'\nbeta_2 = 1.5", "unknown key in \\[optimizer\\] adam: 'beta_2'"),
        ("[task]\nname = 'add_noise'\ndeviation = 0.0", "deviation must be above 0"),
        ("training = 3", r"\[training\] must be a table"),
        ("[training", "mine.toml is not valid TOML"),
    ],
)
def test_mistakes_in_a_file_are_reported(tmp_path, text, message):
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        experiment.read(written(tmp_path, text))


@pytest.mark.parametrize("override", ["training", "epochs=3", "=3", "training.epochs"])
def test_mistakes_in_overrides_are_reported(tmp_path, override):
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


def test_a_noise_with_a_negative_mean_is_allowed(tmp_path):
    tables = experiment.read(written(tmp_path, "[task]\nname = 'add_noise'\nmean = -0.3")).tables
    assert tables["task"]["mean"] == -0.3


def test_files_and_runs_of_earlier_versions_are_read(tmp_path):
    text = "[objective]\nname = 'matched'\nweight = 3.0\n[adversarial]\nepochs = 2\n[optimizer]\nbeta_2 = 0.999"
    tables = experiment.read(written(tmp_path, text), ["adversarial.batch=16"]).tables
    assert tables["objective"]["name"] == "adversarial"
    assert (tables["refinement"]["epochs"], tables["refinement"]["batch"]) == (2, 16)
    assert tables["optimizer"] == {"name": "adam", "clip_norm": 0.0}
    tables = experiment.read(written(tmp_path, "[objective]\nfree_bits = 0.0\n[prior]\ncomponents = [3]")).tables
    assert tables["prior"] == {"name": "mixture", "components": [3]}


def test_every_key_of_every_table_has_bounds_or_a_finite_choice():
    """A number without an upper bound is one that a typing mistake turns into hours or gigabytes."""
    functions = [function for choices, _ in schema.CHOICES.values() for function in choices.values()]
    functions += [function for group in schema.SINGLE.values() for function in group]
    for function in functions:
        for key, parameter in schema.keys_of(function).items():
            plain, bounds = schema._taken_apart(parameter.annotation)
            numeric = any(kind in str(plain) for kind in ("int", "float"))
            assert not numeric or {type(bound).__name__[0] for bound in bounds} == {"G", "L"}, (function.__name__, key)


def test_the_second_stage_keeps_the_meaning_of_the_first_stage_s_numbers(tmp_path):
    text = "[data]\nsize = 16\n[objective]\nbeta = 4.0\n[latent]\ndim = 3\n[encoder]\nwidths = [4]\n[decoder]\nwidths = [4]"
    asked = experiment.read(written(tmp_path, text), ["training.precision=float32"])
    model, _ = asked.model((16, 16, 3), 10)
    second = asked.refined(model.encoder, model.decoder, priors.Normal.of(3))
    images = np.random.default_rng(0).uniform(-1, 1, (64, 16, 16, 3)).astype("float32")
    first, second = (stage.evaluate(images, verbose=0, return_dict=True) for stage in (model, second))
    for name in ("loss", "neg_elbo", "reconstruction", "kl"):
        assert second[name] == pytest.approx(first[name], rel=2e-2), name
