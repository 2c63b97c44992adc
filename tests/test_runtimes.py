"""Exports without TensorFlow: ONNX files that compute what the SavedModels do, and commands that use them."""

import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_ae import edit, embed, generate, interpolate, reconstruct, score
from keras_ae.exports import converting, litert, portable, resizing, runtimes, writing
from keras_ae.exports.reading import Exported
from keras_ae.images import pictures
from keras_ae.priors import mixture

RANDOM = np.random.default_rng(0)
KINDS = ("ae", "vae", "cvae", "denoiser", "upscaler")


@pytest.mark.parametrize("name", KINDS)
def test_portable_files_compute_what_the_savedmodels_do(course, name):
    label = "3" if name == "cvae" else None
    ours, theirs = (Exported(course / name, label, runtime) for runtime in ("tensorflow", "onnx"))
    assert (ours.shape, ours.latent_dim) == (theirs.shape, theirs.latent_dim)
    inputs = RANDOM.uniform(-1, 1, (5, *ours.input_shape)).astype("float32")
    expected, found = ours.codes(inputs), theirs.codes(inputs)
    assert list(found) == ours.card["encoder_outputs"]
    for key, values in expected.items():
        # weights are stored in float16
        assert np.abs(found[key] - values).max() < 0.01 * max(1, np.abs(values).max()), key
    z = RANDOM.normal(size=(5, ours.latent_dim)).astype("float32")
    assert np.abs(ours.decode(z) - theirs.decode(z)).max() < 2 / 255
    assert theirs.decode(z[:0]).shape == (0, *ours.shape)


@pytest.mark.parametrize(("name", "channels"), [("vae", 1), ("upscaler", 1), ("colour", 3)])
def test_pictures_of_any_size_are_resized_as_encode_uint8_does(course, tmp_path, name, channels):
    import onnxruntime

    shape = (12, 12, 3) if name == "colour" else tuple(Exported(course / name).input_shape)
    folder = course / name / "onnx"
    if name == "colour":
        resizing.write(folder := tmp_path, shape, {})
    session = onnxruntime.InferenceSession(folder / "resize.onnx")
    for height, width in ((8, 8), (5, 9), (60, 41), (300, 7)):
        pixels = RANDOM.integers(0, 256, (3, height, width, channels), "uint8")
        found = session.run(["resized"], {"images": pixels})[0]
        assert np.abs(found - resizing.resized(tf.constant(pixels), shape)).max() < 1e-5
        side = min(height, width)
        if side == shape[0]:
            top, left = (height - side) // 2, (width - side) // 2
            middle = pictures.to_float(pixels[:, top : top + side, left : left + side])
            np.testing.assert_allclose(found, middle, atol=1e-6)


def test_a_thousand_pictures_differ_by_one_level_at_most_and_pieces_of_a_sequence_fit(course):
    ours, theirs = (Exported(course / "cvae", runtime=runtime) for runtime in ("tensorflow", "onnx"))
    for prior in ("fitted", "normal"):
        (pixels, z), (again, same) = (model.generate(1000, 5, 0.9, prior) for model in (ours, theirs))
        assert np.abs(pixels.astype(int) - again).max() <= 1
        np.testing.assert_allclose(same, z, atol=1e-4)
        piece, _ = theirs.generate(7, 5, 0.9, prior, first=20)
        assert np.array_equal(piece, again[20:27])
    for name in ("cvae", "vae"):
        for runtime in ("tensorflow", "onnx"):
            pixels, z = Exported(course / name, runtime=runtime).generate(0)
            assert (pixels.shape, pixels.dtype, z.dtype) == ((0, 8, 8, 1), "uint8", "float32")
            assert z.shape == (0, 3 if name == "cvae" else 2)


def own_network(*layers):
    """A functional model of these layers on images (16, 16, 3), with random weights."""
    model = keras.Sequential([keras.Input((16, 16, 3)), *layers])
    functional = keras.Model(model.inputs, model.outputs[0])
    functional.set_weights([RANDOM.uniform(0.1, 0.5, weights.shape) for weights in functional.get_weights()])
    return functional


OWN = {
    "normalization": [keras.layers.Conv2D(4, 3, 2, "same"), keras.layers.BatchNormalization(), keras.layers.LeakyReLU(0.2)],
    "odd strides": [keras.layers.Conv2D(4, 3, 2, "valid"), keras.layers.Conv2DTranspose(2, 3, 2, "same", activation="elu")],
    "upsampling": [keras.layers.UpSampling2D(2), keras.layers.UpSampling2D(2, interpolation="bilinear")],
    "layer normalization": [keras.layers.Flatten(), keras.layers.Dense(9, "softplus"), keras.layers.LayerNormalization()],
    "flat kernels": [
        keras.layers.Conv2D(4, (16, 1)),
        keras.layers.Conv2D(5, (1, 4), (1, 2), padding="same", activation="relu"),
        keras.layers.Conv2DTranspose(2, (6, 1), (2, 1), padding="same"),
    ],
    "dense on maps": [keras.layers.Conv2D(4, 3), keras.layers.Dense(5, "relu"), keras.layers.Dense(2)],
    "groups": [keras.layers.Conv2D(6, 3, groups=3, dilation_rate=2), keras.layers.Dropout(0.5), keras.layers.ReLU()],
}


@pytest.mark.parametrize("layers", OWN.values(), ids=OWN)
def test_networks_of_a_users_own_layers_are_written(layers):
    import onnxruntime

    model = own_network(*layers)
    written = converting.written(model, ["images"], {"y": (lambda found: found, model.outputs[0])}, False, {"made": "here"})
    session = onnxruntime.InferenceSession(written)
    assert session.get_modelmeta().custom_metadata_map == {"made": "here"}
    inputs = RANDOM.uniform(-1, 1, (3, 16, 16, 3)).astype("float32")
    np.testing.assert_allclose(session.run(None, {"images": inputs})[0], model(inputs), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("constant", [0.1, np.arange(4) + 1.0, np.arange(24).reshape(6, 4) + 1.0], ids=["0", "1", "2"])
def test_constants_are_broadcast_as_keras_does(constant):
    import onnxruntime

    images_in = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(images_in)
    model = keras.Model(images_in, keras.layers.Conv2D(2, 3)(x * constant + constant))
    written = converting.written(model, ["images"], {"y": (lambda found: found, model.outputs[0])}, False, {})
    inputs = RANDOM.uniform(-1, 1, (3, 6, 6, 3)).astype("float32")
    found = onnxruntime.InferenceSession(written).run(None, {"images": inputs})[0]
    np.testing.assert_allclose(found, model(inputs), rtol=1e-3, atol=1e-4)


def exported_to(folder, encoder):
    decoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16 * 16 * 3), keras.layers.Reshape((16, 16, 3))])
    decoder = keras.Model(decoder.inputs, decoder.outputs[0])
    prior = mixture.Normal(4)
    return writing.write(folder, encoder, decoder, prior, {"experiment": "own"})


def test_an_export_without_onnx_forms_says_why_and_works_otherwise(tmp_path):
    from keras_ae.models.latents import Point

    images_in = keras.Input((16, 16, 3))
    encoder = keras.Model(images_in, Point(4)(keras.layers.Flatten()(keras.layers.GaussianNoise(0.1)(images_in))))
    folder = exported_to(tmp_path / "own", encoder)
    card = json.loads((folder / "card.json").read_text())
    assert "(GaussianNoise) has no ONNX form here" in card["onnx"]["missing"]
    assert not (folder / "onnx").exists()
    assert Exported(folder, runtime="auto").generate(2)[0].shape == (2, 16, 16, 3)


def test_an_export_that_onnxruntime_does_not_run_says_why(tmp_path, monkeypatch):
    from keras_ae.models.latents import Point

    images_in = keras.Input((16, 16, 3))
    encoder = keras.Model(images_in, Point(4)(keras.layers.Flatten()(images_in)))
    # of another rank than a matrix product takes
    monkeypatch.setitem(converting.LAYERS, "Flatten", lambda graph, layer, value, node: value)
    card = json.loads((exported_to(tmp_path / "own", encoder) / "card.json").read_text())
    assert "onnxruntime does not run these networks: " in card["onnx"]["missing"]
    assert not (tmp_path / "own" / "onnx").exists()


def test_files_that_differ_from_the_networks_are_not_exported(tmp_path, monkeypatch):
    from keras_ae.errors import UserError
    from keras_ae.models.latents import Point

    images_in = keras.Input((16, 16, 3))
    encoder = keras.Model(images_in, Point(4)(keras.layers.Flatten()(images_in)))
    before = dict(converting.LAYERS)
    monkeypatch.setitem(converting.LAYERS, "Dense", lambda *given: given[0].add("Neg", [before["Dense"](*given)]))
    with pytest.raises(UserError, match="the ONNX files make pictures that differ"):
        exported_to(tmp_path / "own", encoder)
    assert not (tmp_path / "own").exists()


def test_weights_stay_in_float32_where_float16_would_change_pictures(tmp_path):
    from keras_ae.models.latents import Point

    images = keras.Input((16, 16, 3))
    encoder = keras.Model(images, Point(4)(keras.layers.Flatten()(images)))
    z = keras.Input((4,))
    steep = keras.layers.Dense(16 * 16 * 3, "tanh", kernel_initializer=keras.initializers.RandomNormal(stddev=10, seed=0))(z)
    decoder = keras.Model(z, keras.layers.Reshape((16, 16, 3))(steep))
    folder = writing.write(tmp_path / "own", encoder, decoder, mixture.Normal(4), {"experiment": "own"})
    card = json.loads((folder / "card.json").read_text())
    for kind in ("onnx", "litert"):
        assert card[kind]["weights"] == "float32"
        assert max(card[kind]["levels_of_difference"].values()) <= 1


def test_litert_files_that_differ_do_not_stay_where_others_cannot_be_made(tmp_path, monkeypatch):
    kinds = []

    def converted(folder, half):
        kinds.append(half)
        if not half:
            raise ValueError("no such operation")
        return b"file"

    monkeypatch.setattr(litert, "_converted", converted)
    monkeypatch.setattr(litert, "Interpreted", lambda folder: None)
    monkeypatch.setattr(litert.portable, "differences", lambda *_: {"decoder": 2.0})
    assert litert.write(tmp_path, None, None, None, 0) == {"missing": "no such operation"}
    assert kinds == [True, True, False]
    assert not list(tmp_path.iterdir())


def test_litert_files_have_the_signature_and_are_compared(course):
    card = json.loads((course / "cvae" / "card.json").read_text())
    assert max(card["litert"]["levels_of_difference"].values()) <= 1
    computed = litert.Interpreted(course / "cvae" / "litert")
    z = RANDOM.normal(size=(4, 3)).astype("float32")
    label = np.arange(4, dtype="int32")
    expected = Exported(course / "cvae").decode(z, label)
    assert np.abs(computed.decode(z, label)["images"] - expected).max() < 2 / 255


@pytest.fixture
def copied(course, tmp_path):
    return shutil.copytree(course / "vae", tmp_path / "model")


def test_damaged_and_foreign_files_end_in_one_line(copied, course, tmp_path, fails):
    options = ("--runtime", "onnx", "--n", "2", "--out", tmp_path / "a.png")
    file = copied / "onnx" / "decoder.onnx"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert "onnx/decoder.onnx is damaged" in fails(generate.main, "--model", copied, *options)
    # without a card there are no digests to compare with
    card = (copied / "card.json").read_text()
    (copied / "card.json").unlink()
    assert "onnx/decoder.onnx is not an ONNX file that loads" in fails(generate.main, "--model", copied, *options)
    file.write_bytes((copied / "onnx" / "encoder.onnx").read_bytes())
    assert "onnx/decoder.onnx takes images instead of z" in fails(generate.main, "--model", copied, *options)
    file.write_bytes(whole)
    generate.main(["--model", str(copied), *map(str, options)])
    described = json.loads(card)
    shutil.copy(course / "ae" / "onnx" / "decoder.onnx", file)
    described.pop("files")
    (copied / "card.json").write_text(json.dumps(described | {"latent_dim": 5, "code_shape": [5]}))
    assert "the card says z of shape (5,)" in fails(generate.main, "--model", copied, *options)
    shutil.rmtree(copied / "onnx")
    assert "has no onnx/decoder.onnx" in fails(generate.main, "--model", copied, *options)


def test_onnx_files_and_a_card_are_enough(copied):
    for name in ("encoder", "decoder", "generator", "litert"):
        shutil.rmtree(copied / name)
    model = Exported(copied, runtime="auto")
    assert model.reconstruct(model.generate(3)[0]).shape == (3, *model.shape)


def test_without_onnxruntime_tensorflow_computes(course, tmp_path, monkeypatch, fails):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    line = fails(generate.main, "--model", course / "vae", "--runtime", "onnx", "--out", tmp_path / "a.png")
    assert "onnxruntime cannot be imported" in line
    assert "--runtime tensorflow" in line
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    assert isinstance(Exported(course / "vae", runtime="auto")._runtime, runtimes.TensorFlow)
    assert portable.missing() == "pip install onnx onnxruntime to write them"


ALONE = """
import sys


class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in ("keras_ae", "numpy", "PIL", "onnxruntime") and name.split(".")[0] in ABSENT:
            raise ImportError(f"{name} is not installed")


from importlib.metadata import distributions, packages_distributions

kept = {"numpy", "pillow", "onnxruntime", "flatbuffers", "packaging", "protobuf", "keras_ae", "keras-ae"}
ABSENT = {name for name, owners in packages_distributions().items() if not kept & {owner.lower() for owner in owners}}
sys.meta_path.insert(0, Hidden())
from keras_ae import generate

generate.main(["--model", sys.argv[1], "--n", "4", "--out", sys.argv[2]])
assert "tensorflow" in ABSENT and "tqdm" in ABSENT and "filelock" in ABSENT
"""


def test_generate_needs_numpy_pillow_and_onnxruntime_alone(course, tmp_path):
    command = [sys.executable, "-c", ALONE, str(course / "vae"), str(tmp_path / "a.png")]
    subprocess.run(command, check=True, capture_output=True, text=True)
    generate.main(["--model", str(course / "vae"), "--n", "4", "--out", str(tmp_path / "b.png"), "--runtime", "tensorflow"])
    ours, theirs = (np.asarray(pictures.Image.open(tmp_path / f"{name}.png")).astype(int) for name in "ab")
    assert np.abs(ours - theirs).max() <= 1


EVERY = """
import sys
from keras_ae import edit, embed, generate, interpolate, reconstruct, score, upscale, denoise

course, folder, out = sys.argv[1:]
picture = folder + "/0.png"
generate.main(["--model", course + "/vae", "--out", out + "/a.png"])
reconstruct.main(["--model", course + "/vae", "--data", folder, "--out", out + "/b.png"])
interpolate.main([picture, folder + "/1.png", "--model", course + "/vae", "--out", out + "/c.png"])
edit.main([picture, "--attribute", "brightness", "--examples", "30", "--model", course + "/vae", "--out", out + "/d.png"])
embed.main(["--data", folder, "--model", course + "/vae", "--out", out + "/e"])
score.main(["--data", folder, "--model", course + "/vae", "--out", out + "/f.csv"])
denoise.main(["--data", folder, "--model", course + "/denoiser", "--out", out + "/g"])
upscale.main(["--data", folder, "--model", course + "/upscaler", "--out", out + "/h"])
print("tensorflow" in sys.modules)
"""


def test_no_command_on_exports_imports_tensorflow(course, folder, tmp_path):
    command = [sys.executable, "-c", EVERY, str(course), str(folder), str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("command", [edit, embed, generate, interpolate, reconstruct, score])
def test_every_command_on_exports_has_the_option(command):
    text = command.parser().format_help()
    assert "--runtime {auto,onnx,tensorflow}" in text
