"""Picture files to arrays and back. Images are uint8 (height, width, channels), or float32 in [-1, 1].

Needs only NumPy and Pillow, so that commands on exports start quickly. Files of another kind are read and written by functions
that are added to `READERS` and `WRITERS`.
"""

import collections
import contextlib
import io
import itertools
import math
import os
import re
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import Base
from PIL.PngImagePlugin import PngInfo

from keras_ae.errors import UserError
from keras_ae.files import write_file

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
# Pillow's names of these formats: it knows many more, some of which start other programs
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
MOST_BYTES = 64 * 2**20  # of a picture file
# what is used of a picture whose sides have another ratio than those of the images, as messages say it
FITS = {"crop": "the middle {part} of the picture", "pad": "the whole picture, on black,", "stretch": "the picture, stretched,"}
WHITE = 65535  # the brightest value of 16 bits
# of red, green and blue: JPEG's luminance and two colour differences
LUMINANCE_AND_COLOURS = np.array([[0.299, -0.169, 0.5], [0.587, -0.331, -0.419], [0.114, 0.5, -0.081]], "float32")
# what systems and disks write beside pictures, in lower case
SYSTEM = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "system volume information"}

# by suffix, in lower case: path -> uint8 (height, width, channels), for kinds that are no pictures
READERS = {}


class DamagedPicture(ValueError):
    """Bytes that cannot be decoded to a usable image; the text is a short reason."""


def list_some(names, most=3):
    """The first names of a list as text."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def _is_visible(name):
    return not name.startswith(".") and name.lower() not in SYSTEM


def list_folder(directory):
    """Names of the picture files in a folder at any depth, and what is not read, such as "; not read: 3 .txt".

    Names take a tenth of the memory of paths. What is hidden or of `SYSTEM` does not count. Raises UserError without pictures.
    """
    if "://" in str(directory):
        raise UserError(f"cannot read {directory}: it is not a local folder; mount it as a folder, or copy it")
    if not os.path.isdir(directory):
        kind = "it is a file" if os.path.exists(directory) else "no such folder"
        raise UserError(f"cannot read pictures from {directory}: {kind}; name a folder of {', '.join(SUFFIXES)} files")
    found, unread = [], collections.Counter()

    def skip(error):
        unread[f"folder {printable(os.path.relpath(error.filename, directory))} ({error.strerror})"] += 1

    for folder, folders, files in os.walk(directory, onerror=skip):
        inside = "" if folder == str(directory) else os.path.relpath(folder, directory)
        folders[:] = sorted(filter(_is_visible, folders))
        for name in folders:
            if os.path.islink(os.path.join(folder, name)):
                unread[f"linked folder {printable(os.path.join(inside, name))}"] += 1
        for name in sorted(filter(_is_visible, files)):
            if name.lower().endswith(SUFFIXES):
                found.append(os.path.join(inside, name))
            else:
                suffix = Path(name).suffix.lower()
                unread[suffix if re.fullmatch(r"\.\w{1,12}", suffix) else "without a suffix"] += 1
    kinds = [f"{count:,} {kind}" for kind, count in unread.most_common()]
    left_out = f"; not read: {list_some(kinds, 12)}" if kinds else ""
    if not found:
        raise UserError(f"no picture files in {directory}: looked for {', '.join(SUFFIXES)} at any depth{left_out}")
    return found, left_out


def find(directory):
    """The paths of `list_folder`; a line on stderr says what is not read."""
    names, left_out = list_folder(directory)
    if left_out:
        print(f"{printable(directory)}: {len(names):,} images{left_out}", file=sys.stderr)
    return [Path(directory) / name for name in names]


def choose(paths, directory, n=None, seed=0):
    """The files `paths`, or `n` files of `directory`, chosen by `seed` (None: all). UserError for both, and for neither."""
    if bool(paths) == bool(directory):
        raise UserError("name picture files, or a folder of picture files with `data`" + (", not both" if paths else ""))
    if paths:
        return [Path(path) for path in paths]
    found = find(directory)
    order = np.random.default_rng(seed).permutation(len(found))[:n]
    return [found[index] for index in sorted(order)]


def classes(paths, directory):
    """For each path the name of the sub-folder of `directory` that contains it, "" where it does itself, or is None."""
    parents = [Path(path).relative_to(directory).parts[:-1] if directory else () for path in paths]
    return [printable(parts[0]) if parts else "" for parts in parents]


def printable(path):
    """A file name as text that can be written anywhere; bytes that are not UTF-8 become escapes such as \\xe9."""
    return os.fsencode(path).decode(errors="backslashreplace")


def stamp(path):
    """Size in bytes and time of change in ns of a file, or of a link to nothing."""
    status = os.stat(path) if os.path.exists(path) else os.lstat(path)
    return status.st_size, status.st_mtime_ns


def read_bytes(path):
    """The bytes of a file. Raises DamagedPicture for what is none and for more than 64 MiB, OSError if it cannot be read."""
    if os.path.lexists(path) and not os.path.isfile(path):
        # opening a pipe would wait for its other end
        raise DamagedPicture("it is not a file" if os.path.exists(path) else "a link to nothing")
    if os.path.getsize(path) > MOST_BYTES:
        raise DamagedPicture(f"a file of more than {MOST_BYTES >> 20} MB")
    return Path(path).read_bytes()


def open_image(file):
    """The Pillow image of a path or file, not yet decoded; only of the formats that `find` looks for."""
    return Image.open(file, formats=FORMATS)


def _check_pixels(width, height):
    if min(width, height) < 4:
        raise DamagedPicture(f"only {width}x{height} pixels")
    if (most := Image.MAX_IMAGE_PIXELS) and width * height > most:
        raise DamagedPicture(f"{width}x{height} pixels are more than Pillow's limit of {most / 10**6:.0f} million")


def _scale_deep(values, white):
    """Whole numbers 0 ... `white` or floats 0 ... 1, (h, w) or (h, w, 1 ... 4), as `open_picture` returns them."""
    values, is_float = np.atleast_3d(values), values.dtype.kind == "f"
    low, high, channels = values.min(), values.max(), values.shape[-1]
    if channels > 4:
        raise DamagedPicture(f"{channels} channels; 1 to 4 work")
    greatest = 1 if is_float else WHITE
    if not 0 <= low <= high <= greatest:
        raise DamagedPicture(f"values from {low:g} to {high:g}; whole ones of 0 to 65535 or floats of 0 to 1 work")
    brightest = np.full(channels, 1 if is_float else white)
    if channels in (2, 4):
        # the last is the opacity
        brightest[-1] = greatest
    scaled = np.rint(np.minimum(values, brightest) * (255 / brightest)).astype("uint8")
    image = Image.fromarray(scaled[..., 0] if channels == 1 else scaled)
    return image, 0 if is_float else int(values[..., : 3 if channels > 2 else 1].max())


def _read_tiff(data, white):
    """The first image of a TIFF that Pillow cannot read, or not with all its bits."""
    try:
        import tifffile
    except ImportError:
        raise DamagedPicture("this kind of TIFF needs pip install 'keras_ae[tiff]'") from None
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        _check_pixels(page.imagewidth, page.imagelength)
        if page.axes not in ("YX", "YXS", "SYX") or page.photometric.name not in ("MINISBLACK", "MINISWHITE", "RGB"):
            raise DamagedPicture(f"a TIFF of axes {page.axes} and colours {page.photometric.name} is not read")
        values = page.asarray()
        orientation = page.tags.valueof("Orientation", 1)
    values = np.moveaxis(values, 0, -1) if page.axes == "SYX" else values
    image, brightest = (Image.fromarray(values), 0) if values.dtype == np.uint8 else _scale_deep(values, white)
    image = ImageOps.invert(image) if page.photometric.name == "MINISWHITE" else image
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    image.info["exif"] = exif.tobytes()
    return image, brightest


@contextlib.contextmanager
def _naming_damage():
    """Pillow's decoders raise many kinds of errors on broken bytes: all become DamagedPicture."""
    try:
        yield
    except DamagedPicture:
        raise
    except UnidentifiedImageError:
        raise DamagedPicture(f"not a picture file; {', '.join(FORMATS)} work") from None
    except Exception as error:
        raise DamagedPicture(str(error).partition("\n")[0] or type(error).__name__) from error


@_naming_damage()
def open_picture(data, white=WHITE):
    """The bytes of a picture file as a Pillow image with 8 bits, for `arrange`, and the brightest value of 16 bits, or else 0.

    Of files with 16 bits, values from `white` on become 255; floats of TIFF files are 0 ... 1. Raises DamagedPicture.
    """
    try:
        image = open_image(io.BytesIO(data))
    except UnidentifiedImageError:
        if data[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            raise
        return _read_tiff(data, white)
    deep = image.mode[0] in "IF"
    if image.format == "TIFF":
        # of colours Pillow keeps 8 bits, and of deep images whose 0 is white it says nothing
        if max(image.tag_v2.get(258, [8])) > 8 and (not deep or image.tag_v2.get(262) == 0):
            return _read_tiff(data, white)
        _check_pixels(*image.size)
        # which turns it by its orientation
        image.load()
    # the depth of a PNG in its header
    coloured = image.format == "PNG" and data[24] == 16 and not deep
    if not (deep or coloured):
        return image, 0
    _check_pixels(*image.size)
    if coloured:
        # Pillow keeps 8 bits
        from tensorflow.io import decode_png
    scaled, brightest = _scale_deep(decode_png(data, dtype="uint16").numpy() if coloured else np.asarray(image), white)
    scaled.info = {key: image.info[key] for key in image.info if key == "exif"}
    return scaled, brightest


def _eight_bit(image):
    """An image of any mode with 8 bits as RGB or L; transparent parts become white."""
    if image.mode in ("LA", "RGBA") or "transparency" in image.info:
        coloured = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), coloured).convert("RGB")
    return image if image.mode in ("RGB", "L") else image.convert("L" if image.mode == "1" else "RGB")


def check_fit(fit):
    """Raise UserError unless `fit` is one of `FITS`."""
    if fit not in FITS:
        raise UserError(f"unknown fit {fit!r}; choose one of {', '.join(FITS)}")


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
    """The middle part of an image, (height, width), with 8 bits; sides above 8 times `size` are reduced to about 4 times."""
    height, width = part
    left, top = (image.width - width) // 2, (image.height - height) // 2
    down, across = (side // (4 * final) if side > 8 * final else 1 for side, final in zip(part, size, strict=True))
    middle = _eight_bit(image.crop((left, top, left + width, top + height))).reduce((across, down))
    middle.info = image.info
    return middle


def _lies_on_its_side(image):
    # these EXIF orientations exchange height and width
    return image.getexif().get(Base.Orientation) in (5, 6, 7, 8)


def measure_sides(image):
    """Width and height of a Pillow image as they are seen."""
    return image.size[::-1] if _lies_on_its_side(image) else image.size


@_naming_damage()
def arrange(image, shape, fit):
    """A Pillow image cropped, padded or stretched to uint8 of `shape`, see `decode`."""
    height, width, channels = shape
    # a JPEG is decoded at 1/2, 1/4 or 1/8 of its size in a fraction of the time; twice the final size keeps the quality
    image.draft(None, [2 * max(height, width)] * 2)
    _check_pixels(*image.size)
    turn = -1 if _lies_on_its_side(image) else 1
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


def decode(data, shape, white=WHITE, fit="crop"):
    """Decode the bytes of a picture file of any size and mode to uint8 of `shape`, (H, W, C), where C is 1 or 3.

    The first frame is turned by its EXIF orientation and resized bicubically (a = -0.5) with antialiasing: its middle part with
    the ratio of the sides of `shape` ("crop"), the whole of it on black ("pad") or stretched ("stretch"). Transparent parts
    become white. white: see `open_picture`. Raises DamagedPicture, also for more pixels than `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    return arrange(open_picture(data, white)[0], shape, fit)


def read_whole(path, most, channels=3):
    """A whole picture file as uint8 (H, W, channels) of up to `most` pixels a side. Raises DamagedPicture or OSError."""
    image, _ = open_picture(read_bytes(path))
    width, height = sides = measure_sides(image)
    scale = min(1, most / max(sides))
    return arrange(image, (max(1, round(scale * height)), max(1, round(scale * width)), channels), "stretch")


def read(path, shape, white=WHITE, fit="crop"):
    """`decode` the file `path`, or read it by the function of its suffix in `READERS`. Raises UserError."""
    reader = READERS.get(Path(path).suffix.lower())
    if not reader and shape[-1] not in (1, 3):
        raise UserError(f"the model takes images of {shape[-1]} bands, picture files have 1 or 3; give it arrays in Python")
    try:
        image = reader(path) if reader else decode(read_bytes(path), shape, white, fit)
    except DamagedPicture as error:
        raise UserError(f"cannot use the picture {printable(path)}: {error}") from None
    except OSError as error:
        raise UserError(f"cannot read the picture {printable(path)}: {error.strerror or error}") from None
    if image.shape != shape:
        raise UserError(f"{printable(path)} gives an image of shape {image.shape}, but the model takes images of shape {shape}")
    return image


def read_each(paths, shape, report, white=WHITE, fit="crop"):
    """Pairs (index, uint8 of `shape`) of files that `read` can; `report(text)` gets the others. UserError if none can be."""
    found, reasons = False, []
    for index, path in enumerate(paths):
        try:
            pixels = read(path, shape, white, fit)
        except UserError as error:
            reasons.append(str(error))
        else:
            found = True
            yield index, pixels
        while found and reasons:
            report(reasons.pop(0))
    if not found:
        raise UserError(f"none of these picture files can be read: {reasons[0]}")


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
    """An array of uint8 images, or of floats in [-1, 1], as floats. Raises UserError for those outside -most ... most."""
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
    """Kinds of the same images, arrays uint8 (n, H, W, C), in rows below each other: (m, H, W, C) for a `grid` of `columns`."""
    n = len(kinds[0])
    rows = [images[first : first + columns] for first in range(0, n, columns) for images in kinds]
    return np.concatenate([np.concatenate([row, np.full((columns - len(row), *row.shape[1:]), 255, "uint8")]) for row in rows])


def to_pillow(pixels):
    """uint8 (height, width, channels) as a Pillow image: of the first three bands, or of the first where there are two."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] < 3 else np.ascontiguousarray(pixels[..., :3]))


def write_png(path, image, optimize=False):
    """Write uint8 (height, width, channels) as PNG; by the text `Software: keras_ae`, `files` knows what it may replace."""
    mark = PngInfo()
    mark.add_text("Software", "keras_ae")
    with write_file(path) as partial:
        to_pillow(image).save(partial, format="png", pnginfo=mark, optimize=optimize)


def write_grid(path, frames, columns=None, milliseconds=None):
    """A PNG of all frames in rows of `columns`, by default as many as make a square."""
    write_png(path, grid(frames, columns or math.ceil(math.sqrt(len(frames)))))


def _size_shown(frame):
    """Width and height of a film, up to three times those of its frames: small pictures are hard to see."""
    height, width, _ = frame.shape
    scale = max(1, min(3, 1024 // width))
    return scale * width, scale * height


def write_animation(path, frames, columns=None, milliseconds=60):
    """A GIF or WebP of the frames in an endless loop, each for `milliseconds`; all are in memory."""
    webp, shown, exif = Path(path).suffix.lower() == ".webp", [], Image.Exif()
    for frame in frames:
        image = to_pillow(frame)
        # colours are chosen once for each frame, of the small one: Pillow would choose the same for all that it is given
        small = image.convert("P", palette=Image.Palette.ADAPTIVE) if image.mode == "RGB" and not webp else image
        shown.append(small.resize(_size_shown(frame), Image.Resampling.BICUBIC if webp else Image.Resampling.NEAREST))
    # a GIF counts in hundredths of a second, which add up to the whole time
    times = np.rint(np.arange(len(shown) + 1) * milliseconds / 10).astype(int) * 10
    exif[Base.Software] = "keras_ae"
    options = {"quality": 85, "method": 2, "exif": exif} if webp else {"optimize": False, "comment": "keras_ae"}
    with write_file(path) as partial:
        shown[0].save(partial, save_all=True, append_images=shown[1:], duration=np.diff(times).tolist(), loop=0, **options)


def write_film(path, frames, columns=None, milliseconds=60):
    """An MP4 file (H.264) of the frames, one after another in memory. Raises ImportError without PyAV."""
    # of the extra video
    import av

    frames = iter(frames)
    first = next(frames)
    with write_file(path) as partial, av.open(str(partial), "w", options={"movflags": "faststart"}) as film:
        film.metadata["comment"] = "keras_ae"
        rate = Fraction(1000 / milliseconds).limit_denominator(1000)
        # frames of a slow walk differ by less than a level: key frames, and blocks that are skipped, would be seen as a pulse
        even = "keyint=infinite:ipratio=1:bframes=0:no-fast-pskip=1:no-dct-decimate=1"
        # the tree of macroblocks depends on memory that is not its own: the same frames would be other files
        options = {"crf": "12", "preset": "veryfast", "x264-params": f"{even}:mbtree=0"}
        stream = film.add_stream("libx264", rate, options, pix_fmt="yuv420p")
        # sides of H.264 are even
        stream.width, stream.height = (side + side % 2 for side in _size_shown(first))
        for frame in itertools.chain([first], frames):
            whole = av.VideoFrame.from_ndarray(np.asarray(to_pillow(frame).convert("RGB")))
            film.mux(stream.encode(whole.reformat(stream.width, stream.height, "yuv420p", interpolation="BICUBIC")))
        film.mux(stream.encode())


# by suffix, in lower case: (path, frames uint8 (n, height, width, channels), columns, milliseconds) -> None
WRITERS = {".png": write_grid, ".gif": write_animation, ".webp": write_animation, ".mp4": write_film}
FILMS = (".gif", ".webp", ".mp4")


def write(path, frames, columns=None, milliseconds=60):
    """Write frames, uint8 (n, height, width, channels), as the suffix of `path` says; see `WRITERS`.

    columns: of a PNG's grid. milliseconds: of each frame of a film, whose frames may be an iterator.
    """
    WRITERS[Path(path).suffix.lower()](path, frames, columns, milliseconds)
