"""Images to a file of the kind that its suffix names: PNG, GIF or MIDI. Frames are uint8 (n, height, width, channels)."""

import math
from pathlib import Path

from PIL import Image

from keras_ae import outputs
from keras_ae.errors import UserError
from keras_ae.files import written_whole
from keras_ae.images import melodies, pictures

# a GIF shows each pixel this many times as wide and high
ENLARGED = 3


def write_grid(path, frames, columns=None, milliseconds=None):
    """A PNG of all frames in rows of `columns`, by default as many as make a square."""
    pictures.write_png(path, pictures.grid(frames, columns or math.ceil(math.sqrt(len(frames)))))


def write_animation(path, frames, columns=None, milliseconds=60):
    """A GIF that shows the frames forward and backward in an endless loop, each for `milliseconds`."""
    shown = []
    for frame in frames:
        picture = pictures.to_pillow(frame)
        # colours are chosen once for each frame, of the small one: Pillow would choose the same for all that it is given
        small = picture.convert("P", palette=Image.Palette.ADAPTIVE) if picture.mode == "RGB" else picture
        shown.append(small.resize((ENLARGED * small.width, ENLARGED * small.height), Image.Resampling.NEAREST))
    first, *others = [*shown, *shown[-2:0:-1]]
    with written_whole(path) as partial:
        first.save(partial, "gif", save_all=True, append_images=others, duration=milliseconds, loop=0, optimize=False)


def write_melodies(path, frames, columns=None, milliseconds=None):
    """A MIDI file with the melodies of all frames, one after another. Raises UserError for images of another shape."""
    melodies.write(path, melodies.of(frames))


WRITERS = {
    ".png": write_grid,
    ".gif": write_animation,
    **{suffix: write_melodies for suffix in melodies.SUFFIXES},
}


def check(path, suffixes=tuple(WRITERS)):
    """`path` as a Path, before anything is computed. Raises UserError unless it has one of `suffixes` and may be written."""
    if Path(path).name and Path(path).suffix.lower() not in suffixes:
        *others, last = suffixes
        known = f"{', '.join(others)} or {last}" if others else last
        raise UserError(f"--out must end in {known}. Received: {path}")
    return outputs.check_file(path)


def write(path, frames, columns=None, milliseconds=60):
    """Write frames to a file of the kind that the suffix of `path` names; see `WRITERS`.

    columns: of a PNG's grid. milliseconds: of each frame of a GIF. Raises UserError for a suffix without a writer.
    """
    path = check(path)
    with outputs.file(path) as partial:
        WRITERS[path.suffix.lower()](partial, frames, columns, milliseconds)
