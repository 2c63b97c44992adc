import io
import resource

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_ae.data.sets.cat_drawing import draw, sample_factors
from keras_ae.errors import UserError
from keras_ae.media import images

RANDOM = np.random.default_rng(0)
# smooth colours, so that JPEG and resizing keep them
RED_OVER_BLUE = np.concatenate([np.full((20, 40, 3), (200, 30, 30)), np.full((20, 40, 3), (30, 30, 200))]).astype("uint8")


def encoded(image, form="png", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def close(pixels, expected, most=12):
    return np.abs(pixels.astype(int) - expected).mean() < most


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "L", "LA", "1"])
def test_every_mode_becomes_three_channels(mode):
    data = encoded(Image.fromarray(RED_OVER_BLUE).convert(mode), "tiff" if mode == "CMYK" else "png")
    pixels = images.decode(data, 16)
    assert pixels.shape == (16, 16, 3)
    if mode in ("RGB", "RGBA", "P", "CMYK"):
        assert close(pixels[:6], (200, 30, 30))
        assert close(pixels[-6:], (30, 30, 200))
    else:
        assert np.ptp(pixels, axis=-1).max() == 0


def test_one_channel_is_the_grey_value():
    assert images.decode(encoded(Image.fromarray(RED_OVER_BLUE)), 16, channels=1).shape == (16, 16, 1)


def test_sixteen_bits_are_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype("uint16")
    pixels = images.decode(encoded(Image.fromarray(ramp)), 32)
    assert np.abs(pixels[..., 0] - ramp / 257).max() <= 1


def test_transparent_parts_become_white():
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert images.decode(encoded(clear), 16).min() == 255


def test_exif_orientation_is_applied():
    turned = Image.fromarray(RED_OVER_BLUE).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = images.decode(encoded(turned, "jpeg", exif=exif, quality=95), 16)
    assert close(pixels[:6], (200, 30, 30))


def test_the_central_square_is_cropped():
    wide = np.full((20, 100, 3), 255, "uint8")
    wide[:, 40:60] = 0
    assert images.decode(encoded(Image.fromarray(wide)), 16).max() == 0


def test_an_image_of_the_right_size_is_not_changed():
    pixels = RANDOM.integers(0, 256, (16, 16, 3), "uint8")
    assert np.array_equal(images.decode(encoded(Image.fromarray(pixels)), 16), pixels)


@pytest.mark.parametrize("size", [16, 100])
def test_resizing_agrees_with_tensorflow(size):
    pixels = draw(sample_factors(0, 0), 48)
    expected = tf.image.resize(pixels.astype("float32"), (size, size), method="bicubic", antialias=True)
    difference = images.decode(encoded(Image.fromarray(pixels)), size) - np.clip(expected, 0, 255)
    # Pillow rounds and clips between its two passes: a few pixels beside hard edges differ by more
    assert np.percentile(np.abs(difference), 98) <= 2
    assert np.abs(difference).mean() < 0.6


def test_fifty_megapixels_take_little_memory():
    data = encoded(Image.new("RGB", (8000, 6250), (10, 200, 30)), "jpeg")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert close(images.decode(data, 64), (10, 200, 30))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a picture"),
        (b"these are words", "not a picture"),
        (encoded(Image.fromarray(RED_OVER_BLUE), "jpeg")[:300], "(?i)truncated"),
        (encoded(Image.new("RGB", (1, 1))), "only 1x1 pixels"),
        (encoded(Image.new("1", (20000, 20000))), "more than 200 megapixels"),
    ],
)
def test_damaged_files_are_refused_with_a_reason(data, reason):
    with pytest.raises(images.DamagedPicture, match=reason):
        images.decode(data, 16)


def test_the_error_names_the_damaged_file(tmp_path):
    (tmp_path / "words.jpg").write_text("words")
    with pytest.raises(UserError, match=r"words.jpg: not a picture"):
        images.read(tmp_path / "words.jpg", 16)
    with pytest.raises(UserError, match=r"missing.jpg"):
        images.read(tmp_path / "missing.jpg", 16)


def test_find_goes_deep_and_skips_hidden_files(tmp_path):
    for name in ("b.JPG", "a/c.png", ".hidden/d.png", "a/.e.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in images.find(tmp_path)] == ["a/c.png", "b.JPG"]


def test_find_explains_what_is_wrong(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        images.find(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no picture files in .*looked for .jpg"):
        images.find(tmp_path)
    (tmp_path / "a.jpg").touch()
    with pytest.raises(UserError, match="it is a file"):
        images.find(tmp_path / "a.jpg")


def test_floats_and_pixels_are_inverse():
    pixels = np.arange(256, dtype="uint8")
    assert np.array_equal(images.to_uint8(images.to_float(pixels)), pixels)
    assert images.to_float(pixels).min() == -1
    assert images.to_float(pixels).max() == 1
    assert list(images.to_uint8([-7, 7])) == [0, 255]


def test_a_grid_pads_its_last_row_with_white():
    laid = images.grid(np.zeros((3, 4, 4, 1), "uint8"), columns=2, gap=1)
    assert laid.shape == (9, 9, 1)
    assert laid[5:, 5:].min() == 255
    assert laid[:4, :4].max() == 0


def test_the_same_image_writes_the_same_bytes(tmp_path):
    pixels = RANDOM.integers(0, 256, (8, 8, 3), "uint8")
    for name in ("a", "b"):
        images.write_png(tmp_path / f"{name}.png", pixels)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)


def test_kinds_of_images_are_stacked_in_rows_below_each_other():
    originals = np.arange(5, dtype="uint8").reshape(5, 1, 1, 1)
    rows = images.stacked([originals, originals + 100], columns=3)
    assert rows.ravel().tolist() == [0, 1, 2, 100, 101, 102, 3, 4, 255, 103, 104, 255]


def test_scaling_works_on_tensors_as_on_arrays():
    pixels = np.arange(256, dtype="float32")
    assert np.array_equal(images.scaled(tf.constant(pixels)), images.scaled(pixels))
    np.testing.assert_allclose(images.scaled(pixels), np.linspace(-1, 1, 256), atol=1e-6)


def test_the_class_of_a_file_is_the_sub_folder_below_the_root(tmp_path):
    paths = [tmp_path / "cat" / "a.png", tmp_path / "dog" / "deep" / "b.png", tmp_path / "c.png"]
    assert images.classes(paths, tmp_path) == ["cat", "dog", ""]


def test_files_that_cannot_be_read_are_reported_and_the_others_keep_their_numbers(tmp_path):
    for name in ("a", "c"):
        images.write_png(tmp_path / f"{name}.png", RED_OVER_BLUE)
    (tmp_path / "b.png").write_text("words")
    reports = []
    found = list(images.readable([tmp_path / f"{name}.png" for name in "abc"], 16, 3, reports.append))
    assert [number for number, _ in found] == [0, 2]
    assert found[0][1].shape == (16, 16, 3)
    assert len(reports) == 1 and "b.png: not a picture file" in reports[0]


def test_some_files_of_a_folder_are_chosen_by_the_seed(tmp_path):
    for index in range(20):
        (tmp_path / f"{index:02d}.png").touch()
    some = images.chosen([], tmp_path, 5, seed=1)
    assert some == images.chosen([], tmp_path, 5, seed=1) == sorted(some)
    assert some != images.chosen([], tmp_path, 5, seed=2)
    assert images.chosen([], tmp_path) == images.find(tmp_path)
    for paths, directory in (([], None), (["a.png"], tmp_path)):
        with pytest.raises(UserError, match="name picture files, or a folder of picture files with --data DIR"):
            images.chosen(paths, directory)


def test_picture_files_of_many_kinds_are_decoded(shared):
    paths = images.find(shared / "other_pictures")
    assert {Image.open(path).mode for path in paths} > {"RGB", "L"}
    assert all(images.read(path, 64).shape == (64, 64, 3) for path in paths)
