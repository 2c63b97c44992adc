"""Figures of images as PNG files: rows, grids, maps. Images are float32 (n, H, W, C) in [-1, 1].

Each image pixel becomes a square of a whole number of pixels of the file, so that nothing is interpolated: what looks blurred
in a figure is blurred in the image.
"""

import math
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_ae.errors import UserError
from keras_ae.images import pictures
from keras_ae.images.pictures import to_uint8

# pixels: the widths of a grid on a page, of an enlarged image, and of a label beside a row
WIDTH, CELL, LABEL = 720, 128, 150
# pixels: the gap between images, the space around texts, the height of a line of text
GAP, SPACE, LINE = 2, 8, 16
FONT = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 12)


def _enlarge(image, scale):
    return pictures.to_pillow(image.repeat(scale, axis=0).repeat(scale, axis=1)).convert("RGB")


def _wrap(text, width):
    """The text with line breaks, so that no line is wider than `width` pixels unless a single word is."""
    lines = []
    for word in text.split():
        if lines and FONT.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def _size(text):
    """Width and height in pixels of a text of several lines."""
    lines = text.split("\n")
    return round(max(FONT.getlength(line) for line in lines)), LINE * len(lines)


def _save_titled(body, title, path):
    """Write the picture `body` below its title as a PNG file; the title wraps at the width of the picture."""
    width = max(body.width, 240) + 2 * SPACE
    title = _wrap(title, width - 2 * SPACE)
    top = _size(title)[1] + 2 * SPACE if title else SPACE
    page = Image.new("RGB", (max(width, _size(title)[0] + 2 * SPACE), top + body.height + SPACE), "white")
    ImageDraw.Draw(page).text((SPACE, SPACE), title, "black", FONT)
    page.paste(body, (SPACE, top))
    pictures.write_png(path, np.asarray(page), optimize=True)


def _label_grid(pixels, per_row, labels=(), headings=()):
    """A grid of uint8 images with a label left of each row and a heading above each column, as a Pillow image."""
    scale = max(1, min(WIDTH // (per_row * pixels.shape[2]), CELL // max(pixels.shape[1:3])))
    height, width = (scale * side + GAP for side in pixels.shape[1:3])
    labels = [_wrap(label, LABEL) for label in labels]
    headings = [_wrap(heading, width) for heading in headings]
    left = max((_size(label)[0] + SPACE for label in labels), default=0)
    top = max((_size(heading)[1] + SPACE // 2 for heading in headings), default=0)
    # a label of several lines may be higher than the images of its row
    tall = max([height, *(_size(label)[1] for label in labels)])
    rows = math.ceil(len(pixels) / per_row)
    picture = Image.new("RGB", (left + per_row * width - GAP, top + tall * (rows - 1) + height), "white")
    draw = ImageDraw.Draw(picture)
    for index, image in enumerate(pixels):
        row, column = divmod(index, per_row)
        picture.paste(_enlarge(image, scale), (left + column * width, top + row * tall))
    for row, label in enumerate(labels):
        wide, high = _size(label)
        draw.text((left - SPACE - wide, top + row * tall + max(0, (height - GAP - high) // 2)), label, "black", FONT)
    for column, heading in enumerate(headings):
        wide, high = _size(heading)
        draw.text((left + column * width + (width - GAP - wide) // 2, top - SPACE // 2 - high), heading, "black", FONT)
    return picture


def rows(row_images, labels, path, title, headings=()):
    """One row of images for each label, all rows equally long; `headings`, if any, one for each column."""
    _save_titled(_label_grid(to_uint8(np.concatenate(row_images)), len(row_images[0]), labels, headings), title, path)


def samples(images, path, title):
    """Images in a square."""
    _save_titled(_label_grid(to_uint8(images), math.ceil(math.sqrt(len(images)))), title, path)


def reconstructions(kinds, path, title):
    """Kinds of the same images, such as original and rebuilt, below each other: {label: (n, H, W, C)}, eight in a row."""
    per_row = min(8, len(next(iter(kinds.values()))))
    pixels = pictures.stack([to_uint8(images) for images in kinds.values()], per_row)
    _save_titled(_label_grid(pixels, per_row, list(kinds) * (len(pixels) // (per_row * len(kinds)))), title, path)


def interpolation(frames, path, title, shown=10):
    """`shown` images of a path from the first frame to the last, and beside the PNG file a GIF there and back."""
    pixels = to_uint8(frames)
    _save_titled(_label_grid(pixels[np.linspace(0, len(frames) - 1, shown).round().astype(int)], shown), title, path)
    pictures.write_animation(path.with_suffix(".gif"), [*pixels, *pixels[-2:0:-1]])


def _pixels(images):
    if images.dtype.kind in "iu" and 0 <= images.min() <= images.max() <= 255:
        return images.astype("uint8")
    # decoders may go a little beyond [-1, 1]
    return to_uint8(pictures.floats(images, 2.0))


def show(images: np.ndarray | dict[str, np.ndarray], columns: int | None = None) -> Image.Image:
    """A picture of images for a notebook, each pixel enlarged to a square: a Pillow image.

    images: whole numbers of 0 to 255, or floats in [-1, 1], (n, H, W, C), in a grid of `columns`, by default a square; or
    {label: images}, in a row for each label. Raises UserError for arrays of another shape or range, and for unequal rows.
    """
    labels, kinds = (list(images), list(images.values())) if isinstance(images, dict) else ([], [images])
    kinds = [np.asarray(kind) for kind in kinds]
    shapes = [kind.shape for kind in kinds]
    if not shapes or len(set(shapes)) > 1 or len(shapes[0]) != 4 or 0 in shapes[0]:
        received = ", ".join(map(str, shapes))
        raise UserError(f"show takes images of shape (n, H, W, C), as many in each row. Received: {received}")
    pixels = np.concatenate([_pixels(kind) for kind in kinds])
    per_row = len(kinds[0]) if labels else min(columns or math.ceil(math.sqrt(len(pixels))), len(pixels))
    return _label_grid(pixels, per_row, labels)


def thumbnails(places, images, path, title, side=780):
    """Images, at most 32 pixels wide, at the first two principal components of their codes, (n, 2), in a square."""
    longer = max(images.shape[1:3])
    scale, reduced = max(1, 22 // longer), math.ceil(longer / 32)
    span = np.maximum(np.ptp(places, axis=0), 1e-12)
    body = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(body)
    for place, pixels in zip((places - places.min(axis=0)) / span, to_uint8(images), strict=True):
        thumbnail = _enlarge(pixels, scale).reduce(reduced)
        across, down = (side - 2 * SPACE - length for length in thumbnail.size)
        body.paste(thumbnail, (SPACE + round(place[0] * across), SPACE + round((1 - place[1]) * down)))
    draw.rectangle((0, 0, side - 1, side - 1), outline=(110, 110, 110))
    _save_titled(body, f"{title} (PCA of the codes: first axis to the right, second axis up)", path)
