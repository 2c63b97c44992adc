"""What people do elsewhere, tried here: it is right, or refused in one line. Some threads: docs/reliability.md."""

import shutil
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import Batches, process

import keras_ae
from keras_ae import files
from keras_ae.errors import UserError
from keras_ae.exports import save
from keras_ae.models.latents import Gaussian, Point
from keras_ae.models.networks import conv_decoder, conv_encoder, on_label
from keras_ae.models.vae import VAE

SHAPE = (8, 8, 1)
IMAGES = np.random.default_rng(0).uniform(-0.9, 0.9, (16, *SHAPE)).astype("float32")
PIXELS = (IMAGES + 1) * 127.5


def pair(latent=None, shape=SHAPE, dim=2):
    """An encoder of images (8, 8, 1) to two numbers and a decoder; others do not fit each other."""
    return conv_encoder(SHAPE, latent or Gaussian(2), widths=[4]), conv_decoder(shape, dim, widths=[4])


def built(latent=None, reconstruction="gaussian", **settings):
    model = VAE(*pair(latent), reconstruction)
    model.compile(**settings)
    return model


# where it does not matter whether a step is a graph: tracing one takes longer than to train
EAGER = {"run_eagerly": True}


@pytest.fixture(scope="module")
def model():
    return built()


FORMS = {
    "array": lambda images: images,
    "tensor": tf.constant,
    "dataset": lambda images: tf.data.Dataset.from_tensor_slices(images).batch(8),
    "PyDataset": lambda images: Batches([images[:8], images[8:]]),
    "dict": lambda images: {"images": images},
    "dataset of dicts": lambda images: tf.data.Dataset.from_tensor_slices({"image": images}).batch(8),
    "generator": lambda images: ((images[first : first + 8],) for first in (0, 8)),
}
RANGES = {
    "8 bits": (PIXELS, "values from 1.* to 2.*; scale them with images / 127.5 - 1"),
    "16 bits": (PIXELS * 257, "scale them with images / 32767.5 - 1"),
    "NaN": (np.where(IMAGES > 0.5, np.nan, IMAGES), "values from nan to nan; .*nan_to_num"),
    "infinite": (np.where(IMAGES > 0.5, np.inf, IMAGES), "must lie in"),
    "noise": (IMAGES * 2, "np.clip"),
}


def refused(call, message, kind=(ValueError, TypeError)):
    with pytest.raises(kind, match=message) as caught:
        call()
    text = str(caught.value)
    assert len(text.splitlines()) == 1, text
    assert len(text) < 300, text


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
@pytest.mark.parametrize("form", FORMS)
def test_the_range_of_images_is_checked_in_every_form(model, form, method):
    options = {"steps": 2} if form == "generator" and method != "fit" else {}
    for kind in RANGES if form == "array" else ("8 bits", "NaN"):
        pixels, message = RANGES[kind]
        refused(lambda pixels=pixels: getattr(model, method)(FORMS[form](pixels), verbose=0, **options), message)
    # the same model takes right images afterwards
    getattr(model, method)(FORMS[form](IMAGES), verbose=0, **options)


@pytest.mark.parametrize("settings", [EAGER, {"steps_per_execution": 2}], ids=str)
def test_the_range_is_checked_however_keras_computes(settings):
    model = built(**settings)
    for method in ("fit", "predict"):
        with pytest.raises(ValueError, match=r"scale them with images / 127.5 - 1"):
            getattr(model, method)(PIXELS, verbose=0)


def test_xla_leaves_assertions_out_so_that_its_first_results_are_looked_at():
    pixels, flat, Dense = layers_on()
    # convolutions take XLA seconds
    model = VAE(keras.Model(pixels, {"z_mean": Dense(2)(flat)}), sequential_decoder(), "gaussian")
    model.compile(jit_compile=True)
    for method in ("evaluate", "predict", "fit"):
        # later batches give NaN instead of a plausible number
        refused(lambda method=method: getattr(model, method)(PIXELS, batch_size=16, verbose=0), r"images / 127.5 - 1")
        # weights that were trained on such images would be no numbers
        if method != "fit":
            getattr(model, method)(IMAGES, batch_size=16, verbose=0)


def test_images_that_all_lie_in_0_to_1_give_one_warning():
    model = built()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for form in ("dataset", "array"):
            model.fit(FORMS[form](np.abs(IMAGES)), epochs=2, verbose=0)
        built(**EAGER).fit(IMAGES, verbose=0)
    (line,) = (str(one.message) for one in caught if "all images" in str(one.message))
    assert "lie in [0, 1]" in line and line.endswith("images * 2 - 1")


def test_weights_of_both_shapes_mean_the_same():
    # points are not drawn, so that a model evaluates the same twice
    model = built(Point(2), **EAGER)
    images = np.concatenate([np.full((8, *SHAPE), 0.9, "float32"), np.full((8, *SHAPE), -0.01, "float32")])
    weights = np.repeat([0.0, 1.0], 8).astype("float32")
    errors = []
    for shape in ((16,), (16, 1)):
        shaped = weights.reshape(shape)
        dataset = tf.data.Dataset.from_tensor_slices((images, images, shaped)).batch(16)
        for given in ({"x": images, "y": images, "sample_weight": shaped, "batch_size": 16}, {"x": dataset}):
            errors.append(model.evaluate(**given, verbose=0, return_dict=True)["mse"])
    np.testing.assert_allclose(errors, errors[0], rtol=1e-5)
    # only the dark half counts, which an untrained decoder draws as grey, too
    fitted = model.fit(images, images, sample_weight=weights[:, None], batch_size=16, verbose=0).history["mse"][0]
    assert fitted == pytest.approx(errors[0], rel=1e-5) and fitted < 0.01


@pytest.mark.parametrize("likelihood", ["gaussian", "laplace", "gaussian_optimal_variance"])
def test_examples_of_weight_0_do_not_count(likelihood):
    model = built(Point(2), likelihood, **EAGER)
    junk = np.concatenate([IMAGES[:8], np.sign(IMAGES[8:])])
    weights = np.repeat([2.0, 0.0], 8)
    options = {"batch_size": 16, "verbose": 0, "return_dict": True}
    weighted = model.evaluate(junk, junk, sample_weight=weights, **options)["reconstruction"]
    assert weighted == pytest.approx(model.evaluate(IMAGES[:8], **options)["reconstruction"], rel=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "tanh", None])
def test_a_decoder_without_values_below_0_gives_a_warning(activation):
    layers = keras.layers
    decoder = keras.Sequential([keras.Input((2,)), layers.Dense(64), layers.Reshape(SHAPE), layers.Activation(activation)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        VAE(pair()[0], decoder)
    found = [str(one.message) for one in caught if "end it in tanh" in str(one.message)]
    assert len(found) == (activation in ("sigmoid", "relu"))


@pytest.fixture
def keras_settings():
    settings = keras.config
    before = settings.floatx(), settings.image_data_format(), settings.dtype_policy()
    yield settings
    settings.set_floatx(before[0]), settings.set_image_data_format(before[1]), settings.set_dtype_policy(before[2])


@pytest.mark.parametrize("floatx", ["float16", "float64"])
def test_floatx_of_keras_does_not_matter(floatx, keras_settings):
    keras_settings.set_floatx(floatx)
    assert np.isfinite(built(**EAGER).fit(IMAGES, verbose=0).history["loss"][0])


def test_channels_first_in_keras_is_refused(keras_settings):
    keras_settings.set_image_data_format("channels_first")
    encoder, decoder = (keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]) for _ in range(2))
    refused(lambda: VAE(encoder, decoder), "channels last.*keras.json")


def test_networks_of_float16_scale_the_loss_also_after_loading(keras_settings, tmp_path):
    keras_settings.set_dtype_policy("mixed_float16")
    networks = pair()
    keras_settings.set_dtype_policy("float32")
    model = VAE(*networks)
    model.compile(optimizer="adam", **EAGER)
    model.fit(IMAGES, verbose=0)
    model.save(tmp_path / "half.keras")
    again = keras.models.load_model(tmp_path / "half.keras")
    assert type(model.optimizer).__name__ == type(again.optimizer).__name__ == "LossScaleOptimizer"


def test_a_frozen_encoder_stays_frozen_after_loading(tmp_path):
    model = built()
    model.encoder.trainable = False
    model.compile(**EAGER)
    model.fit(IMAGES, verbose=0)
    model.save(tmp_path / "frozen.keras")
    again = keras.models.load_model(tmp_path / "frozen.keras")
    assert len(again.trainable_variables) == len(model.trainable_variables)


LABELS = {
    "none": (None, "a conditional model needs labels"),
    "one-hot": (np.eye(3, dtype="float32")[np.arange(16) % 3], r"np\.argmax\(labels, -1\)"),
    "booleans": (np.arange(16) > 4, "class numbers"),
    "halves": (np.arange(16) % 3 * 0.5, r"must lie in \[0, 2\]"),
    "from 1": (np.arange(16) % 3 + 1, r"must lie in \[0, 2\].* from 1 to 3"),
    "column": ((np.arange(16) % 3)[:, None], None),
    "whole floats": ((np.arange(16) % 3).astype("float64"), None),
}


@pytest.fixture(scope="module")
def conditional():
    encoder, decoder = on_label(
        lambda latent, planes: conv_encoder((8, 8, 1 + planes), latent, widths=[4]),
        lambda latent_dim: conv_decoder(SHAPE, latent_dim, widths=[4]),
        Gaussian(2),
        3,
    )
    model = VAE(encoder, decoder)
    model.compile()
    return model


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_other_kinds(conditional, kind):
    label, message = LABELS[kind]
    batch = {"images": IMAGES} if label is None else {"images": IMAGES, "label": label}
    if message:
        refused(lambda: conditional.fit(batch, verbose=0), message)
    else:
        assert np.isfinite(conditional.fit(batch, verbose=0).history["loss"][0])


def layers_on(shape=SHAPE):
    pixels = keras.Input(shape)
    return pixels, keras.layers.Flatten()(pixels), keras.layers.Dense


def encoders():
    pixels, flat, Dense = layers_on()
    yield "list", keras.Model(pixels, [Dense(2)(flat), Dense(2)(flat)]), True
    yield "list with a draw", keras.Model(pixels, [Dense(2)(flat), Dense(2)(flat), Dense(2)(flat)]), True
    yield "tensor", keras.Model(pixels, Dense(2)(flat)), False
    yield "list of one", keras.Model(pixels, [Dense(2)(flat)]), False
    yield "sequential", keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), Dense(2)]), False
    yield "dict with a draw", keras.Model(pixels, {name: Dense(2)(flat) for name in ("z_mean", "z_log_var", "z")}), True
    yield "dict", keras.Model(pixels, {"z_mean": Dense(2)(flat), "z_log_var": Dense(2)(flat)}), True


def sequential_decoder():
    layers = keras.layers
    return keras.Sequential([keras.Input((2,)), layers.Dense(64, activation="tanh"), layers.Reshape(SHAPE)])


@pytest.mark.parametrize(
    ("name", "encoder", "gaussian"), list(encoders()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_networks_of_other_forms_work(name, encoder, gaussian, tmp_path, not_portable):
    model = VAE(encoder, sequential_decoder(), "gaussian")
    model.compile(**EAGER)
    history = model.fit(IMAGES, epochs=2, verbose=0).history
    assert (history["kl"][0] > 0) is gaussian
    assert model.predict(IMAGES, verbose=0).shape == IMAGES.shape
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0), rtol=1e-5)
    if name == "sequential":
        exported = keras_ae.save(model, tmp_path / "export", IMAGES)
        assert exported.generate(3, seed=0)[0].shape == (3, *SHAPE)


def dict_encoder(**widths):
    pixels, flat, Dense = layers_on()
    return keras.Model(pixels, {name: Dense(width)(flat) for name, width in widths.items()})


def four_outputs():
    pixels, flat, _ = layers_on()
    return keras.Model(pixels, [flat] * 4)


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def weigh(model, *shape):
    return model.fit(IMAGES, IMAGES, sample_weight=np.ones(shape, "float32"), batch_size=8, verbose=0)


def fit_with(reconstruction):
    return built(reconstruction=reconstruction).fit(IMAGES, verbose=0)


losses = keras.losses
WRONG = {
    "weights of pixels": (lambda model: weigh(model, 16, 8, 8), "sample_weight.*one number"),
    "two weights": (lambda model: weigh(model, 16, 2), "sample_weight.*one number"),
    "weights of classes": (lambda model: model.fit(IMAGES, IMAGES, class_weight={0: 1.0}), "class_weight.*sample_weight"),
    "loss": (lambda model: built(loss="mse").fit(IMAGES, IMAGES), "reconstruction"),
    # losses that average are refused by the constructor, likelihoods of another shape by the first step
    "MSE": (lambda model: built(reconstruction=losses.MeanSquaredError()), "MeanSquaredError.*averages.*gaussian"),
    "MAE": (lambda model: built(reconstruction=losses.MeanAbsoluteError(reduction=None)), "MeanAbsoluteError.*laplace"),
    "BCE": (lambda model: built(reconstruction=losses.BinaryCrossentropy()), "BinaryCrossentropy.*bernoulli"),
    "Huber": (lambda model: built(reconstruction=losses.Huber()), "Huber.*gaussian"),
    "unknown": (lambda model: built(reconstruction="mse"), "unknown likelihood 'mse'.*gaussian"),
    "number": (lambda model: built(reconstruction=3), "reconstruction"),
    "of pixels": (lambda model: fit_with(lambda a, b: keras.ops.square(a - b)), r"reconstruction.*\(batch,\)"),
    "of rows": (lambda model: fit_with(losses.mean_squared_error), r"reconstruction.*\(batch,\)"),
    "scalar": (lambda model: fit_with(lambda a, b: keras.ops.mean(keras.ops.square(a - b))), r"reconstruction.*\(batch,\)"),
    "no tensor": (lambda model: fit_with(lambda a, b: 0.0), r"reconstruction.*\(batch,\)"),
    "beta": (lambda model: VAE(*pair(), beta=-1.0), "must be a number from 0"),
    "beta NaN": (lambda model: VAE(*pair(), beta=np.nan), "must be a number from 0"),
    "warm-up": (lambda model: VAE(*pair(), warmup_steps=-5), "must be a number from 0"),
    "correlation": (lambda model: VAE(*pair(), total_correlation=-1.0), "must be a number from 0"),
    # networks
    "codes": (lambda model: VAE(*pair(Gaussian(4), dim=8)), r"\(4,\).*\(8,\)"),
    "images": (lambda model: VAE(*pair(shape=(12, 12, 1))), r"\(8, 8, 1\).*\(12, 12, 1\)"),
    "subclassed encoder": (lambda model: VAE(Subclassed(), sequential_decoder()), "functional"),
    "subclassed decoder": (lambda model: VAE(pair()[0], Subclassed()), "functional"),
    "none": (lambda model: VAE(None, sequential_decoder()), "keras.Model"),
    "other names": (lambda model: VAE(dict_encoder(mean=2, log_var=2), sequential_decoder()), "z_mean.*'mean'"),
    "one variance": (lambda model: VAE(dict_encoder(z_mean=2, z_log_var=1), sequential_decoder()), r"z_mean.*\(None, 1\)"),
    "four outputs": (lambda model: VAE(four_outputs(), sequential_decoder()), "z_mean"),
    "one image": (lambda model: model.predict(IMAGES[0]), r"images\[None\]"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_would_train_something_else_is_refused_in_one_line(model, case):
    call, message = WRONG[case]
    refused(lambda: call(model), message)
    # Keras adds lines to what a call raises
    with pytest.raises(ValueError, match=r"images\[None\]"):
        model(IMAGES[0])


SHAPES = {
    "not batched": (lambda: tf.data.Dataset.from_tensor_slices(IMAGES), r"\.batch\(32\)"),
    "no channel axis": (lambda: IMAGES[..., 0], r"images\[\.\.\., None\]"),
    "list of images": (lambda: list(IMAGES), r"np\.stack"),
    "channels first": (lambda: np.moveaxis(IMAGES, -1, 1), r"np\.moveaxis"),
    "other size": (lambda: np.zeros((4, 16, 16, 1), "float32"), r"\(None, 8, 8, 1\).*\(\w+, 16, 16, 1\)"),
    "three channels": (lambda: np.zeros((4, 8, 8, 3), "float32"), "channels"),
    "labels beside images": (lambda: tf.data.Dataset.from_tensor_slices((IMAGES, np.arange(16))).batch(8), "label"),
    "one-hot labels": (lambda: tf.data.Dataset.from_tensor_slices((IMAGES, np.eye(16, dtype="float32"))).batch(8), "label"),
    "8-bit": (lambda: PIXELS.astype("uint8"), r"images / 127\.5 - 1"),
    "no images": (lambda: {"label": np.zeros(16)}, 'a batch needs "images"'),
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes_get_the_right_advice(model, case):
    make, message = SHAPES[case]
    # whether the graph of a step exists or not
    for tried in (model, built()):
        refused(lambda tried=tried: tried.fit(make(), verbose=0), message)


# exports


@pytest.fixture(scope="module")
def export(model, tmp_path_factory, portable_files):
    with portable_files():
        return keras_ae.save(model, tmp_path_factory.mktemp("exports") / "a [1] {b}", IMAGES)


def test_brackets_in_the_name_of_an_export_are_no_pattern(export):
    assert "[1]" in export.folder.name
    assert export.generate(2)[0].shape == (2, *SHAPE)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda export: export.decode(np.full((1, 2), np.nan)), "codes must be finite"),
        (lambda export: export.decode(np.full((1, 2), np.inf)), "codes must be finite"),
        (lambda export: export.encode(IMAGES * np.nan), "Received: float32 values from nan"),
        (lambda export: export.generate(2.5), "`n` must be a whole number from 0.* 2.5"),
        (lambda export: export.generate(-1), "`n` must be a whole number from 0.* -1"),
        (lambda export: export.generate("2"), "`n` must be a whole number.* '2'"),
        (lambda export: export.generate(2, seed=2**40), "`seed` must be a whole number"),
        (lambda export: export.generate(2, seed=None), "`seed` must be a whole number.* None"),
        (lambda export: export.generate(2, first=-3), "`first` must be a whole number"),
        (lambda export: export.generate(2, temperature=float("nan")), "`temperature` must be a number from 0.* nan"),
        (lambda export: export.generate(2, temperature=-1), "`temperature` must be a number from 0.* -1"),
    ],
)
def test_exports_refuse_what_is_no_number(export, call, message):
    refused(lambda: call(export), message, UserError)
    assert len(export.generate(np.int64(2), seed=2.0, temperature=0)[0]) == 2


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_a_served_signature_refuses_another_rank_instead_of_ending_the_process(export, name):
    serve = tf.saved_model.load(str(export.folder.rename(export.folder.with_name("served"))) + f"/{name}").signatures
    export.folder.with_name("served").rename(export.folder)
    wrong = {"encoder": {"images": tf.zeros((2, 8, 8))}, "decoder": {"z": tf.zeros((2,))}}
    with pytest.raises(tf.errors.InvalidArgumentError, match="not compatible with expected shape"):
        serve["serving_default"](**wrong[name])


def test_save_takes_what_fit_takes():
    pairs = {"list": list, "pairs": lambda images: tf.data.Dataset.from_tensor_slices((images, images)).batch(8)}
    for name, form in (FORMS | pairs).items():
        if name != "generator":
            images, labels = save._arrays(form(IMAGES), None)
            np.testing.assert_array_equal(images, IMAGES)
            assert labels is None
    given = {"images": IMAGES, "label": np.arange(16)}
    for images in (given, tf.data.Dataset.from_tensor_slices(given).batch(5)):
        np.testing.assert_array_equal(save._arrays(images, None)[1], np.arange(16))


def diverged():
    model = built()
    model.encoder.set_weights([np.full_like(array, np.nan) for array in model.encoder.get_weights()])
    return model


@pytest.mark.parametrize(
    ("make", "images", "message"),
    [
        (built, lambda: FORMS["generator"](IMAGES), "an array or a dataset.* a generator"),
        (built, lambda: FORMS["dataset"](IMAGES).repeat(), "must end"),
        (built, lambda: IMAGES[:0], "needs images"),
        (built, lambda: FORMS["dataset"](IMAGES).take(0), "needs images"),
        (built, lambda: IMAGES[..., 0], r"images\[\.\.\., None\]"),
        (built, lambda: FORMS["dataset"](PIXELS), r"floats in \[-1, 1\]"),
        (diverged, lambda: IMAGES, "the codes of 16 of 16 images are not finite"),
    ],
    ids=["generator", "endless", "none", "empty dataset", "no channels", "range", "diverged"],
)
def test_save_refuses_in_one_line(tmp_path, make, images, message):
    refused(lambda: keras_ae.save(make(), tmp_path / "export", images()), message)
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize("suffix", ["keras", "h5", "zip"])
def test_load_of_a_file_says_what_reads_it(tmp_path, suffix):
    (tmp_path / f"v.{suffix}").write_text("weights")
    message = "keras.saving.load_model" if suffix != "zip" else "is a file; keras_ae.load takes the folder"
    refused(lambda: keras_ae.load(tmp_path / f"v.{suffix}"), message, UserError)


def test_the_home_folder_is_expanded(export, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert files.check_output("~/mine", False) == shutil.copytree(export.folder, tmp_path / "mine")
    assert keras_ae.load("~/mine").folder == tmp_path / "mine"
    monkeypatch.setenv("KERAS_AE_CACHE", "~/cache")
    for index in range(30):
        keras.utils.save_img(tmp_path / "mine" / f"{index}.png", np.full((8, 8, 3), index), scale=False)
    keras_ae.load_data("folder", "~/mine", size=8)
    assert (tmp_path / "cache").is_dir() and not (tmp_path / "~").exists()


# pictures and tasks


@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "NaN", "int64 beyond", "negative"])
@pytest.mark.parametrize("function", ["show", "add_noise", "downscale"])
def test_other_ranges_are_neither_shown_nor_clipped(kind, function):
    others = {"int64 beyond": (IMAGES * 300 + 300).astype("int64"), "negative": (IMAGES * 100).astype("int16")}
    images = others[kind] if kind in others else RANGES[kind][0]
    more = [(0, 0)] if function != "show" else []
    refused(lambda: getattr(keras_ae, function)(images, *more), r"floats in \[-1, 1\]", UserError)


def test_whole_numbers_of_8_bits_are_shown(model):
    picture = np.asarray(keras_ae.show(PIXELS.astype("uint8")))
    np.testing.assert_array_equal(np.asarray(keras_ae.show(PIXELS.astype("int64"))), picture)
    np.testing.assert_allclose(
        keras_ae.add_noise(PIXELS.astype("uint8"), (0, 0)), keras_ae.add_noise(IMAGES, (0, 0)), atol=0.01
    )
    # a linear decoder may go a little beyond
    assert keras_ae.show(IMAGES * 1.5).size == keras_ae.show(IMAGES).size


def test_noise_within_a_dataset_checks_the_range(model):
    def noisy(images):
        return keras_ae.add_noise(images, (0, 0)), images

    model.fit(FORMS["dataset"](IMAGES).map(noisy), verbose=0)
    refused(lambda: model.fit(FORMS["dataset"](PIXELS).map(noisy), verbose=0), r"the images must lie in .* images / 127")


def test_a_code_that_carries_nothing_gives_a_warning():
    keras.utils.set_random_seed(0)
    model = VAE(*pair(), "gaussian", beta=1000.0)
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    with pytest.warns(UserWarning, match="codes carry nothing.* lower beta"):
        model.fit(FORMS["dataset"](IMAGES).repeat(40), epochs=2, verbose=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*carry nothing")
        carrying = VAE(*pair(), "gaussian", beta=0.0)
        carrying.compile(optimizer=keras.optimizers.Adam(0.01), **EAGER)
        carrying.fit(IMAGES, epochs=10, verbose=0)
        built(Point(2), **EAGER).fit(IMAGES, verbose=0)


REFUSED = """
import keras_ae
for name in "VAE", "Mixture", "save", "read":
    try:
        getattr(keras_ae, name)
    except ValueError as error:
        print(error)
print(len(keras_ae.load_data("digits")[0][0]) > 1000)
"""


def test_another_backend_of_keras_is_one_line(cache):
    *lines, last = process("-c", REFUSED, env={"KERAS_BACKEND": "torch"}).stdout.splitlines()
    assert len(lines) == 4 and last == "True"
    assert all("Received: torch" in line and '"KERAS_BACKEND"] = "tensorflow"' in line for line in lines)
