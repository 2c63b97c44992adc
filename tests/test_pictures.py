import io
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from conftest import draw_cat
from PIL import EpsImagePlugin, Image

from keras_ae.errors import UserError
from keras_ae.files import find_foreign
from keras_ae.images import pictures

RANDOM = np.random.default_rng(0)
# smooth colours, so that JPEG and resizing keep them
RED_OVER_BLUE = np.concatenate([np.full((20, 40, 3), (200, 30, 30)), np.full((20, 40, 3), (30, 30, 200))]).astype("uint8")
FRAMES = RANDOM.integers(0, 256, (6, 8, 8, 3), "uint8")


def encoded(image, form="png", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


TWELVE = RANDOM.integers(0, 4096, (16, 16, 3)).astype("uint16")
GREY = TWELVE[..., 0]


def tiff(values, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "values", "white"),
    [
        (tiff(FRAMES[0]), FRAMES[0], 255),
        (tiff(GREY), GREY, 65535),
        (tiff(GREY), GREY, 4095),
        (tiff(GREY), GREY, 1000),
        (tiff(GREY, byteorder=">"), GREY, 4095),
        (tiff(GREY.astype("uint32")), GREY, 4095),
        (tiff(4095 - GREY, photometric="miniswhite"), GREY, 4095),
        (tiff(TWELVE, photometric="rgb", rowsperstrip=4), TWELVE, 4095),
        (tiff(TWELVE, photometric="rgb", byteorder=">"), TWELVE, 4095),
        (tiff(TWELVE, photometric="rgb", compression="zlib", predictor=True), TWELVE, 4095),
        (tiff(np.moveaxis(TWELVE, -1, 0), photometric="rgb", planarconfig="separate"), TWELVE, 4095),
        (tf.io.encode_png(TWELVE).numpy(), TWELVE, 4095),
        (encoded(Image.fromarray(GREY)), GREY, 4095),
        (tiff((GREY / 4095).astype("float32")), GREY, 4095),
        (tiff(TWELVE / 4095, photometric="rgb"), TWELVE, 4095),
    ],
)
def test_values_of_any_number_of_bits_are_scaled(data, values, white):
    expected = np.rint(np.minimum(values, white) * (255 / white)).astype(int)
    shape = (*values.shape[:2], 3)
    assert np.abs(pictures.decode(data, shape, white=white) - expected.reshape(*shape[:2], -1)).max() == 0


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (GREY.astype("int16") - 1024, "values from -[0-9]+ to"),
        (GREY.astype("int32") + 65535, "values from 65.* whole ones of 0 to 65535 or floats of 0 to 1 work"),
        (GREY.astype("float32"), "floats of 0 to 1 work"),
        (np.full((16, 16), np.nan, "float32"), "values from nan to nan"),
        (np.zeros((16, 16, 5), "uint16"), "5 channels; 1 to 4 work"),
    ],
)
def test_tiff_files_of_other_values_are_refused(values, reason):
    with pytest.raises(pictures.DamagedPicture, match=reason):
        pictures.decode(tiff(values, planarconfig="contig" if values.ndim == 3 else None), (16, 16, 3))


def test_the_extra_that_reads_tiff_files_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    assert pictures.decode(tiff(GREY), (16, 16, 1)).shape == (16, 16, 1)
    with pytest.raises(pictures.DamagedPicture, match=r"needs pip install 'keras_ae\[tiff\]'$"):
        pictures.decode(tiff(GREY / 4095), (16, 16, 1))


@pytest.mark.parametrize("size", [16, 100])
def test_resizing_agrees_with_tensorflow(size):
    pixels = draw_cat(0, 48)
    expected = tf.image.resize(pixels.astype("float32"), (size, size), method="bicubic", antialias=True)
    difference = pictures.decode(encoded(Image.fromarray(pixels)), (size, size, 3)) - np.clip(expected, 0, 255)
    # Pillow rounds and clips between its two passes: a few pixels beside hard edges differ by more
    assert np.percentile(np.abs(difference), 98) <= 2
    assert np.abs(difference).mean() < 0.6


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "L", "LA", "1", "I;16"])
def test_large_images_of_every_mode_are_reduced_to_three_channels_or_one(mode):
    ramp = np.broadcast_to(np.linspace(0, 255, 520), (520, 520))
    image = Image.fromarray(np.stack([ramp, ramp.T, ramp], axis=-1).astype("uint8"))
    image = Image.fromarray((ramp * 257).astype("uint16")) if mode == "I;16" else image.convert(mode)
    data = encoded(image, "jpeg" if mode == "CMYK" else "png")
    small = image.convert("RGB").resize((16, 16), Image.Resampling.BOX)
    expected = np.repeat(np.linspace(8, 247, 16)[None, :, None], 16, 0) if mode == "I;16" else np.asarray(small).astype(int)
    assert np.abs(pictures.decode(data, (16, 16, 3)) - expected).max() <= 8
    assert pictures.decode(data, (16, 16, 1)).shape == (16, 16, 1)
    # transparent parts become white
    assert pictures.decode(encoded(Image.new("RGBA", (20, 20), (0, 0, 0, 0))), (16, 16, 3)).min() == 255


def test_more_pixels_than_pillow_allows_count_as_damaged(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    with pytest.raises(pictures.DamagedPicture, match="exceeds limit"):
        pictures.decode(encoded(Image.fromarray(RED_OVER_BLUE)), (4, 4, 3))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)
    with pytest.warns(Image.DecompressionBombWarning), pytest.raises(pictures.DamagedPicture, match="^40x40 pixels are more"):
        pictures.decode(encoded(Image.fromarray(RED_OVER_BLUE)), (4, 4, 3))
    # a JPEG is decoded at a part of its size
    with pytest.warns(Image.DecompressionBombWarning):
        assert pictures.decode(encoded(Image.fromarray(RED_OVER_BLUE), "jpeg"), (4, 4, 3)).shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a picture file; JPEG, PNG, BMP, GIF, WEBP, TIFF work$"),
        (encoded(Image.fromarray(RED_OVER_BLUE), "jpeg")[:300], "[Tt]runcated"),
        (encoded(Image.new("RGB", (1, 1))), "only 1x1 pixels"),
        # whatever the file is called, and no program is started
        *((encoded(Image.fromarray(RED_OVER_BLUE), form), "not a picture file") for form in ("eps", "ppm", "ico")),
    ],
)
def test_damaged_files_and_other_formats_are_refused_with_a_reason(tmp_path, monkeypatch, data, reason):
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *arguments, **options: started.append(arguments))
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **options: started.append(arguments))
    (tmp_path / "cat.jpg").write_bytes(data)
    with pytest.raises(UserError, match=f"cannot use the picture .*cat.jpg: .*{reason}"):
        pictures.read(tmp_path / "cat.jpg", (16, 16, 3))
    assert not started


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_and_files_of_any_length_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path):
        with pytest.raises(UserError, match="cannot use the picture .*: it is not a file$"):
            pictures.read(path, (16, 16, 3))
    with open(tmp_path / "long.png", "wb") as file:
        file.truncate(10**12)
    with pytest.raises(UserError, match=r"long.png: a file of more than 64 MB$"):
        pictures.read(tmp_path / "long.png", (16, 16, 3))
    with pytest.raises(UserError, match=r"missing.jpg"):
        pictures.read(tmp_path / "missing.jpg", (16, 16, 3))


def test_find_goes_deep_skips_hidden_files_and_explains_what_is_wrong(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        pictures.find(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no picture files in .*looked for .jpg"):
        pictures.find(tmp_path)
    for name in ("b.JPG", "a/c.png", ".hidden/d.png", "a/.e.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in pictures.find(tmp_path)] == ["b.JPG", "a/c.png"]
    with pytest.raises(UserError, match="it is a file"):
        pictures.find(tmp_path / "b.JPG")
    # the class of a file is its sub-folder below the root
    paths = [tmp_path / "cat" / "a.png", tmp_path / "dog" / "deep" / "b.png", tmp_path / "c.png"]
    assert pictures.classes(paths, tmp_path) == ["cat", "dog", ""]


def test_files_that_cannot_be_read_are_reported_and_the_others_keep_their_numbers(tmp_path):
    paths, reports = [tmp_path / f"{name}.png" for name in "abc"], []
    for path in paths:
        path.write_text("words")
    with pytest.raises(UserError, match=r"^none of these picture files can be read: .*a.png: not a picture file"):
        list(pictures.read_each(paths, (16, 16, 3), reports.append))
    assert not reports
    pictures.write_png(paths[1], RED_OVER_BLUE)
    ((index, pixels),) = pictures.read_each(paths, (16, 16, 3), reports.append)
    assert index == 1 and pixels.shape == (16, 16, 3)
    assert len(reports) == 2 and "c.png: not a picture file" in reports[1]


def test_some_files_of_a_folder_are_chosen_by_the_seed(tmp_path):
    for index in range(20):
        (tmp_path / f"{index:02d}.png").touch()
    some = pictures.choose([], tmp_path, 5, seed=1)
    assert some == pictures.choose([], tmp_path, 5, seed=1) == sorted(some)
    assert some != pictures.choose([], tmp_path, 5, seed=2)
    assert pictures.choose([], tmp_path) == pictures.find(tmp_path)
    for paths, directory in (([], None), (["a.png"], tmp_path)):
        with pytest.raises(UserError, match="name picture files, or a folder of picture files with `data`"):
            pictures.choose(paths, directory)


def test_files_of_another_kind_are_read_by_the_function_of_their_suffix(tmp_path, monkeypatch):
    monkeypatch.setitem(pictures.READERS, ".dots", lambda path: np.full((8, 8, 1), 7, "uint8"))
    assert pictures.read(tmp_path / "a.DOTS", (8, 8, 1)).max() == 7
    with pytest.raises(UserError, match=r"gives an image of shape \(8, 8, 1\), but the model takes images of shape"):
        pictures.read(tmp_path / "a.dots", (8, 8, 3))


def test_floats_and_pixels_are_inverse_for_arrays_and_tensors():
    pixels = np.arange(256, dtype="uint8")
    assert np.array_equal(pictures.to_uint8(pictures.to_float(pixels)), pixels)
    np.testing.assert_allclose(pictures.to_float(pixels), np.linspace(-1, 1, 256), atol=1e-6)
    assert np.array_equal(pictures.scale(tf.constant(pixels, "float32")), pictures.to_float(pixels))
    assert list(pictures.to_uint8([-7, 7])) == [0, 255]


def test_images_are_laid_out_in_grids_and_kinds_of_them_in_rows_below_each_other():
    laid = pictures.grid(np.zeros((3, 4, 4, 1), "uint8"), columns=2, gap=1)
    assert laid.shape == (9, 9, 1)
    assert laid[5:, 5:].min() == 255 and laid[:4, :4].max() == 0
    originals = np.arange(5, dtype="uint8").reshape(5, 1, 1, 1)
    rows = pictures.stack([originals, originals + 100], columns=3)
    assert rows.ravel().tolist() == [0, 1, 2, 100, 101, 102, 3, 4, 255, 103, 104, 255]


def test_a_png_is_a_square_grid_or_has_the_columns_asked_for_and_our_mark(tmp_path):
    for name, columns in (("square.png", None), ("strip.PNG", 6)):
        pictures.write(tmp_path / name, FRAMES, columns)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "square.png")), pictures.grid(FRAMES, 3))
    assert Image.open(tmp_path / "strip.PNG").size == (6 * 10 - 2, 8)
    assert b"tEXtSoftware\0keras_ae" in (tmp_path / "square.png").read_bytes()


@pytest.mark.parametrize("suffix", pictures.FILMS)
def test_the_same_frames_write_the_same_film_with_our_mark(tmp_path, suffix):
    if suffix == ".mp4":
        pytest.importorskip("av")
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path in paths:
        pictures.write(path, FRAMES)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert find_foreign(paths[0]) is None


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_loops_and_its_times_add_up(tmp_path, suffix):
    grey = np.arange(0, 200, 50, dtype="uint8")[:, None, None, None] * np.ones((1, 8, 8, 1), "uint8")
    pictures.write(tmp_path / f"a{suffix}", iter(grey), milliseconds=100 / 3)
    with Image.open(tmp_path / f"a{suffix}") as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (4, (24, 24), 0)
        shown, times = [], []
        for index in range(film.n_frames):
            film.seek(index)
            shown.append(int(np.asarray(film.convert("L"))[0, 0]))
            times.append(film.info["duration"])
    np.testing.assert_allclose(shown, [0, 50, 100, 150], atol=2)
    assert times == [30, 40, 30, 30]
