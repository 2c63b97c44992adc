"""Images that are not square, and images of any number of bands: through training, exports and commands."""

import json

import numpy as np
import pytest
import tensorflow as tf
from conftest import sets
from PIL import Image

import keras_ae
from keras_ae import edit, embed, evaluate, export, generate, reconstruct, score, train
from keras_ae.data import pipeline
from keras_ae.errors import UserError
from keras_ae.exports.load import Exported
from keras_ae.images import pictures
from keras_ae.training import experiment, fit

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def wide(once, folder, tiny, short, portable_files):
    """An export for images of 16x24 pixels, after both stages: pictures are padded."""

    def make(out):
        stages = ["training.epochs=1", "refinement.epochs=1", "refinement.batch=64"]
        settings = sets("data.size=[16,24]", "data.fit=pad", "data.rotation=9", *stages)
        train.main([str(tiny), "--data", str(folder), *settings, "--out", str(out / "run")])
        export.main(["--model", str(out / "run"), "--out", str(out / "wide")])

    with short(), portable_files("onnx"):
        return once("wide", make) / "wide"


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A picture of 50x40 pixels, without hard edges: decoders of picture files clip between their two passes."""
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    smooth = tf.image.resize(RANDOM.uniform(60, 190, (5, 4, 3)), (50, 40), method="bicubic")
    pictures.write_png(path, np.rint(np.clip(smooth, 0, 255)).astype("uint8"))
    return path


def test_both_runtimes_draw_and_encode_the_same(wide, photo):
    onnx, tensorflow = Exported(wide, runtime="onnx"), Exported(wide)
    assert (onnx.shape, onnx.fit, json.loads((wide / "card.json").read_text())["fit"]) == ((16, 24, 3), "pad", "pad")
    drawn, expected = (model.generate(9, 3)[0] for model in (onnx, tensorflow))
    assert drawn.shape == (9, 16, 24, 3)
    assert np.abs(drawn.astype(int) - expected).max() <= 1
    # whether a file is read, or its pixels are given to the SavedModel
    z = onnx.encode(pictures.read(photo, onnx.input_shape, fit=onnx.fit)[None])
    encode = tf.saved_model.load(str(wide / "encoder")).signatures["encode_uint8"]
    np.testing.assert_allclose(encode(images=np.asarray(Image.open(photo))[None])["z"], z, atol=0.02 * np.abs(z).max())
    assert "the whole picture, on black, is resized" in (wide / "README.md").read_text()


COMMANDS = {
    "generate": (generate, ["--n", 2, "--columns", 2], "drawn.png", (50, 16)),
    "reconstruct": (reconstruct, ["PHOTO"], "rebuilt.png", (24, 34)),
    "edit": (edit, ["--attribute", "side_light", "--examples", 50, "--steps", 2], "lit.png", (50, 16)),
    "score": (score, ["--data", "FOLDER"], "scores", None),
    "embed": (embed, ["--data", "FOLDER"], "embedding", None),
    "evaluate": (evaluate, ["--data", "FOLDER", "--n", 50, "--others", "FOLDER"], "report", None),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_take_models_of_images_that_are_not_square(wide, folder, photo, tmp_path, name):
    command, arguments, out, size = COMMANDS[name]
    given = [{"PHOTO": photo, "FOLDER": folder}.get(word, word) for word in arguments]
    command.main([str(word) for word in (*given, "--model", wide, "--out", tmp_path / out)])
    assert (tmp_path / out).exists()
    assert size is None or Image.open(tmp_path / out).size == size


def test_training_starts_from_such_an_export_with_its_size_and_fit(wide, tiny):
    start = f"training.start_from={json.dumps(str(wide))}"
    data = fit.adopt_networks(experiment.read(tiny, [start, "data.size=[16,24]"]))[0].data
    assert (data.size, data.fit) == ([16, 24], "pad")
    with pytest.raises(UserError, match=r"data.size=16: the export has \[16, 24\]"):
        fit.adopt_networks(experiment.read(tiny, [start, "data.size=16"]))


def test_square_images_have_the_caches_and_fingerprints_that_they_had(folder):
    plain, cropped, padded, wide = (
        pipeline.load("folder", folder, size, 3, fit=fit)
        for size, fit in ((16, "crop"), ([16, 16], "crop"), (16, "pad"), ([16, 24], "crop"))
    )
    assert plain.folder == cropped.folder
    assert len({image_set.fingerprint for image_set in (plain, padded, wide)}) == 3
    assert len({image_set.folder for image_set in (plain, padded, wide)}) == 3


@pytest.mark.parametrize(
    ("fit", "shape", "box"),
    [
        ("crop", (16, 24), (0, 10, 60, 50)),
        ("crop", (24, 16), (10, 0, 50, 60)),
        ("stretch", (16, 24), (0, 0, 60, 60)),
        ("pad", (16, 24), (0, 0, 60, 60)),
    ],
)
def test_the_part_of_a_picture_that_is_used(tmp_path, fit, shape, box):
    pixels = RANDOM.integers(0, 256, (60, 60, 3), "uint8")
    pictures.write_png(tmp_path / "one.png", pixels)
    found = pictures.read(tmp_path / "one.png", (*shape, 3), fit=fit)
    height, width = (16, 16) if fit == "pad" else shape
    expected = Image.fromarray(pixels).crop(box).resize((width, height), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(found[:, 4:-4] if fit == "pad" else found, expected)
    assert fit != "pad" or not found[:, :4].any() and not found[:, -4:].any()
    # turned by its EXIF orientation
    turned = Image.Exif()
    turned[0x112] = 6
    Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=turned)
    np.testing.assert_array_equal(pictures.read(tmp_path / "turned.png", (*shape, 3), fit=fit), found)


@pytest.mark.parametrize(("bands", "shown", "mode"), [(2, "band 1 of 2", "L"), (13, "bands 1 to 3 of 13", "RGB")])
def test_pictures_of_many_bands_show_the_first_ones(tmp_path, not_portable, fails, bands, shown, mode):
    shape = (8, 12, bands)
    vae = keras_ae.VAE(keras_ae.conv_encoder(shape, keras_ae.Gaussian(2)), keras_ae.conv_decoder(shape, 2))
    images = RANDOM.uniform(-0.8, 0.8, (40, *shape)).astype("float32")
    model = keras_ae.save(vae, tmp_path / "model", images, prior="normal", fit="stretch")
    assert model.card["bands"] == f"pictures show {shown}"
    assert f"pictures show {shown}" in (tmp_path / "model" / "README.md").read_text()
    drawn, z = model.generate(2)
    assert drawn.shape == (2, *shape) and model.decode(z).shape == (2, *shape)
    generate.main(["--model", str(tmp_path / "model"), "--out", str(tmp_path / "drawn.png"), "--n", "2"])
    for path in (tmp_path / "drawn.png", tmp_path / "model" / "samples.png"):
        assert Image.open(path).mode == mode
    found = np.asarray(Image.open(tmp_path / "drawn.png"))[:, :12]
    np.testing.assert_array_equal(found, drawn[0, ..., 0] if bands == 2 else drawn[0, ..., :3])
    keras_ae.show(images[:4])
    line = fails(reconstruct.main, "--model", tmp_path / "model", tmp_path / "drawn.png", "--out", tmp_path / "r.png")
    assert f"images of {bands} bands, picture files have 1 or 3" in line
