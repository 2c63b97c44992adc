import io
import json
import os
import resource
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import EpsImagePlugin, Image

from keras_ae.data.sets.cat_drawing import draw, sample_factors
from keras_ae.errors import UserError
from keras_ae.images import pictures

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
    data = encoded(Image.fromarray(RED_OVER_BLUE).convert(mode), "jpeg" if mode == "CMYK" else "png")
    pixels = pictures.decode(data, 16)
    assert pixels.shape == (16, 16, 3)
    if mode in ("RGB", "RGBA", "P", "CMYK"):
        assert close(pixels[:6], (200, 30, 30))
        assert close(pixels[-6:], (30, 30, 200))
    else:
        assert np.ptp(pixels, axis=-1).max() == 0


def test_one_channel_is_the_grey_value():
    assert pictures.decode(encoded(Image.fromarray(RED_OVER_BLUE)), 16, channels=1).shape == (16, 16, 1)


def test_sixteen_bits_are_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype("uint16")
    pixels = pictures.decode(encoded(Image.fromarray(ramp)), 32)
    assert np.abs(pixels[..., 0] - ramp / 257).max() <= 1


def test_transparent_parts_become_white():
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert pictures.decode(encoded(clear), 16).min() == 255


def test_exif_orientation_is_applied():
    turned = Image.fromarray(RED_OVER_BLUE).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = pictures.decode(encoded(turned, "jpeg", exif=exif, quality=95), 16)
    assert close(pixels[:6], (200, 30, 30))


def test_the_central_square_is_cropped():
    wide = np.full((20, 100, 3), 255, "uint8")
    wide[:, 40:60] = 0
    assert pictures.decode(encoded(Image.fromarray(wide)), 16).max() == 0


def test_an_image_of_the_right_size_is_not_changed():
    pixels = RANDOM.integers(0, 256, (16, 16, 3), "uint8")
    assert np.array_equal(pictures.decode(encoded(Image.fromarray(pixels)), 16), pixels)


@pytest.mark.parametrize("size", [16, 100])
def test_resizing_agrees_with_tensorflow(size):
    pixels = draw(sample_factors(0, 0), 48)
    expected = tf.image.resize(pixels.astype("float32"), (size, size), method="bicubic", antialias=True)
    difference = pictures.decode(encoded(Image.fromarray(pixels)), size) - np.clip(expected, 0, 255)
    # Pillow rounds and clips between its two passes: a few pixels beside hard edges differ by more
    assert np.percentile(np.abs(difference), 98) <= 2
    assert np.abs(difference).mean() < 0.6


def test_fifty_megapixels_take_little_memory():
    data = encoded(Image.new("RGB", (8000, 6250), (10, 200, 30)), "jpeg")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert close(pictures.decode(data, 64), (10, 200, 30))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def png(side, bits, colour, extra=b"", rows=0):
    """A PNG of `side` pixels a side, black, with only its first `rows` rows; colour: its number in the format."""
    line = bytes(1 + side * bits * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] // 8)
    packer = zlib.compressobj(1)
    pixels = b"".join(packer.compress(line) for _ in range(rows)) + packer.flush()

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    palette = chunk(b"PLTE", bytes(30)) if colour == 3 else b""
    transparent = chunk(b"tRNS", extra) if extra else b""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + palette + transparent + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg_in_scans(side, claimed=None):
    """A baseline JPEG with one scan for each band, of `side` pixels a side, or of `claimed` according to its header."""
    data = encoded(Image.new("RGB", (16, 16)), "jpeg", subsampling=0)
    header = bytearray(data[: data.index(b"\xff\xda")])
    frame = header.index(b"\xff\xc0")
    header[frame + 5 : frame + 9] = struct.pack(">HH", claimed or side, claimed or side)
    # in the standard tables 00 is "no change of the mean", 1010 the end of a block: four blocks are 3 bytes
    blocks = b"\x28\xa2\x8a" * (side // 8) ** 2
    return bytes(header) + b"".join(b"\xff\xda\0\x08\1" + bytes([n, 0, 0, 63, 0]) + blocks for n in (1, 2, 3)) + b"\xff\xd9"


def bmp_in_runs(side):
    """A BMP of run-length encoded rows."""
    row = b"".join(bytes([min(255, side - x), 3]) for x in range(0, side, 255)) + b"\0\0"
    start = 14 + 40 + 1024
    info = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(row) * side, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(row) * side, 0, 0, start) + info + bytes(1024) + row * side + b"\0\1"


def webp(side):
    """The start of a lossless WebP of `side` pixels a side."""
    data = bytearray(encoded(Image.new("RGB", (16, 16)), "webp", lossless=True))
    data[21:25] = struct.pack("<I", side - 1 | side - 1 << 14 | int.from_bytes(data[21:25], "little") >> 28 << 28)
    return bytes(data)


def plain(mode, side, form, **options):
    return encoded(Image.new(mode, (side, side)), form, **options)


# just inside MOST_MEMORY, or where conversions once took many times as much
HEAVY = {
    "L": lambda: png(10000, 8, 0, rows=10000),
    "L with transparency": lambda: png(5200, 8, 0, bytes(2), rows=5200),
    "LA": lambda: png(5200, 8, 4, rows=5200),
    "RGB": lambda: png(9000, 8, 2, rows=9000),
    "RGBA": lambda: png(5200, 8, 6, rows=5200),
    "16 bits": lambda: png(5200, 16, 0, rows=5200),
    "palette": lambda: png(5200, 8, 3, rows=5200),
    "palette with transparency": lambda: png(5200, 8, 3, bytes(10), rows=5200),
    "GIF": lambda: plain("P", 5200, "gif", transparency=0),
    "BMP": lambda: plain("L", 5000, "bmp"),
    "BMP in runs": lambda: bmp_in_runs(5200),
    "WebP": lambda: plain("RGBA", 3000, "webp", lossless=True, method=0),
    "JPEG": lambda: plain("RGB", 6000, "jpeg"),
    "progressive JPEG": lambda: plain("RGB", 5200, "jpeg", progressive=True, subsampling=0),
    "JPEG in scans": lambda: jpeg_in_scans(5200),
}
MEASURE = """
import json, resource, sys
from keras_ae.images import pictures
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start, grown = peak(), {}
for path in sys.argv[1:]:
    pictures.read(path, 64)
    grown[path] = (peak() - start) / 1024
print(json.dumps(grown))
"""


def test_a_file_takes_little_enough_memory_that_a_process_with_a_model_stays_below_one_gibibyte(tmp_path):
    for name, made in HEAVY.items():
        (tmp_path / name).write_bytes(made())
    command = [sys.executable, "-c", MEASURE, *(str(tmp_path / name) for name in HEAVY)]
    grown = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    # MiB; 600 are taken by TensorFlow and a model
    assert max(grown.values()) < 1024 - 600, grown


@pytest.mark.parametrize(
    ("data", "described"),
    [
        (png(14142, 8, 4), "14142x14142 LA needs 76. MB"),
        (png(14142, 8, 2), "14142x14142 RGB needs 76. MB"),
        (png(14142, 8, 6), "14142x14142 RGBA needs 76. MB"),
        (png(14142, 16, 0), "14142x14142 I;16 needs 38. MB"),
        (webp(14142), "14142x14142 RGB needs 38.. MB"),
        (jpeg_in_scans(16, 14142), "14142x14142 RGB needs 11.. MB"),
    ],
)
def test_files_that_would_take_too_much_memory_are_refused_before_they_are_decoded(data, described):
    with pytest.raises(pictures.DamagedPicture, match=f"^{described} to decode, more than 320 MB$"):
        pictures.decode(data, 16)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "L", "LA", "1", "I;16"])
def test_large_images_are_reduced_in_tiles_without_seams(mode):
    ramp = np.broadcast_to(np.linspace(0, 255, 1300), (1300, 1300))
    image = Image.fromarray(np.stack([ramp, ramp.T, ramp], axis=-1).astype("uint8"))
    image = Image.fromarray((ramp * 257).astype("uint16")) if mode == "I;16" else image.convert(mode)
    data = encoded(image, "jpeg" if mode == "CMYK" else "png")
    small = image.convert("RGB").resize((16, 16), Image.Resampling.BOX)
    expected = np.repeat(np.linspace(8, 247, 16)[None, :, None], 16, 0) if mode == "I;16" else np.asarray(small).astype(int)
    assert np.abs(pictures.decode(data, 16) - expected).max() <= 6


def test_files_of_any_length_are_read_only_as_far_as_needed(tmp_path):
    with open(tmp_path / "long.png", "wb") as file:
        file.truncate(10**12)
    with pytest.raises(UserError, match=r"long.png: a file of more than 64 MB$"):
        pictures.read(tmp_path / "long.png", 16)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path):
        with pytest.raises(UserError, match="cannot read the picture .*: it is not a file$"):
            pictures.read(path, 16)


@pytest.mark.parametrize("form", ["eps", "tiff", "ppm", "ico"])
def test_other_formats_are_refused_whatever_the_file_is_called_and_no_program_is_started(tmp_path, monkeypatch, form):
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *arguments, **options: started.append(arguments))
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **options: started.append(arguments))
    (tmp_path / "cat.jpg").write_bytes(encoded(Image.fromarray(RED_OVER_BLUE), form))
    with pytest.raises(UserError, match=r"cat.jpg: not a picture file; JPEG, PNG, BMP, GIF, WEBP work$"):
        pictures.read(tmp_path / "cat.jpg", 16)
    assert not started


def test_names_that_are_not_unicode_are_printable():
    assert pictures.printable(os.fsdecode(b"caf\xe9/") + "é.png") == r"caf\xe9/é.png"


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
    with pytest.raises(pictures.DamagedPicture, match=reason):
        pictures.decode(data, 16)


def test_the_error_names_the_damaged_file(tmp_path):
    (tmp_path / "words.jpg").write_text("words")
    with pytest.raises(UserError, match=r"words.jpg: not a picture"):
        pictures.read(tmp_path / "words.jpg", 16)
    with pytest.raises(UserError, match=r"missing.jpg"):
        pictures.read(tmp_path / "missing.jpg", 16)


def test_find_goes_deep_and_skips_hidden_files(tmp_path):
    for name in ("b.JPG", "a/c.png", ".hidden/d.png", "a/.e.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in pictures.find(tmp_path)] == ["a/c.png", "b.JPG"]


def test_find_explains_what_is_wrong(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        pictures.find(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no picture files in .*looked for .jpg"):
        pictures.find(tmp_path)
    (tmp_path / "a.jpg").touch()
    with pytest.raises(UserError, match="it is a file"):
        pictures.find(tmp_path / "a.jpg")


def test_floats_and_pixels_are_inverse():
    pixels = np.arange(256, dtype="uint8")
    assert np.array_equal(pictures.to_uint8(pictures.to_float(pixels)), pixels)
    assert pictures.to_float(pixels).min() == -1
    assert pictures.to_float(pixels).max() == 1
    assert list(pictures.to_uint8([-7, 7])) == [0, 255]


def test_a_grid_pads_its_last_row_with_white():
    laid = pictures.grid(np.zeros((3, 4, 4, 1), "uint8"), columns=2, gap=1)
    assert laid.shape == (9, 9, 1)
    assert laid[5:, 5:].min() == 255
    assert laid[:4, :4].max() == 0


def test_the_same_image_writes_the_same_bytes(tmp_path):
    pixels = RANDOM.integers(0, 256, (8, 8, 3), "uint8")
    for name in ("a", "b"):
        pictures.write_png(tmp_path / f"{name}.png", pixels)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)


def test_kinds_of_images_are_stacked_in_rows_below_each_other():
    originals = np.arange(5, dtype="uint8").reshape(5, 1, 1, 1)
    rows = pictures.stacked([originals, originals + 100], columns=3)
    assert rows.ravel().tolist() == [0, 1, 2, 100, 101, 102, 3, 4, 255, 103, 104, 255]


def test_scaling_works_on_tensors_as_on_arrays():
    pixels = np.arange(256, dtype="float32")
    assert np.array_equal(pictures.scaled(tf.constant(pixels)), pictures.scaled(pixels))
    np.testing.assert_allclose(pictures.scaled(pixels), np.linspace(-1, 1, 256), atol=1e-6)


def test_the_class_of_a_file_is_the_sub_folder_below_the_root(tmp_path):
    paths = [tmp_path / "cat" / "a.png", tmp_path / "dog" / "deep" / "b.png", tmp_path / "c.png"]
    assert pictures.classes(paths, tmp_path) == ["cat", "dog", ""]


def test_files_that_cannot_be_read_are_reported_and_the_others_keep_their_numbers(tmp_path):
    for name in ("a", "c"):
        pictures.write_png(tmp_path / f"{name}.png", RED_OVER_BLUE)
    (tmp_path / "b.png").write_text("words")
    reports = []
    found = list(pictures.readable([tmp_path / f"{name}.png" for name in "abc"], 16, 3, reports.append))
    assert [number for number, _ in found] == [0, 2]
    assert found[0][1].shape == (16, 16, 3)
    assert len(reports) == 1 and "b.png: not a picture file" in reports[0]


def test_where_no_file_can_be_read_the_first_reason_is_the_only_line(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.png").write_text("words")
    reports = []
    with pytest.raises(UserError, match=r"^none of these picture files can be read: .*a.png: not a picture file"):
        pictures.read_all([tmp_path / f"{name}.png" for name in "ab"], 16, 3, reports.append)
    assert not reports
    pictures.write_png(tmp_path / "c.png", RED_OVER_BLUE)
    indices, pixels = pictures.read_all([tmp_path / f"{name}.png" for name in "abc"], 16, 3, reports.append)
    assert indices.tolist() == [2] and pixels.shape == (1, 16, 16, 3) and len(reports) == 2


def test_some_files_of_a_folder_are_chosen_by_the_seed(tmp_path):
    for index in range(20):
        (tmp_path / f"{index:02d}.png").touch()
    some = pictures.chosen([], tmp_path, 5, seed=1)
    assert some == pictures.chosen([], tmp_path, 5, seed=1) == sorted(some)
    assert some != pictures.chosen([], tmp_path, 5, seed=2)
    assert pictures.chosen([], tmp_path) == pictures.find(tmp_path)
    for paths, directory in (([], None), (["a.png"], tmp_path)):
        with pytest.raises(UserError, match="name picture files, or a folder of picture files with --data DIR"):
            pictures.chosen(paths, directory)


def test_picture_files_of_many_kinds_are_decoded(shared):
    paths = pictures.find(shared / "other_pictures")
    assert {Image.open(path).mode for path in paths} > {"RGB", "L"}
    assert all(pictures.read(path, 64).shape == (64, 64, 3) for path in paths)
