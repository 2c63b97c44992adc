"""Picture files to arrays and back. Images are uint8 (height, width, channels), or float32 in [-1, 1].

Needs only NumPy and Pillow, so that commands on exports start quickly. Files of another kind are read and written by functions
that are added to `READERS` and `WRITERS`.
"""

import io
import math
import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import Base
from PIL.PngImagePlugin import PngInfo

from keras_ae.errors import UserError
from keras_ae.files import write_file

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
# Pillow's names of these formats: it knows many more, some of which start other programs
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
MOST_BYTES = 64 * 2**20  # of a picture file
# what becomes of a picture whose sides have another ratio than those of the images, and how its user is told
FITS = {"crop": "the middle {part} of the picture", "pad": "the whole picture, on black,", "stretch": "the picture, stretched,"}

# by suffix, in lower case: path -> uint8 (height, width, channels), for kinds that are no pictures
READERS = {}


class DamagedPicture(ValueError):
    """Bytes that cannot be decoded to a usable image; the text is a short reason."""


def find_names(directory):
    """The files of `find` as names relative to `directory`, which take a tenth of the memory of paths."""
    if "://" in str(directory):
        raise UserError(f"cannot read {directory}: it is not a local folder; mount it as a folder, or copy it")
    if not os.path.isdir(directory):
        kind = "it is a file" if os.path.exists(directory) else "no such folder"
        raise UserError(f"cannot read pictures from {directory}: {kind}; name a folder of {', '.join(SUFFIXES)} files")
    names = []
    for folder, folders, files in os.walk(directory):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = os.path.relpath(folder, directory)
        pictures = sorted(name for name in files if not name.startswith(".") and name.lower().endswith(SUFFIXES))
        names += pictures if inside == os.curdir else [os.path.join(inside, name) for name in pictures]
    if not names:
        raise UserError(f"no picture files in {directory}: looked for {', '.join(SUFFIXES)} at any depth")
    return names


def find(directory):
    """Every picture file in `directory` at any depth, in the order of their names; hidden files and folders are skipped.

    Raises UserError if there is no such folder or no picture file in it.
    """
    return [Path(directory) / name for name in find_names(directory)]


def choose(paths, directory, n=None, seed=0):
    """The picture files that a command line names: `paths`, or `n` files of `directory`, chosen by `seed` (None: all).

    Raises UserError if both are given, or neither.
    """
    if bool(paths) == bool(directory):
        raise UserError("name picture files, or a folder of picture files with `data`" + (", not both" if paths else ""))
    if paths:
        return [Path(path) for path in paths]
    found = find(directory)
    order = np.random.default_rng(seed).permutation(len(found))[:n]
    return [found[index] for index in sorted(order)]


def classes(paths, directory):
    """For each path the name of the sub-folder of `directory` that contains it, "" where `directory` itself does."""
    parents = [Path(path).relative_to(directory).parts[:-1] for path in paths]
    return [parts[0] if parts else "" for parts in parents]


def printable(path):
    """A file name as text that can be written anywhere; bytes that are not UTF-8 become escapes such as \\xe9."""
    return os.fsencode(path).decode(errors="backslashreplace")


def read_bytes(path):
    """The bytes of the file `path`; of one that is too large for `decode`, only as many as show that. Raises OSError."""
    if os.path.exists(path) and not os.path.isfile(path):
        # opening a pipe would wait for its other end
        raise OSError("it is not a file")
    with open(path, "rb") as file:
        return file.read(MOST_BYTES + 1)


def open_image(file):
    """The Pillow image of a path or file, not yet decoded; only of the formats that `find` looks for."""
    return Image.open(file, formats=FORMATS)


def _eight_bit(image):
    """An image of any mode as RGB or L with 8 bits; transparent parts become white."""
    if image.mode in ("I", "I;16"):
        return Image.fromarray(np.rint(np.asarray(image) * (255 / 65535)).astype("uint8"))
    if image.mode in ("LA", "RGBA") or "transparency" in image.info:
        coloured = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), coloured).convert("RGB")
    return image if image.mode in ("RGB", "L") else image.convert("L" if image.mode == "1" else "RGB")


def describe_fit(shape, fit):
    """What an image of `shape` shows of a picture, in words."""
    return FITS[fit].format(part="square" if shape[0] == shape[1] else "part")


def place(sides, shape, fit, minimum=np.minimum, maximum=np.maximum):
    """Sides of the middle part of a picture that is used, and of what that becomes, in the middle of an image of `shape`.

    sides: height and width of the picture, an array, or a tensor with these functions of its library. fit: of `FITS`.
    """
    wanted = np.array(shape[:2])

    def largest(ratio, inside):
        # rounded; neither side is 0
        return minimum(inside, maximum((2 * inside[::-1] * ratio + ratio[::-1]) // (2 * ratio[::-1]), 1))

    return largest(wanted, sides) if fit == "crop" else sides, largest(sides, wanted) if fit == "pad" else wanted


def _reduce_middle(image, part, size):
    """The middle part of an image, (height, width), as RGB; sides above 8 times `size` are reduced to about 4 times."""
    height, width = part
    left, top = (image.width - width) // 2, (image.height - height) // 2
    down, across = (side // (4 * final) if side > 8 * final else 1 for side, final in zip(part, size, strict=True))
    middle = Image.new("RGB", (math.ceil(width / across), math.ceil(height / down)))
    # tile by tile: the whole image in another mode takes many times the memory of the file
    tall, wide = (factor * max(1, 512 // factor) for factor in (down, across))
    for y in range(0, height, tall):
        for x in range(0, width, wide):
            tile = image.crop((left + x, top + y, left + min(x + wide, width), top + min(y + tall, height)))
            middle.paste(_eight_bit(tile).reduce((across, down)), (x // across, y // down))
    middle.info = image.info
    return middle


def _decode(data, shape, fit):
    height, width, channels = shape
    image = open_image(io.BytesIO(data))
    pixels, most = f"{image.width}x{image.height} pixels", Image.MAX_IMAGE_PIXELS
    if min(image.size) < 4:
        raise DamagedPicture(f"only {pixels}")
    # a JPEG is decoded at 1/2, 1/4 or 1/8 of its size in a fraction of the time; twice the final size keeps the quality
    image.draft(None, [2 * max(height, width)] * 2)
    if most and image.width * image.height > most:
        raise DamagedPicture(f"{pixels} are more than Pillow's limit of {most / 10**6:.0f} million")
    # these EXIF orientations exchange height and width
    turn = -1 if image.getexif().get(Base.Orientation) in (5, 6, 7, 8) else 1
    part, size = (sides.tolist() for sides in place(np.array(image.size[::-1]), (height, width)[::turn], fit))
    middle = ImageOps.exif_transpose(_reduce_middle(image, part, size)).convert("L" if channels == 1 else "RGB")
    size = tuple(size[::-turn])
    if middle.size != size:
        middle = middle.resize(size, Image.Resampling.BICUBIC)
    if size != (width, height):
        whole = Image.new(middle.mode, (width, height))
        whole.paste(middle, ((width - size[0]) // 2, (height - size[1]) // 2))
        middle = whole
    return np.asarray(middle).reshape(shape)


def decode(data, shape, fit="crop"):
    """Decode the bytes of a picture file of any size and mode to uint8 of `shape`, (H, W, C), where C is 1 or 3.

    Takes the first frame, rotates it by its EXIF orientation, and resizes it bicubically (a = -0.5) with antialiasing if the
    size differs: its central part with the ratio of the sides of `shape` ("crop"), the whole of it on black ("pad") or
    stretched ("stretch"). Transparent parts become white, 16 bits are scaled to 8. Raises DamagedPicture, also for a file of
    more than 64 MiB and for more pixels than `PIL.Image.MAX_IMAGE_PIXELS`, after JPEG's reduction.
    """
    if len(data) > MOST_BYTES:
        raise DamagedPicture(f"a file of more than {MOST_BYTES >> 20} MB")
    try:
        return _decode(data, shape, fit)
    except DamagedPicture:
        raise
    except UnidentifiedImageError:
        raise DamagedPicture(f"not a picture file; {', '.join(FORMATS)} work") from None
    except Exception as error:
        # Pillow's decoders raise many kinds of errors on broken bytes
        raise DamagedPicture(str(error).partition("\n")[0] or type(error).__name__) from error


def read(path, shape, fit="crop"):
    """`decode` the file `path`, or read it by the function of its suffix in `READERS`. Raises UserError."""
    reader = READERS.get(Path(path).suffix.lower())
    if not reader and shape[-1] not in (1, 3):
        raise UserError(f"the model takes images of {shape[-1]} bands, picture files have 1 or 3; give it arrays in Python")
    try:
        image = reader(path) if reader else decode(read_bytes(path), shape, fit)
    except DamagedPicture as error:
        raise UserError(f"cannot use the picture {printable(path)}: {error}") from None
    except OSError as error:
        raise UserError(f"cannot read the picture {printable(path)}: {error.strerror or error}") from None
    if image.shape != shape:
        raise UserError(f"{printable(path)} gives an image of shape {image.shape}, but the model takes images of shape {shape}")
    return image


def read_each(paths, shape, report, fit="crop"):
    """`read` each file that can be read: pairs (index, uint8 of `shape`). `report(text)` gets the other files.

    Raises UserError with the first reason if no file can be read.
    """
    found, reasons = False, []
    for index, path in enumerate(paths):
        try:
            pixels = read(path, shape, fit)
        except UserError as error:
            reasons.append(str(error))
        else:
            found = True
            yield index, pixels
        while found and reasons:
            report(reasons.pop(0))
    if not found:
        raise UserError(f"none of these picture files can be read: {reasons[0]}")


def read_all(paths, shape, report, fit="crop"):
    """Every file that can be read: their indices (n,) in `paths`, and uint8 (n, *shape); see `read_each`."""
    indices, pixels = zip(*read_each(paths, shape, report, fit), strict=True)
    return np.array(indices), np.stack(pixels)


def scale(pixels):
    """0 ... 255 to [-1, 1]. Arithmetic only, so that floating-point arrays and tensors of any library work."""
    return pixels * (1 / 127.5) - 1


def to_float(pixels):
    """uint8 0 ... 255 to float32 in [-1, 1]."""
    return scale(np.asarray(pixels, "float32"))


def to_uint8(images):
    """Floats in [-1, 1] to uint8, rounded; values outside the range are clipped."""
    return np.rint((np.clip(np.asarray(images, "float32"), -1, 1) + 1) * 127.5).astype("uint8")


def floats(images, most=1.01):
    """An array of uint8 images, or of floats, as floats in [-1, 1].

    Raises UserError for floats outside -most ... most, and for what is no number. The default leaves room for rounding.
    """
    if images.dtype == np.uint8:
        return to_float(images)
    low, high = (images.min(), images.max()) if images.size else (0, 0)
    if not -most <= low <= high <= most:
        raise UserError(f"images must be uint8, or floats in [-1, 1]. Received: {images.dtype} values from {low:g} to {high:g}")
    return images


def psnr(mse):
    """Peak signal-to-noise ratio in dB of a mean squared error on [-1, 1], where the peak is 2."""
    return float(10 * np.log10(4 / max(mse, 1e-12)))


def grid(images, columns, gap=2):
    """Arrange uint8 images (n, height, width, channels) in rows on white, `gap` pixels apart, as one image."""
    n, height, width, channels = images.shape
    columns = min(columns, n)
    rows = math.ceil(n / columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, "uint8")
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def stack(kinds, columns):
    """Kinds of the same uint8 images, such as originals and reconstructions, as rows of `columns` below each other.

    kinds: a sequence of arrays (n, H, W, C). Returns (m, H, W, C) for `grid`; incomplete rows are padded with white images.
    """
    n = len(kinds[0])
    rows = [images[first : first + columns] for first in range(0, n, columns) for images in kinds]
    return np.concatenate([np.concatenate([row, np.full((columns - len(row), *row.shape[1:]), 255, "uint8")]) for row in rows])


def to_pillow(pixels):
    """uint8 (height, width, channels) as a Pillow image: of the first three bands, or of the first where there are two."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] < 3 else np.ascontiguousarray(pixels[..., :3]))


def describe_bands(channels):
    """Which bands pictures show, in words; "" where they show all."""
    shown = {1: "", 2: "band 1", 3: ""}.get(channels, "bands 1 to 3")
    return shown and f"pictures show {shown} of {channels}"


def save_png(path, image, optimize=False):
    """Write a Pillow image as PNG with the text `Software: keras_ae`, by which `files` knows what it may replace."""
    mark = PngInfo()
    mark.add_text("Software", "keras_ae")
    with write_file(path) as partial:
        image.save(partial, format="png", pnginfo=mark, optimize=optimize)


def write_png(path, image):
    """Write uint8 (height, width, channels) as PNG."""
    save_png(path, to_pillow(image))


def write_grid(path, frames, columns=None, milliseconds=None):
    """A PNG of all frames in rows of `columns`, by default as many as make a square."""
    write_png(path, grid(frames, columns or math.ceil(math.sqrt(len(frames)))))


def write_animation(path, frames, columns=None, milliseconds=60):
    """A GIF, three times as large, that shows the frames forward and backward in an endless loop, each for `milliseconds`."""
    shown = []
    for frame in frames:
        image = to_pillow(frame)
        # colours are chosen once for each frame, of the small one: Pillow would choose the same for all that it is given
        small = image.convert("P", palette=Image.Palette.ADAPTIVE) if image.mode == "RGB" else image
        shown.append(small.resize((3 * small.width, 3 * small.height), Image.Resampling.NEAREST))
    first, *others = [*shown, *shown[-2:0:-1]]
    options = {"duration": milliseconds, "loop": 0, "optimize": False, "comment": "keras_ae"}
    with write_file(path) as partial:
        first.save(partial, "gif", save_all=True, append_images=others, **options)


# by suffix, in lower case: (path, frames uint8 (n, height, width, channels), columns, milliseconds) -> None
WRITERS = {".png": write_grid, ".gif": write_animation}


def write(path, frames, columns=None, milliseconds=60):
    """Write frames, uint8 (n, height, width, channels), to a file of the kind that the suffix of `path` names; see `WRITERS`.

    columns: of a PNG's grid. milliseconds: of each frame of a GIF. An existing file is replaced.
    """
    WRITERS[Path(path).suffix.lower()](path, frames, columns, milliseconds)
