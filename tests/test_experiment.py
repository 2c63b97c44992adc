import json
import random
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from keras_ae import training
from keras_ae.errors import UserError
from keras_ae.models import networks
from keras_ae.models.networks import Widths
from keras_ae.priors import mixture
from keras_ae.training import experiment, fit

SHAPES = {"mnist": (28, 28, 1), "melodies": (32, 32, 1)}
FILES = list(training.experiment_files().values())
VAE = ROOT / "experiments" / "vae.toml"
# training images of the large cat set and of the built-in one
MANY = (7526, 9000)
SMALL = ["encoder.widths=[4]", "decoder.widths=[4]", "latent.dim=5"]


@pytest.fixture
def written(tmp_path):
    """written(text): the path of an experiment file with this text."""

    def write(text):
        (tmp_path / "mine.toml").write_text(text)
        return tmp_path / "mine.toml"

    return write


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_experiment_file_trains_a_step(file):
    asked = experiment.read(file, ["training.precision=mixed_bfloat16"])
    assert asked.name == file.stem
    # a code that is a map fits images of one size, others are trained on smaller ones here
    side = 64 if asked.tables["encoder"]["name"] == "spatial" else 32
    shape = SHAPES.get(asked.data.name, (side, side, 3))
    model, _ = asked.model(shape, steps_per_epoch=10, classes=5)
    pictures = np.random.default_rng(0).uniform(-1, 1, (2, *shape)).astype("float32")
    batch = {"images": tf.constant(pictures), "label": tf.constant([0, 4])}
    if asked.task():
        batch["inputs"] = asked.task()(batch["images"], (0, 0))
    before = [weights.numpy().copy() for weights in model.trainable_variables]
    # tracing a step takes longer than a step
    model.run_eagerly = True
    changed = []
    while len(changed) < 2 and not any(share > 0.9 for share in changed):
        # what precedes a convolution with zeros as its first kernel moves in the second step
        assert np.isfinite(model.train_on_batch(batch, return_dict=True)["loss"])
        after = zip(before, model.trainable_variables, strict=True)
        changed.append(np.mean([not np.array_equal(old, new) for old, new in after]))
    assert changed[-1] > 0.9
    assert all(weights.dtype == "float32" for weights in model.weights)
    if asked.second_stage.epochs:
        second = asked.refined(model.encoder, model.decoder, mixture.Normal(asked.latent_dim), 10)
        second.run_eagerly = True
        before = second.decoder.get_weights()
        terms = second.train_on_batch(batch, return_dict=True)
        assert all(np.isfinite(value) for value in terms.values())
        changed = [np.any(old != new) for old, new in zip(before, second.decoder.get_weights(), strict=True)]
        assert np.mean(changed) > 0.5


def test_defaults_fill_every_table_and_can_be_written_as_json(written):
    tables = experiment.read(written("")).tables
    assert tables["training"]["batch"] == 64
    assert tables["latent"] == {"name": "gaussian", "dim": 128}
    assert set(tables) == {*experiment.CHOICES, *experiment.SINGLE}
    assert experiment.complete("mine", json.loads(json.dumps(tables))).tables == tables


def test_overrides_win_and_are_read_as_toml(written):
    path = written("[training]\nepochs = 3\n[task]\nname = 'add_noise'\nmean = -0.3")
    overrides = ["training.epochs=7", "encoder.widths=[4, 8]", "reconstruction.name=laplace", "data.flip=true"]
    tables = experiment.read(path, overrides).tables
    assert tables["training"]["epochs"] == 7
    assert tables["encoder"]["widths"] == [4, 8]
    assert tables["reconstruction"] == {"name": "laplace", "scale": 1.0}
    assert tables["data"]["flip"] is True
    assert tables["task"]["mean"] == -0.3


HUGE = "9" * 400
MISTAKES = {
    # names
    "[latent]\nname = 'gausian'": "unknown latent 'gausian'; did you mean 'gaussian'? choose one of features, fsq, gaussian",
    "[encoder]\nwidhts = [8]": "unknown key in [encoder] conv: 'widhts'; did you mean 'widths'? choose one of widths",
    "[trainning]\nepochs = 3": "unknown table 'trainning'; did you mean 'training'?",
    "[refinement]\nseed = 7": "unknown key in [refinement] 'seed'",
    "[condition]\nx = 1": "unknown key in [condition] none: 'x'; it has no keys",
    "[training]\nprecision = 'float8'": "precision must be 'auto', 'float32' or 'mixed_bfloat16'. Received: 'float8'",
    '[latent]\n"d\\nim" = 1': r"unknown key in [latent] gaussian: 'd\nim'; did you mean 'dim'",
    '"\\u001b[31m" = 1': r"unknown table '\x1b[31m'; choose one of",
    "[latent]\nname = '" + "x" * 10**5 + "'": "unknown latent 'xxxx",
    "[uses]\nmodule = 'nothing.there'": "(python -m keras_ae.train finds those of the current folder): No module named",
    # types
    "training = 3": "[training] must be a table of keys and values. Received: 3",
    "[training]\nepochs = 'many'": "[training] epochs must be a valid integer. Received: 'many'",
    "[training]\nepochs = true": "epochs must be a valid integer. Received: True",
    "[encoder]\nwidths = [8, 'a']": "[encoder] conv: widths must be a valid integer. Received: 'a'",
    "[objective]\nbeta = nan": "beta must be a finite number. Received: nan",
    "[objective]\nbeta = 2020-01-01": "beta must be a valid number. Received: datetime.date(2020, 1, 1)",
    f"[objective]\nbeta = {HUGE}": "beta must be a valid number. Received: 9999",
    "[small_data]\nvariation = { shift = 'x' }": "[small_data] variation.shift must be a valid number. Received: 'x'",
    # bounds
    "[training]\nbatch = 0": "[training] batch must be greater than or equal to 1. Received: 0",
    "[encoder]\nwidths = []": "[encoder] conv: widths: Value should have at least 1 item after validation, not 0. Received: []",
    "[encoder]\nwidths = [" + "8," * 17 + "]": "at most 16 items after validation, not 17. Received: [8, 8",
    "[data]\nsize = 7": "size must be a whole number from 8 to 256, or two: [height, width]. Received: 7",
    "[data]\nsize = [64, 300]": "or two: [height, width]. Received: [64, 300]",
    "[refinement]\naverage = 7": "average must be less than 1. Received: 7",
    "[schedule]\nlearning_rate = 0": "learning_rate must be greater than 0. Received: 0",
    f"[latent]\ndim = 0x{'f' * 9000}": "dim must be less than or equal to 65536. Received: an integer of thousands of digits",
    "[data]\nname = '" + "x" * 5000 + "'": "name: String should have at most 4096 characters. Received: 'xxx",
    '[data]\ndirectory = "a\\u0000b"': r"directory: String should match pattern '^[^\x00]*$'. Received: 'a\x00b'",
    # no TOML
    "[training": "mine.toml is not valid TOML",
    "a = '\x00'": r"is not valid TOML: Found invalid character '\x00'",
    "a = " + "[" * 5000: "mine.toml is not valid TOML: maximum recursion depth exceeded",
    f"[latent]\ndim = {'9' * 5000}": "Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits",
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items(), ids=range(len(MISTAKES)))
def test_a_mistake_in_a_file_is_one_short_line_with_what_was_received(written, text, message):
    with pytest.raises(UserError) as refused:
        experiment.read(written(text))
    assert message in str(refused.value)
    assert len(str(refused.value)) < 500
    assert str(refused.value).isprintable()


NO_OVERRIDES = ["training", "training=3", "epochs=3", "training.epochs", "latent.\n=3", "a" * 10**5]
OVERRIDES = dict.fromkeys(NO_OVERRIDES, "an override is table.key=value") | {".x=1": "unknown table"}
ODD = ["[" * 5000, "9" * 5000, "0x" + "f" * 9000, HUGE, "{", "\udcff", "5\nb = 6", "1979-05-27"]
OVERRIDES |= {f"objective.beta={value}": r"\[objective\] vae: beta must be a valid number" for value in ODD}


@pytest.mark.parametrize(("override", "message"), OVERRIDES.items(), ids=range(len(OVERRIDES)))
def test_a_mistake_in_an_override_is_one_short_line(written, override, message):
    with pytest.raises(UserError, match=message) as refused:
        experiment.read(written(""), [override])
    assert len(str(refused.value)) < 400 and str(refused.value).isprintable()


def test_a_file_that_is_not_text_or_is_none_is_refused(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe[\x00")
    with pytest.raises(UserError, match="mine.toml is not valid TOML: 'utf-8' codec can't decode byte 0xff"):
        experiment.read(tmp_path / "mine.toml")
    with pytest.raises(UserError, match="no experiment file or name /dev/zero"):
        experiment.read("/dev/zero")


@pytest.mark.parametrize(
    ("overrides", "side", "message"),
    [
        (["task.name=downscale", "task.factor=3"], 28, "task.factor must divide the sides of the images, 28x28 pixels"),
        (["training.batch=101"], 28, "100 training images are fewer than a batch of 101; add some, or lower training.batch"),
        (["training.batch=1"], 28, "training.batch must be at least the number of devices, 2. Received: 1"),
    ],
)
def test_tables_that_do_not_suit_the_data_are_refused_before_anything_is_built(written, overrides, side, message):
    image_set = types.SimpleNamespace(n_train=100, shape=(side, side, 1))
    with pytest.raises(UserError, match=message):
        fit.check_data(experiment.read(written(""), overrides), image_set, 2)


def test_what_cannot_be_built_is_one_line_that_names_table_and_key(written, monkeypatch):
    halved = written("[encoder]\nname = 'spatial'\nhalvings = 3\n[latent]\nname = 'features'\ndim = 49")
    message = r"sides can be halved 3 times \(encoder.halvings, decoder.doublings\). Received: 28x28; nearest 24x24 or 32x32"
    with pytest.raises(UserError, match=message):
        experiment.read(halved).networks((28, 28, 1))

    labelled = ["condition.name=on_label", "decoder.name=spatial", "decoder.doublings=2", "latent.dim=98"]
    with pytest.raises(UserError, match="must be a multiple of 7x7, the sides of the map. Received: 108"):
        experiment.read(written(""), labelled).networks((28, 28, 1), 10)

    def broken(*arguments, widths: Widths = (8,)):
        keras.layers.Conv2D(1, 9)(keras.Input((4, 4, 1)))

    monkeypatch.setitem(networks.ENCODERS, "conv", broken)
    asked = experiment.read(written(""), ["encoder.widths=[8]"])
    with pytest.raises(UserError, match=r"^\[encoder\] name = 'conv', widths = \[8\] cannot be built: \S.{20,200}$") as refused:
        asked.networks((16, 16, 1))
    assert str(refused.value).isprintable()


def test_experiments_go_by_name_in_any_folder_and_a_near_name_is_proposed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert experiment.read("vae").tables == experiment.read(VAE).tables
    for wrong in ("vae_mnits", "experiments/vae_mnits.toml", "vae_mnits.toml"):
        with pytest.raises(UserError, match=f"no experiment file or name {wrong}; did you mean vae_mnist"):
            experiment.read(wrong)
    with pytest.raises(UserError, match="no experiment file or name zzz; keras-ae train --list shows the names"):
        experiment.read("zzz")
    # a folder of that name is no file, a file of the user comes first
    (tmp_path / "vae").mkdir()
    (tmp_path / "ae.toml").write_text("[latent]\ndim = 3\n")
    assert experiment.read("vae").latent_dim == 128
    assert experiment.read("ae.toml").latent_dim == 3


def test_the_seed_alone_decides_the_weights_and_nothing_of_the_process_changes(written):
    asked = experiment.read(written(""), [*SMALL, "training.precision=mixed_bfloat16"])
    random.seed(1)
    first = asked.model((16, 16, 3), 10)[0].get_weights()
    random.seed(2)
    keras.utils.set_random_seed(3)
    before = random.getstate(), np.random.get_state()[1].tolist(), keras.config.dtype_policy().name
    second = asked.model((16, 16, 3), 10)[0].get_weights()
    assert (random.getstate(), np.random.get_state()[1].tolist(), keras.config.dtype_policy().name) == before
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    other = experiment.read(written(""), [*SMALL, "training.seed=1"]).model((16, 16, 3), 10)[0].get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_networks_built_in_low_precision_give_float32_codes_and_images(written):
    encoder, decoder = experiment.read(written("")).networks((16, 16, 3), precision="mixed_bfloat16")
    codes = encoder(tf.zeros((1, 16, 16, 3)))
    assert codes["z_mean"].dtype == tf.float32
    assert decoder(codes["z_mean"]).dtype == tf.float32


def test_every_number_has_bounds_and_every_list_a_longest():
    """A number without an upper bound is one that a typing mistake turns into hours or gigabytes."""
    tables = [experiment.table_of(function) for choices, _ in experiment.CHOICES.values() for function in choices.values()]
    for table in [*tables, *experiment.SINGLE.values()]:
        schema = table.model_json_schema()
        for definition in (schema, *schema.get("$defs", {}).values()):
            for key, described in definition.get("properties", {}).items():
                for one in described.get("anyOf", [described]):
                    number = one.get("items", one)
                    if number.get("type") in ("integer", "number"):
                        assert {"minimum", "exclusiveMinimum"} & set(number), (table, key)
                        assert {"maximum", "exclusiveMaximum"} & set(number), (table, key)
                    assert one.get("type") != "array" or "maxItems" in one, (table, key)


def test_the_second_stage_keeps_the_meaning_of_the_first_stage_s_numbers(written):
    overrides = [*SMALL, "objective.beta=4.0", "training.precision=float32"]
    asked = experiment.read(written(""), overrides)
    model, _ = asked.model((16, 16, 3), 10)
    second = asked.refined(model.encoder, model.decoder, mixture.Normal(5), 10)
    images = np.random.default_rng(0).uniform(-1, 1, (64, 16, 16, 3)).astype("float32")
    first, second = (stage.evaluate(images, verbose=0, return_dict=True) for stage in (model, second))
    for name in ("loss", "neg_elbo", "reconstruction", "kl"):
        assert second[name] == pytest.approx(first[name], rel=2e-2), name


# fewer images than [small_data] names


def test_many_images_and_files_without_the_table_are_trained_as_written(written):
    for asked, n_train in [(experiment.read(VAE), many) for many in MANY] + [(experiment.read(written("")), 36)]:
        assert asked.adapt(n_train) == (asked, None)


def test_few_images_get_more_epochs_smaller_batches_and_a_smaller_code():
    adapted, line = experiment.read(VAE).adapt(269)
    assert line == (
        "269 training images are few: latent.dim=64, data.shift=3, data.scale=0.08, data.rotation=8, training.batch=16, "
        "training.epochs=94, refinement.epochs=0 ([small_data]; --set keeps yours)"
    )
    training, data = adapted.training, adapted.data
    assert (training.batch, training.epochs, adapted.latent_dim, adapted.second_stage.epochs) == (16, 94, 64, 0)
    assert (data.shift, data.scale, data.rotation, data.flip) == (3, 0.08, 8, True)
    # an epoch has eight steps, at least: each ends with a look at the held-out images, and is saved
    assert experiment.read(VAE).adapt(40)[0].training.batch == 5


@pytest.mark.parametrize("n_train", [1000, 1999])
def test_the_second_stage_needs_a_number_of_images_and_then_of_steps(n_train):
    second = experiment.read(VAE).adapt(n_train)[0].second_stage
    assert second.epochs >= 6
    assert 600 <= second.epochs * (n_train // second.batch) < 720
    assert experiment.read(VAE).adapt(999)[0].second_stage.epochs == 0
    # a file without a second stage gets none
    assert experiment.read(VAE, ["refinement.epochs=0"]).adapt(n_train)[0].second_stage.epochs == 0


def test_what_the_user_sets_stays():
    given = ["training.batch=8", "training.epochs=3", "latent.dim=100", "data.rotation=0", "refinement.epochs=2"]
    adapted, line = experiment.read(VAE, given).adapt(36)
    assert (adapted.training.batch, adapted.training.epochs, adapted.latent_dim) == (8, 3, 100)
    assert (adapted.data.rotation, adapted.second_stage.epochs) == (0, 2)
    assert not any(value.split("=")[0] in line for value in given)


@pytest.mark.parametrize("n_train", [269, *MANY])
def test_a_start_from_an_export_keeps_its_code_and_takes_400_steps_at_a_lower_rate(n_train):
    adapted, line = experiment.read(VAE, ["training.start_from=exported/cats"]).adapt(n_train)
    assert adapted.latent_dim == 128
    assert adapted.tables["schedule"]["learning_rate"] == 0.0005
    steps = n_train // adapted.training.batch
    assert 400 <= adapted.training.epochs * steps < 400 + steps
    # at any size, or its images would lose their sharpness
    steps = n_train // adapted.second_stage.batch
    assert 1400 <= adapted.second_stage.epochs * steps < 1400 + steps
    assert "training starts from exported/cats" in line
