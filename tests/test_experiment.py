import contextlib
import random
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_ae.errors import UserError
from keras_ae.models import networks
from keras_ae.models.networks import Widths
from keras_ae.priors import priors
from keras_ae.training import checks, experiment, schema

ROOT = Path(__file__).parents[1]

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
    # tracing a step takes longer than a step
    model.run_eagerly = True
    # what precedes a convolution with zeros as its first kernel moves in the second step
    for _ in range(2):
        terms = model.train_on_batch(batch, return_dict=True)
    assert np.isfinite(terms["loss"])
    changed = [not np.array_equal(old, new) for old, new in zip(before, model.trainable_variables, strict=True)]
    assert np.mean(changed) > 0.9
    assert all(weights.dtype == "float32" for weights in model.weights)
    if asked.second_stage.epochs:
        second = asked.refined(model.encoder, model.decoder, priors.Normal.of(asked.latent_dim))
        second.run_eagerly = True
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
        ("[encoder]\nwidths = []", r"widths must be of type list\[int\] with at least one number. Received: \[\]"),
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


HUGE = "9" * 400


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 5000, "mine.toml is not valid TOML: its brackets are nested too deeply"),
        ("a = " + "{a = " * 5000 + "1" + "}" * 5000, "mine.toml is not valid TOML: its brackets are nested too deeply"),
        (".".join(["latent"] * 5000) + " = 1", r"unknown key in \[latent\] gaussian: 'latent'"),
        (
            f"[latent]\ndim = {'9' * 5000}",
            "Exceeds the limit .4300 digits. for integer string conversion: value has 5000 digits$",
        ),
        (f"[latent]\ndim = 0x{'f' * 9000}", "at most 65536. Received: an integer of 36,000 bits"),
        (f"[encoder]\nwidths = [0x{'f' * 9000}]", r"at most 4096. Received: \[an integer of 36,000 bits\]"),
        (f"[objective]\nbeta = {HUGE}", "beta must be at least 0 and at most 1e.06. Received: an integer of 1,329 bits"),
        ("[objective]\nbeta = nan", "beta must be of type float. Received: nan"),
        ("[objective]\nbeta = -inf", "beta must be of type float. Received: -inf"),
        ("[objective]\nbeta = true", "beta must be of type float. Received: True"),
        ("[objective]\nbeta = 2020-01-01", r"beta must be of type float. Received: datetime.date\(2020, 1, 1\)"),
        ("[objective]\nbeta = 07:32:00", r"beta must be of type float. Received: datetime.time\(7, 32\)"),
        ("[objective]\nbeta = [1.0]", r"beta must be of type float. Received: \[1.0\]"),
        ("[training]\nepochs = 9223372036854775808", "at most 1e.06. Received: 9223372036854775808"),
        ("[training]\nseed = 4294967296", "at most 2.14748e.09. Received: 4294967296"),
        ("[training]\nprecision = '" + "x" * 4000 + "'", r"unknown precision 'x+\.\.\.x+'; choose one of"),
        ("[latent]\nname = '" + "x" * 10**5 + "'", r"unknown latent 'x+\.\.\.x+'; choose one of"),
        ("[latent]\nname = [[[[[[1]]]]]]", r"unknown latent \[\[\[\[...\]\]\]\]; choose one of"),
        ("[data]\nname = '" + "x" * 5000 + "'", "name must be a text of at most 4096 characters without NUL. Received: 'x"),
        (
            '[data]\ndirectory = "a\\u0000b"',
            r"directory must be a text of at most 4096 characters without NUL. Received: 'a\\x00b'",
        ),
        ("[encoder]\nwidths = [" + "8," * 17 + "]", "widths must have at most 16 numbers. Received: 17"),
        ("[prior]\ncomponents = [" + "8," * 5000 + "]", "components must have at most 16 numbers. Received: 5,000"),
        ('[latent]\n"d\\nim" = 1', r"unknown key in \[latent\] gaussian: 'd\\nim'; did you mean 'dim'"),
        ('"\\u001b[31m" = 1', r"unknown table '\\x1b\[31m'; choose one of"),
        ("a = '\x00'", r"is not valid TOML: Found invalid character '\\x00'"),
        ("x = " + "1" * 200_000, "is no experiment file: it has more than 200,000 characters"),
        ("[data]\nsize = 16\nshift = 16", "data.shift must be smaller than the side of the images, 16 pixels. Received: 16"),
        (
            "[data]\nsize = 64\n[task]\nname = 'downscale'\nfactor = 3",
            "task.factor must divide the side of the images, 64 pixels",
        ),
        (
            "[data]\nsize = 28\n[task]\nname = 'downscale'\nfactor = 4",
            "task.factor = 4 leaves 7x7 pixels, too few for the encoder conv; lower it, or set encoder.name to dense or spa",
        ),
    ],
    ids=range(29),
)
def test_odd_values_are_answered_in_one_short_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as refused:
        experiment.read(written(tmp_path, text))
    assert len(str(refused.value)) < 400 + len(str(tmp_path))
    assert str(refused.value).isprintable()


def test_a_file_that_is_not_text_or_has_no_end_is_refused(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe[\x00")
    with pytest.raises(UserError, match="mine.toml is not valid TOML: 'utf-8' codec can't decode byte 0xff"):
        experiment.read(tmp_path / "mine.toml")
    with pytest.raises(UserError, match="/dev/zero is no experiment file"):
        experiment.read("/dev/zero")


@pytest.mark.parametrize("value", ["[" * 5000, "9" * 5000, "0x" + "f" * 9000, HUGE, "{", "\udcff", "5\nb = 6", "1979-05-27"])
def test_odd_values_of_overrides_are_answered_in_one_short_line(tmp_path, value):
    with pytest.raises(UserError, match=r"\[objective\] elbo: beta must be") as refused:
        experiment.read(written(tmp_path, ""), [f"objective.beta={value}"])
    assert len(str(refused.value)) < 250
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("override", ["a" * 10**5, "a\nb=3", "latent.\n=3", "\x1b.x=3", ".x=1"])
def test_odd_names_of_overrides_are_answered_in_one_short_line(tmp_path, override):
    with pytest.raises(UserError, match="--set takes|unknown") as refused:
        experiment.read(written(tmp_path, ""), [override])
    assert len(str(refused.value)) < 400
    assert str(refused.value).isprintable()


def test_a_table_that_is_none_is_shown_short(tmp_path):
    with pytest.raises(UserError, match=r"\[a\\nb\] must be a table of keys and values. Received: \[1, 2, 3, 4, 5, 6, ...\]"):
        experiment.read(written(tmp_path, f'"a\\nb" = {list(range(1, 5000))}'), ["a\nb.c=1"])


MUTANTS = [
    "[",
    "]",
    "{",
    '"',
    "'",
    "\n",
    "\0",
    "=",
    ".",
    "#",
    "nan",
    "-inf",
    "1e999",
    "true",
    "07:32:00",
    "9" * 5000,
    "0x" + "f" * 5000,
]
MUTANTS += [
    "[" * 5000,
    "[[",
    "a.b.",
    "\\u0000",
    "é",
    "\x7f",
    "1979-05-27T07:32:00Z",
    "_",
    "-",
    "0",
    "99999999999",
    "[]",
    "{}",
    3 * "'",
]


def mutant(rng):
    """The text of an experiment file with one to four places cut, doubled, or replaced by something odd."""
    text = rng.choice(FILES).read_text()
    for _ in range(rng.randint(1, 4)):
        begin = rng.randrange(len(text) + 1)
        end = min(len(text), begin + rng.choice([0, 0, 1, 1, 5, 40]))
        text = text[:begin] + rng.choice(["", text[begin:end] * 2, *MUTANTS]) + text[end:]
    # values, where a place by chance is mostly in a comment
    places = [match.span(1) for match in re.finditer(r"^\w+ = (.*)$", text, re.MULTILINE)]
    if places and rng.random() < 0.7:
        begin, end = rng.choice(places)
        text = text[:begin] + rng.choice(MUTANTS) + text[end:]
    return text


def test_mutated_files_raise_nothing_but_user_errors(tmp_path):
    rng = random.Random(0)
    refused = 0
    for _ in range(300):
        path = written(tmp_path, mutant(rng))
        try:
            asked = experiment.read(path)
            checks.check_tables(asked.tables, (28, 28, 1), rng.choice([0, 10]))
        except UserError as error:
            refused += 1
            assert len(str(error)) < 500 + len(str(tmp_path))
            assert str(error).isprintable()
    assert 100 < refused < 300


def test_tables_that_do_not_suit_the_images_are_refused_before_anything_is_built(tmp_path):
    def refusal(overrides, shape, classes=0):
        with pytest.raises(UserError) as refused:
            checks.check_tables(experiment.read(written(tmp_path, ""), overrides).tables, shape, classes)
        return str(refused.value)

    assert refusal(["data.shift=8"], (8, 8, 1)).startswith("data.shift must be smaller than the side of the images, 8 pixels")
    assert refusal(["task.name=downscale", "task.factor=3"], (28, 28, 1)).startswith("task.factor must divide the side")
    labelled = ["condition.name=on_label", "decoder.name=spatial", "decoder.doublings=2", "latent.dim=98"]
    assert "98, and the decoder spatial folds both into a map of 49 cells: 108 is no multiple" in refusal(
        labelled, (28, 28, 1), 10
    )


@pytest.mark.parametrize("name", sorted(networks.ENCODERS))
def test_every_encoder_takes_what_the_checks_let_through(tmp_path, name):
    """Of all promised sizes and factors: a step of training, or one line that names the table."""
    for size in (8, 16, 28, 60):
        for factor in (2, 3, 4, 8):
            overrides = [
                f"encoder.name={name}",
                "task.name=downscale",
                f"task.factor={factor}",
                "decoder.name=dense",
                "latent.dim=3",
            ]
            asked = experiment.read(written(tmp_path, ""), [*overrides, *(["latent.dim=900"] if name == "spatial" else [])])
            with contextlib.suppress(UserError):
                checks.check_tables(asked.tables, (size, size, 1), 0)
                with tf.Graph().as_default():
                    encoder, _ = asked.networks((size, size, 1))
                assert encoder.input_shape == (None, size // factor, size // factor, 1)


def test_what_cannot_be_built_is_one_line_that_names_table_and_key(tmp_path, monkeypatch):
    halved = experiment.read(
        written(tmp_path, "[encoder]\nname = 'spatial'\nhalvings = 3\n[latent]\nname = 'features'\ndim = 49")
    )
    with pytest.raises(
        UserError, match="^encoder.halvings must halve the side of the image, 28 pixels, to whole numbers. Received: 3"
    ):
        halved.networks((28, 28, 1))

    def broken(*arguments, widths: Widths = (8,)):
        keras.layers.Conv2D(1, 9)(keras.Input((4, 4, 1)))

    monkeypatch.setitem(networks.ENCODERS, "conv", broken)
    asked = experiment.read(written(tmp_path, ""), ["encoder.widths=[8]"])
    with pytest.raises(UserError, match=r"^\[encoder\] name = 'conv', widths = \[8\] cannot be built: \S.{20,200}$") as refused:
        asked.networks((16, 16, 1))
    assert str(refused.value).isprintable()


def test_widths_of_any_number_can_be_normalized(tmp_path):
    asked = experiment.read(written(tmp_path, ""), ["encoder.name=residual", "encoder.widths=[10, 13]", "encoder.blocks=[1]"])
    assert asked.networks((16, 16, 1))[0](tf.zeros((1, 16, 16, 1)))["z"].shape == (1, 128)


def test_the_first_line_of_an_error_is_the_one_that_says_something():
    graph = "Graph execution error:\n\nDetected at node Pad defined at (most recent call last):\n<stack traces>\npaddings"
    assert (
        checks.first_line(tf.errors.InvalidArgumentError(None, None, graph + " are wrong\n\t [[{{node Pad}}]]"))
        == "paddings are wrong"
    )
    keras_error = "Exception encountered when calling Conv2D.call().\n\n\x1b[1mNegative size\x1b[0m\n\nArguments received"
    assert checks.first_line(ValueError(keras_error)) == "Negative size"
    assert checks.first_line(ValueError()) == "ValueError"
    assert len(checks.first_line(ValueError("x" * 1000))) <= 200


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["encoder.widths=[4096, 4096, 4096, 4096, 4096]"],
            r"to train \([\d.]+ (b|m)illion weights\), .*; lower encoder.widths or training.batch$",
        ),
        (["training.batch=65536"], r"to train \(\d.\d million weights\), .*; lower training.batch$"),
        (["refinement.batch=65536", "refinement.epochs=1"], "for its second stage, .*; lower refinement.batch$"),
        (["latent.dim=20000"], "for the prior of its codes, .*; lower latent.dim$"),
        (
            ["encoder.widths=[4096]", "training.batch=4096"],
            "; lower training.batch$",
        ),
    ],
)
def test_a_model_that_the_machine_cannot_hold_is_refused_in_one_line(tmp_path, monkeypatch, overrides, message):
    asked = experiment.read(written(tmp_path, ""), overrides)
    monkeypatch.setattr(checks, "memory", lambda: 8 * 2**30)
    with pytest.raises(UserError, match=r"^this model needs about \d+ GB .*, and this machine has 8 GB") as refused:
        checks.check_memory(asked, (64, 64, 3), n_train=8400)
    assert re.search(message, str(refused.value))
    monkeypatch.setattr(checks, "memory", lambda: None)
    checks.check_memory(asked, (64, 64, 3), n_train=8400)


def test_the_weights_that_are_estimated_are_those_that_are_built(tmp_path):
    asked = experiment.read(FILES[-1], ["encoder.widths=[8, 16]"])
    model, _ = asked.model((64, 64, 3), 10)
    numbers = sum(weights.numpy().size for weights in [*model.state(), *model.trainable_variables])
    (parts, *_) = checks.needs(asked, (64, 64, 3)).values()
    assert sum(value for key, value in parts.items() if key != "training.batch") == pytest.approx(4 * numbers, rel=1e-3)


def test_experiment_files_fit_a_small_machine(monkeypatch):
    monkeypatch.setattr(checks, "memory", lambda: 3 * 2**30)
    for name in ("vae_best", "cvae_mnist", "denoise_cats", "upscale_mnist"):
        (file,) = [file for file in FILES if file.stem == name]
        asked = experiment.read(file)
        shape = SHAPES.get(asked.data.name, (64, 64, 3))
        checks.check_tables(asked.tables, shape, 10)
        checks.check_memory(asked, shape, 10, 8400)


def test_an_estimate_changes_no_weight_of_what_is_built_afterwards(tmp_path):
    asked = experiment.read(written(tmp_path, ""), ["encoder.widths=[4]", "decoder.widths=[4]", "latent.dim=5"])
    images = np.random.default_rng(0).uniform(-1, 1, (8, 16, 16, 3)).astype("float32")

    def trained():
        model, _ = asked.model((16, 16, 3), 10)
        model.train_on_batch(images)
        return model.get_weights()

    without = trained()
    checks.check_memory(asked, (16, 16, 3))
    assert all(np.array_equal(a, b) for a, b in zip(without, trained(), strict=True))


def test_experiments_go_by_name_in_any_folder_and_a_near_name_is_proposed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert experiment.read("vae").tables == experiment.read(ROOT / "experiments" / "vae.toml").tables
    for wrong in ("vae_mnits", "experiments/vae_mnits.toml", "vae_mnits.toml"):
        with pytest.raises(UserError, match=f"no experiment file or name {wrong}; did you mean vae_mnist"):
            experiment.read(wrong)
    with pytest.raises(UserError, match="no experiment file or name zzz; keras-ae train --list shows the names"):
        experiment.read("zzz")


def test_a_file_of_the_user_comes_before_an_experiment_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vae").mkdir()
    (tmp_path / "ae.toml").write_text("[latent]\ndim = 3\n")
    assert experiment.read("vae").latent_dim == 128
    assert experiment.read("ae.toml").latent_dim == 3


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
            described = schema.described(parameter.annotation)
            numeric = any(kind in described.type for kind in ("int", "float"))
            sides = ["above" in limit or "least" in limit for limit in described.limits]
            assert not numeric or sorted(sides) == [False, True], (function.__name__, key)
            assert ("list" in described.type) == (described.longest is not None), (function.__name__, key)


def test_the_second_stage_keeps_the_meaning_of_the_first_stage_s_numbers(tmp_path):
    text = "[data]\nsize = 16\n[objective]\nbeta = 4.0\n[latent]\ndim = 3\n[encoder]\nwidths = [4]\n[decoder]\nwidths = [4]"
    asked = experiment.read(written(tmp_path, text), ["training.precision=float32"])
    model, _ = asked.model((16, 16, 3), 10)
    second = asked.refined(model.encoder, model.decoder, priors.Normal.of(3))
    images = np.random.default_rng(0).uniform(-1, 1, (64, 16, 16, 3)).astype("float32")
    first, second = (stage.evaluate(images, verbose=0, return_dict=True) for stage in (model, second))
    for name in ("loss", "neg_elbo", "reconstruction", "kl"):
        assert second[name] == pytest.approx(first[name], rel=2e-2), name
