"""Exports: what is written, what is read by both runtimes, and what other programs can rely on."""

import json
import os
import shutil
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import CATS, rewrite

from keras_ae import export, files
from keras_ae.errors import UserError
from keras_ae.exports import load, save
from keras_ae.exports.card import readme
from keras_ae.exports.load import Exported
from keras_ae.images import pictures
from keras_ae.models import latents, networks
from keras_ae.models.vae import VAE
from keras_ae.priors.flow import Flow, velocity_network
from keras_ae.priors.mixture import Mixture

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(-1, 1, (5, 16, 16, 3)).astype("float32")
PIXELS = RANDOM.integers(0, 256, (40, 16, 16, 3), "uint8")
RUNTIMES = ("tensorflow", "onnx")


def conv_networks(shape, dim, classes=0):
    """A pair of small networks with random weights in every layer, the same in all processes of a parallel run."""
    random = np.random.default_rng(1)

    def make_encoder(latent, planes):
        return networks.conv_encoder((*shape[:2], shape[2] + planes), latent, widths=[8])

    def make_decoder(latent_dim):
        return networks.conv_decoder(shape, latent_dim, widths=[8])

    make = networks.on_label if classes else networks.unconditional
    pair = make(make_encoder, make_decoder, latents.Gaussian(dim), classes)
    for network in pair:
        network.set_weights([random.normal(size=weights.shape, scale=0.2) for weights in network.get_weights()])
    return pair


def small_vae(classes=0):
    return VAE(*conv_networks((16, 16, 3), 4, classes), "laplace")


@pytest.fixture(scope="session")
def pair():
    return conv_networks((16, 16, 3), 6)


@pytest.fixture(scope="session")
def made(pair, once):
    """An export of a VAE for images (16, 16, 3)."""
    card = {"experiment": "made", "held_out": {"psnr": 20.0, "l1": 0.1}, "versions": files.versions()}
    codes = RANDOM.normal(size=(200, 6))
    return once("saved", lambda out: save.write(out / "made", *pair, Mixture.fit(codes, components=[2]), card)) / "made"


@pytest.fixture(scope="session")
def conditional(once, portable_files):
    """An export of a conditional VAE for images (8, 8, 1) with the classes a, b, c, and a flow as prior."""

    def make(out):
        weights = RANDOM.normal(size=velocity_network(3, 16, 1, 3).count_params(), scale=0.3).astype("float16")
        prior = Flow(np.zeros(3, "float32"), np.eye(3, dtype="float32"), 16, 1, 3, weights)
        card = {"experiment": "c", "labels": [*"abc"]}
        save.write(out / "conditional", *conv_networks((8, 8, 1), 3, classes=3), prior, card)

    with portable_files("onnx"):
        return once("labelled", make) / "conditional"


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy")


# what other programs rely on


def test_the_signatures_are_those_of_the_contract(made, pair):
    encoder, decoder, generator = (tf.saved_model.load(str(made / name)) for name in ("encoder", "decoder", "generator"))
    assert set(encoder.signatures) == {"serving_default", "encode_uint8"}
    codes = encoder.signatures["serving_default"](images=tf.constant(IMAGES))
    assert set(codes) == {"z", "z_mean", "z_log_var"}
    np.testing.assert_array_equal(codes["z"], codes["z_mean"])
    np.testing.assert_allclose(codes["z"], pair[0](IMAGES)["z_mean"], atol=1e-4)
    assert set(decoder.signatures) == {"serving_default", "decode_uint8"}
    rebuilt = decoder.signatures["serving_default"](z=codes["z"])["images"]
    np.testing.assert_allclose(rebuilt, pair[1](codes["z"]), atol=1e-4)
    pixels = decoder.signatures["decode_uint8"](z=codes["z"])["images"]
    assert (rebuilt.dtype, pixels.dtype) == (tf.float32, tf.uint8)
    np.testing.assert_array_equal(pixels, pictures.to_uint8(rebuilt.numpy()))
    assert set(generator.signatures) == {"serving_default", "fitted", "normal"}
    arguments = {"seed": tf.constant(1), "temperature": tf.constant(1.0)}
    drawn = generator.signatures["serving_default"](n=tf.constant(3), **arguments)
    assert (drawn["images"].dtype, drawn["images"].shape) == (tf.uint8, (3, 16, 16, 3))
    assert (drawn["z"].dtype, drawn["z"].shape) == (tf.float32, (3, 6))
    # one image alone is computed by other kernels, which could round in another way
    alone = generator.signatures["serving_default"](n=tf.constant(1), **arguments)
    np.testing.assert_array_equal(alone["images"][0], drawn["images"][0])


def test_a_conditional_export_takes_labels_everywhere(conditional):
    label = tf.constant([0, 2])
    encoder, decoder, generator = (tf.saved_model.load(str(conditional / name)) for name in ("encoder", "decoder", "generator"))
    assert encoder.signatures["serving_default"](images=tf.zeros((2, 8, 8, 1)), label=label)["z_mean"].shape == (2, 3)
    assert encoder.signatures["encode_uint8"](images=tf.zeros((2, 30, 20, 1), tf.uint8), label=label)["z"].shape == (2, 3)
    drawn = decoder.signatures["serving_default"](z=tf.zeros((2, 3)), label=label)["images"]
    assert np.any(drawn[0] != drawn[1])
    arguments = {"n": tf.constant(2), "seed": tf.constant(0), "temperature": tf.constant(1.0)}
    both = generator.signatures["serving_default"](label=label, **arguments)
    one = generator.signatures["serving_default"](label=tf.constant([2]), **arguments)
    np.testing.assert_allclose(both["images"][1].numpy().astype(int), one["images"][1], atol=1)
    assert "`label` int32 (batch,) too: 0 a, 1 b, 2 c" in (conditional / "README.md").read_text()


def test_every_savedmodel_is_a_layer_of_keras(made, conditional):
    def layer(folder, name):
        return keras.layers.TFSMLayer(str(folder / name))

    counts = {"n": tf.constant(3), "seed": tf.constant(1), "temperature": tf.constant(1.0)}
    model, codes = Exported(made), layer(made, "encoder")(IMAGES)
    np.testing.assert_allclose(codes["z"], model.encode(IMAGES), atol=1e-5)
    np.testing.assert_allclose(layer(made, "decoder")(codes["z"])["images"], model.reconstruct(IMAGES), atol=1e-5)
    np.testing.assert_array_equal(layer(made, "generator")(counts)["images"], model.generate(3, seed=1)[0])
    label = tf.constant([0, 2])
    assert layer(conditional, "encoder")({"images": tf.zeros((2, 8, 8, 1)), "label": label})["z"].shape == (2, 3)
    assert layer(conditional, "decoder")({"z": tf.zeros((2, 3)), "label": label})["images"].shape == (2, 8, 8, 1)
    assert layer(conditional, "generator")({**counts, "label": label[:1]})["images"].shape == (3, 8, 8, 1)
    # its weights train on
    decoder = layer(made, "decoder")
    with tf.GradientTape() as tape:
        error = tf.reduce_mean(tf.square(decoder(codes["z"])["images"] - IMAGES))
    assert all(gradient is not None for gradient in tape.gradient(error, decoder.trainable_variables))


def test_the_card_and_the_readme_say_what_the_model_is(made, conditional):
    card = json.loads((made / "card.json").read_text())
    assert card["format"] == 1
    assert card["image_shape"] == card["input_shape"] == [16, 16, 3]
    assert (card["latent_dim"], card["code_shape"], card["labels"]) == (6, [6], [])
    assert card["encoder_outputs"] == ["z", "z_mean", "z_log_var"]
    for kind in ("onnx", "litert"):
        assert max(card[kind]["levels_of_difference"].values()) <= 1
    text = (made / "README.md").read_text()
    assert "\n# made\n\n![Sixteen samples](samples.png)" in text
    assert "PSNR 20.00 dB" in text
    assert (made / "samples.png").exists()
    cats = json.loads((CATS / "card.json").read_text())
    assert readme(cats) == (CATS / "README.md").read_text()


# reading


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_any_number_of_images_is_encoded_decoded_and_drawn(made, pair, runtime):
    model = Exported(made, runtime=runtime)
    many = RANDOM.uniform(-1, 1, (150, 16, 16, 3)).astype("float32")
    codes = model.codes(many)
    assert set(codes) == {"z", "z_mean", "z_log_var"}
    # onnx stores weights in float16
    expected = pair[0](many)["z_mean"]
    np.testing.assert_allclose(codes["z"], expected, atol=0.01 * np.std(expected))
    assert np.abs(model.decode(codes["z"]) - pair[1](codes["z"])).max() < 2 / 255
    assert model.codes(many[:0])["z_log_var"].shape == (0, 6)
    np.testing.assert_allclose(model.encode(PIXELS), model.encode(PIXELS / np.float32(127.5) - 1), atol=1e-4)
    whole, z = model.generate(150, seed=4, prior="normal")
    pieces = [model.generate(n, seed=4, prior="normal", first=first)[0] for first, n in ((0, 3), (3, 146), (149, 1))]
    assert np.abs(np.concatenate(pieces).astype(int) - whole).max() <= 1
    assert len(np.unique(z, axis=0)) == 150
    assert model.generate(0)[0].shape == (0, 16, 16, 3)
    assert not np.array_equal(model.generate(4)[0], model.generate(4, temperature=0.5)[0])


@pytest.mark.parametrize("name", ["made", "conditional", "cats"])
def test_a_seed_draws_the_same_picture_in_both_runtimes(request, name):
    folder = CATS if name == "cats" else request.getfixturevalue(name)
    ours, theirs = (Exported(folder, runtime=runtime) for runtime in RUNTIMES)
    for prior in ("fitted", "normal"):
        (pixels, z), (again, same) = (model.generate(20, 5, 0.9, prior, first=7) for model in (ours, theirs))
        assert np.abs(pixels.astype(int) - again).max() <= 1
        np.testing.assert_allclose(same, z, atol=1e-3)


def test_the_shipped_model_is_small_and_draws_cats():
    assert sum(path.stat().st_size for path in CATS.rglob("*") if path.is_file()) <= 45e6
    model = Exported(CATS)
    assert (model.code_shape, model.task, model.labels) == ((128,), "identity", ()) and model.flow is not None
    drawn, _ = model.generate(16)
    # neither grey nor all alike
    assert drawn.std(axis=(1, 2, 3)).min() > 15
    assert drawn.astype(float).std(axis=0).mean() > 20
    samples = np.asarray(pictures.Image.open(CATS / "samples.png")).astype(int)
    assert np.abs(pictures.grid(drawn, 4).astype(int) - samples).max() <= 1


def test_a_walk_through_draws_of_the_shipped_model_is_even_closed_and_as_likely_as_they_are():
    model = Exported(CATS, runtime="onnx")
    z = model.generate(3)[1]
    codes = model.walk(z, 61)
    images = model.decode(codes).reshape(61, -1)
    steps = np.linalg.norm(np.diff(images, axis=0), axis=1)
    assert steps.max() < 1.5 * steps.mean()
    np.testing.assert_allclose(codes[-1], codes[0], atol=1e-5)
    lengths = np.linalg.norm(model.flow.trace(codes), axis=1)
    assert 0.9 * 128**0.5 < lengths.min() and lengths.max() < 1.1 * 128**0.5
    # every code that was asked for is on the way
    nearest = np.linalg.norm(codes[:, None] - z, axis=-1).min(axis=0)
    assert nearest.max() < np.linalg.norm(np.diff(codes, axis=0), axis=1).max()


def test_refined_codes_rebuild_images_better(made):
    model = Exported(made, runtime="onnx")
    z = model.encode(IMAGES)
    better = model.refine(IMAGES, z, 10)

    def errors(codes):
        return np.square(model.decode(codes) - IMAGES).mean(axis=(1, 2, 3))

    assert (errors(better) <= errors(z) + 1e-6).all()
    assert errors(better).mean() < errors(z).mean()
    np.testing.assert_allclose(model.refine(IMAGES[2:3], z[2:3], 10), better[2:3], atol=1e-4)
    assert model.refine(IMAGES, z, 0) is z
    # nothing to see, or a strong pull: codes stay where they begin
    held = model.refine(IMAGES, z, 10, pull=1e6 * np.eye(z.shape[1]))
    np.testing.assert_array_equal(model.refine(IMAGES, z, 10, visible=0.0), z)
    assert np.abs(held - z).max() < np.abs(better - z).max() / 10


def test_a_label_is_given_by_name_by_number_or_for_each_image(conditional, made):
    images = RANDOM.uniform(-1, 1, (4, 8, 8, 1)).astype("float32")
    model, second = Exported(conditional), Exported(conditional, label="b")
    np.testing.assert_array_equal(second.encode(images), model.encode(images, [1, 1, 1, 1]))
    np.testing.assert_array_equal(second.encode(images), Exported(conditional, label=1).encode(images))
    assert second.interpolate(images[0], images[1], steps=4).shape == (4, 8, 8, 1)
    # in turn where none is given
    np.testing.assert_array_equal(model.generate(2, first=1)[0][0], second.generate(2, first=1)[0][0])
    for wrong, message in (
        (lambda: model.encode(images), "is conditional; name a class with `label`: a, b, c"),
        (lambda: model.decode(np.zeros((2, 3)), [3, 0]), "have the numbers 0 to 2. Received: 3"),
        (lambda: Exported(conditional, label=10), "unknown label '10'; choose one of 0 a, 1 b"),
        (lambda: Exported(made, label=1), "is not conditional; leave out `label`"),
    ):
        with pytest.raises(UserError, match=message):
            wrong()


def test_a_number_that_is_the_name_of_another_class_is_refused(conditional, monkeypatch):
    model = Exported(conditional)
    monkeypatch.setattr(model, "labels", ("0", "2", "10"))
    assert [model._number_of(label) for label in (0, "2", "10", "1")] == [0, 1, 2, 1]
    with pytest.raises(
        UserError, match="^`label` = 2 could be the class named '2', which has the number 1; give the name as text$"
    ):
        model._number_of(2)


def test_sub_folders_name_the_classes_of_a_conditional_model(conditional, made, monkeypatch):
    model = Exported(conditional)
    assert model.labels_of(["in/a/1.png", "in/c/deep/2.png"], "in").tolist() == [0, 2]
    assert Exported(conditional, label=2).labels_of(["in/a/1.png", "2.png"]).tolist() == [2, 2]
    assert Exported(made).labels_of(["in/a/1.png"], "in") is None
    latin = os.fsdecode(b"chat\xe9")
    monkeypatch.setattr(model, "labels", ("a", pictures.printable(latin)))
    assert model.labels_of([f"in/{latin}/1.png", "in/a/1.png"], "in").tolist() == [1, 0]
    with pytest.raises(UserError, match=r"in/cat/1.png is in the sub-folder 'cat', which is not one of its classes"):
        model.labels_of(["in/a/1.png", "in/cat/1.png"], "in")
    with pytest.raises(UserError, match=r"in/1.png has no class; name a class with `label`, or sort the files into"):
        model.labels_of(["in/1.png"], "in")


def test_inputs_that_do_not_fit_are_refused_with_what_would(made):
    model = Exported(made)
    for wrong, message in (
        (lambda: model.encode(IMAGES[0]), r"takes images of shape \(n, 16, 16, 3\)\. Received: \(16, 16, 3\)"),
        (lambda: model.encode(np.linspace(0, 255, 768).reshape(1, 16, 16, 3)), r"floats in \[-1, 1\]\. Received: float64"),
        (lambda: model.decode(np.zeros((1, 7))), r"takes codes of shape \(n, 6\)\. Received: \(1, 7\)"),
        (lambda: model.generate(1, prior="mixture"), "unknown prior 'mixture'; choose fitted or normal"),
    ):
        with pytest.raises(UserError, match=message):
            wrong()


@pytest.mark.parametrize(
    ("file", "runtime", "message"),
    [
        ("decoder/saved_model.pb", "tensorflow", "decoder is not a SavedModel that loads"),
        ("generator/variables/variables.index", "tensorflow", "generator is not a SavedModel that loads"),
        ("onnx/decoder.onnx", "onnx", "decoder.onnx is not an ONNX file that loads"),
        ("onnx/prior.npz", "onnx", "prior.npz cannot be read"),
    ],
)
def test_damaged_files_are_one_line(copy, file, runtime, message):
    whole = (copy / file).read_bytes()
    for damage in (b"", whole[: len(whole) // 2]):
        (copy / file).write_bytes(damage)
        with pytest.raises(UserError, match=message):
            model = Exported(copy, runtime=runtime)
            model.generate(2)
            model.decode(np.zeros((1, 6)))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    "values", [{"latent_dim": 5, "code_shape": [5]}, {"input_shape": [8, 8, 3]}], ids=lambda values: next(iter(values))
)
def test_a_card_that_contradicts_its_networks_is_one_line(copy, values, runtime):
    rewrite(copy, **values)
    model = Exported(copy, runtime=runtime)
    with pytest.raises(UserError, match="card.json |takes codes of shape"):
        model.reconstruct(np.zeros((1, *model.input_shape), "uint8"))


def test_what_is_no_export_says_what_it_is(copy, run, tmp_path):
    with pytest.raises(UserError, match="no export at nowhere: no such folder"):
        Exported("nowhere")
    with pytest.raises(UserError, match="is a run, not an export"):
        Exported(run)
    with pytest.raises(UserError, match="is not an export: it has no card.json"):
        Exported(tmp_path)
    shutil.rmtree(copy / "onnx")
    with pytest.raises(UserError, match="has no onnx/decoder.onnx"):
        Exported(copy, runtime="onnx")
    assert isinstance(Exported(copy, runtime="auto")._runtime, load.TensorFlow)
    assert Exported(copy, runtime="auto").generate(2)[0].shape == (2, 16, 16, 3)


def test_onnx_files_and_a_card_are_enough(copy, monkeypatch):
    for name in ("encoder", "decoder", "generator", "litert"):
        shutil.rmtree(copy / name)
    model = Exported(copy, runtime="auto")
    assert model.reconstruct(model.generate(3)[0]).shape == (3, *model.shape)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match="onnxruntime"):
        Exported(copy, runtime="onnx")


# writing


def test_a_model_trained_in_python_is_exported_with_what_is_known_of_it(tmp_path, not_portable):
    vae = small_vae()
    model = save.save(vae, tmp_path / "mine", PIXELS, labels=np.arange(40) % 3)
    np.testing.assert_allclose(model.encode(PIXELS), vae.encoder(pictures.to_float(PIXELS))["z_mean"], atol=1e-3)
    # the fitted prior has the mean of the codes; labels of a model that takes none change nothing
    np.testing.assert_allclose(model.generate(1, temperature=0.0)[1][0], model.encode(PIXELS).mean(axis=0), atol=1e-3)
    assert model.card["experiment"] == "mine"
    assert model.card["configuration"]["reconstruction"]["name"] == "laplace"
    assert not {"held_out", "data", "training_seconds"} & set(model.card)


def test_images_labels_and_folders_that_do_not_fit_are_refused_before_the_prior_is_fitted(tmp_path, monkeypatch):
    monkeypatch.setattr(Mixture, "fit", None)
    (tmp_path / "notes.txt").touch()
    conditional = small_vae(classes=3)
    for arguments, message in (
        ((small_vae(), tmp_path / "mine", PIXELS.astype("float32")), r"uint8, or floats in \[-1, 1\]\. Received: float32"),
        ((small_vae(), tmp_path, PIXELS), "notes.txt exists and is not from keras_ae"),
        ((conditional, tmp_path / "mine", PIXELS), "needs `labels`, the class number of each of 40 images. Received: none"),
        (
            (conditional, tmp_path / "mine", PIXELS, np.arange(40) % 4),
            r"the labels must lie in \[0, 2\]. Received: values from 0 to 3",
        ),
        (
            (conditional, tmp_path / "mine", PIXELS, np.arange(40) % 3 - 1),
            r"the labels must lie in \[0, 2\]. Received: values from -1 to 1",
        ),
        ((conditional, tmp_path / "mine", PIXELS, np.array(["cat", "dog"] * 20)), r"class numbers.*text.*np\.unique"),
        ((conditional, tmp_path / "mine", PIXELS, np.arange(40) % 3 * 0.5), "as whole numbers"),
        ((small_vae(), tmp_path / "mine", PIXELS, None, None, 0, "gauss"), "unknown prior 'gauss'; choose one of mixture"),
    ):
        with pytest.raises(ValueError, match=message):
            save.save(*arguments)


def test_images_in_the_order_of_their_classes_are_all_in_the_prior(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Mixture, "fit", classmethod(lambda cls, codes, *_: seen.append(codes) or 1 / 0))
    pixels = np.repeat(np.array([0, 255], "uint8"), 50)[:, None, None, None] * np.ones((1, 16, 16, 3), "uint8")
    with pytest.raises(ZeroDivisionError):
        save.save(small_vae(), tmp_path / "mine", pixels)
    first = np.isclose(seen[0][:20], seen[0][0]).all(axis=1).mean()
    assert 0.2 < first < 0.8


@keras.saving.register_keras_serializable("tests")
class OwnLikelihood:
    """Twice the squared error, with a configuration that is no JSON."""

    def __call__(self, images, reconstructions):
        return 2 * keras.ops.sum(keras.ops.square(images - reconstructions), axis=(1, 2, 3))

    def get_config(self):
        return {"weight": np.float32(2)}


def test_networks_of_mixed_precision_are_exported_in_float32_and_a_likelihood_of_ones_own_is_not_in_the_card(
    tmp_path, not_portable
):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = small_vae()
    finally:
        keras.config.set_dtype_policy("float32")
    model = save.save(VAE(mixed.encoder, mixed.decoder, OwnLikelihood()), tmp_path / "mixed", PIXELS, prior="normal")
    whole = small_vae()
    for network, other in ((whole.encoder, mixed.encoder), (whole.decoder, mixed.decoder)):
        network.set_weights(other.get_weights())
    np.testing.assert_allclose(model.encode(PIXELS), whole.encoder(pictures.to_float(PIXELS))["z_mean"], atol=1e-3)
    z = RANDOM.standard_normal((3, 4), "float32")
    np.testing.assert_allclose(model.decode(z), whole.decoder(z), atol=1e-4)
    assert "reconstruction" not in model.card["configuration"]


def full_disk(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_failed_export_leaves_the_old_one_whole(copy, pair, tmp_path, monkeypatch):
    before = (copy / "card.json").read_bytes()
    monkeypatch.setattr(save, "write_generator", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save.write(copy, *pair, None, {"experiment": "new"})
    assert (copy / "card.json").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} <= {".copy.lock", "copy"}
    with files.lock(tmp_path / ".copy.lock", "busy"), pytest.raises(UserError, match="is being written by another export"):
        save.write(copy, *pair, None, {"experiment": "new"})


def test_unfinished_and_missing_runs_cannot_be_exported(tmp_path, run, fails):
    assert "no run in" in fails(export.main, "--model", tmp_path)
    shutil.copytree(run, tmp_path / "half")
    (tmp_path / "half" / "metrics.json").unlink()
    assert "--resume" in fails(export.main, "--model", tmp_path / "half", "--out", tmp_path / "vae")


def test_a_run_is_exported_with_what_is_known_of_it(exported):
    model = Exported(exported)
    card = model.card
    assert (card["experiment"], card["held_out"]["n"]) == ("tiny", card["data"]["n_test"])
    nats = card["held_out_neg_elbo_nats"]
    assert nats["neg_elbo"] == pytest.approx(nats["reconstruction"] + nats["kl"], rel=1e-4)
    assert {"seed", "versions", "training_seconds", "configuration", "held_out_baseline", "image_range"} <= set(card)
    # paths of the user's machine are private
    assert "directory" not in card["configuration"]["data"]
    assert model.reconstruct(model.generate(2)[0]).shape == (2, 16, 16, 3)
