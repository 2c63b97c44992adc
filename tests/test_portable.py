"""ONNX and LiteRT files: that they compute what the networks do, also networks of a user's own layers."""

import io

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from keras import layers

from keras_ae.exports import portable
from keras_ae.images import pictures
from keras_ae.models.latents import Gaussian, Point
from keras_ae.priors.mixture import Normal

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(-1, 1, (3, 16, 16, 3)).astype("float32")


@keras.saving.register_keras_serializable("tests")
class Squashed(layers.Layer):
    """A layer that no other program knows."""

    def call(self, inputs):
        return keras.ops.arctan(inputs) * keras.ops.mean(inputs, axis=-1, keepdims=True)


OWN = {
    "normalization": [
        *(layers.Conv2D(8, 3, 2, "same"), layers.BatchNormalization(), layers.LeakyReLU(0.2)),
        *(layers.GroupNormalization(4), layers.GroupNormalization(2, scale=False), layers.LayerNormalization()),
    ],
    "sizes": [
        *(layers.Conv2D(4, 3, 2, "valid"), layers.Conv2DTranspose(2, 3, 2, "same", activation="elu")),
        *(layers.UpSampling2D(2), layers.UpSampling2D(2, interpolation="bilinear"), layers.DepthwiseConv2D(3)),
    ],
    "own layer": [layers.Conv2D(4, 3), Squashed(), layers.GlobalAveragePooling2D()],
}


def functional(*stack):
    """A functional model of these layers on images (16, 16, 3), with random weights."""
    model = keras.Sequential([keras.Input((16, 16, 3)), *stack])
    network = keras.Model(model.inputs, model.outputs[0])
    network.set_weights([RANDOM.uniform(0.1, 0.5, weights.shape) for weights in network.get_weights()])
    return network


@pytest.mark.parametrize("stack", OWN.values(), ids=OWN)
def test_networks_of_a_users_own_layers_are_written(tmp_path, stack):
    network = functional(*stack)
    model = portable.name_network(network, ["images"], lambda y: {"y": y})
    portable.write_onnx(portable.use_fast_layers(model), tmp_path / "a.onnx", False, {"made": "here"})
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    assert session.get_modelmeta().custom_metadata_map == {"made": "here"}
    np.testing.assert_allclose(session.run(["y"], {"images": IMAGES})[0], network(IMAGES), rtol=1e-3, atol=1e-4)
    # any number of images, and no weight is stored twice
    assert len(session.run(["y"], {"images": np.repeat(IMAGES, 3, axis=0)})[0]) == 9
    assert (tmp_path / "a.onnx").stat().st_size < 4 * network.count_params() + 20_000


def test_large_weights_are_stored_in_float16(tmp_path):
    network = functional(layers.Conv2D(64, 3), layers.Conv2D(64, 3))
    model = portable.name_network(network, ["images"], lambda y: {"y": y})
    for half in (True, False):
        portable.write_onnx(model, tmp_path / f"{half}.onnx", half, {})
    halved, whole = (onnxruntime.InferenceSession(tmp_path / f"{half}.onnx") for half in (True, False))
    sizes = [(tmp_path / f"{half}.onnx").stat().st_size for half in (True, False)]
    assert sizes[0] < 0.55 * sizes[1]
    (found,), (expected,) = (session.run(["y"], {"images": IMAGES}) for session in (halved, whole))
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.std(expected))


@pytest.mark.parametrize("fit", pictures.FITS)
@pytest.mark.parametrize("shape", [(8, 8, 1), (4, 4, 1), (12, 12, 3), (8, 12, 3), (16, 8, 1)])
def test_pictures_of_any_size_are_resized_as_encode_uint8_and_files_are(tmp_path, shape, fit):
    portable.write_resize(tmp_path / "resize.onnx", shape, fit, {})
    session = onnxruntime.InferenceSession(tmp_path / "resize.onnx")
    for height, width in ((8, 8), (5, 9), (60, 41), (300, 7)):
        pixels = RANDOM.integers(0, 256, (3, height, width, shape[-1]), "uint8")
        found = session.run(["resized"], {"images": pixels})[0]
        # a value that lies between two levels may be rounded either way
        assert np.abs(found - portable.resize(tf.constant(pixels), shape, fit)).max() < 1.01 / 127.5
        encoded = io.BytesIO()
        pictures.to_pillow(pixels[0]).save(encoded, "png")
        of_file = pictures.to_float(pictures.decode(encoded.getvalue(), shape, fit=fit))
        # Pillow clips between its two passes, and first halves what is far too large
        assert np.abs(found[0] - of_file).mean() < 0.06
        side = min(height, width)
        if side == shape[0] == shape[1] and fit == "crop":
            top, left = (height - side) // 2, (width - side) // 2
            middle = pictures.to_float(pixels[:, top : top + side, left : left + side])
            np.testing.assert_allclose(found, middle, atol=1e-6)


def write_own(folder, *stack, steep=1.0):
    """Write the portable files of an encoder that ends in these layers and of a linear decoder; what the card says of them."""
    images = keras.Input((16, 16, 3))
    x = images
    for layer in stack:
        x = layer(x)
    z = keras.Input((4,))
    kernel = keras.initializers.RandomNormal(stddev=steep, seed=0)
    decoder = keras.Model(z, layers.Reshape((16, 16, 3))(layers.Dense(16 * 16 * 3, "tanh", kernel_initializer=kernel)(z)))
    outputs = ["z", "z_mean", "z_log_var"] if "z_log_var" in x else ["z"]
    card = {"experiment": "own", "input_shape": (16, 16, 3), "fit": "crop", "labels": [], "latent_dim": 4}
    models = portable.name_networks(keras.Model(images, x), decoder, Normal(4), outputs)
    return portable.write(folder, models, Normal(4), card)


def test_weights_stay_in_float32_where_float16_would_change_pictures(tmp_path):
    about = write_own(tmp_path, layers.Flatten(), Point(4), steep=10)
    for kind in ("onnx", "litert"):
        assert about[kind]["weights"] == "float32"
        assert max(about[kind]["levels_of_difference"].values()) <= 1


def test_files_that_cannot_be_written_are_left_out_and_the_card_says_why(tmp_path, monkeypatch):
    def fail(*_):
        raise NotImplementedError("no such operation\nmore lines")

    monkeypatch.setattr(portable, "write_litert_files", fail)
    # tf2onnx has no form of the exact error function
    about = write_own(tmp_path, layers.Activation("gelu"), layers.Flatten(), Point(4))
    assert about == {"onnx": {"missing": "no ONNX form of Erfc"}, "litert": {"missing": "no such operation"}}
    assert not list(tmp_path.iterdir())


def test_files_that_differ_from_the_networks_are_not_exported(tmp_path, monkeypatch, portable_files):
    written = portable.write_onnx

    def write_other(model, path, half, document):
        model.set_weights([-weights for weights in model.get_weights()])
        written(model, path, half, document)

    monkeypatch.setattr(portable, "write_onnx", write_other)
    with portable_files("onnx"):
        about = write_own(tmp_path, layers.Flatten(), Point(4))
    assert about["onnx"]["missing"].startswith("pictures differ from those of the networks, in levels of 255 by")
    assert not (tmp_path / "onnx").exists()


def test_litert_files_have_the_names_of_the_contract(tmp_path, portable_files):
    with portable_files("litert"):
        assert "weights" in write_own(tmp_path, layers.Flatten(), Gaussian(4))["litert"]
    decoder, encoder = (tf.lite.Interpreter(str(tmp_path / "litert" / f"{name}.tflite")) for name in ("decoder", "encoder"))
    assert decoder.get_signature_list() == {"serving_default": {"inputs": ["z"], "outputs": ["images"]}}
    signature = encoder.get_signature_list()["serving_default"]
    assert (signature["inputs"], set(signature["outputs"])) == (["images"], {"z", "z_mean", "z_log_var"})
