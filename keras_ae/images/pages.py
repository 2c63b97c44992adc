"""One HTML page of picture files in sections, with the pictures inside: it opens without a server or network."""

import base64
import io
from typing import NamedTuple

from keras_ae.files import render
from keras_ae.images import pictures


class Card(NamedTuple):
    """A picture file above lines of text; marked: whether it has a frame."""

    path: str
    lines: list
    marked: bool = False


class Section(NamedTuple):
    """Cards under a heading."""

    heading: str
    cards: list


def thumbnail(path, side=136):
    """A picture file as the address of a JPEG of at most `side` pixels a side. Raises DamagedPicture or OSError."""
    data = pictures.read_bytes(path)
    width, height = pictures.shrink_sides(pictures.measure_sides(data), side)
    file = io.BytesIO()
    pictures.to_pillow(pictures.decode(data, (height, width, 3), fit="stretch")).save(file, "jpeg", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def cards_html(title, said, sections):
    """The page as text. said: lines below the title. sections: `Section`s."""
    return render(__package__, "cards.html", title=title, said=said, sections=sections, thumbnail=thumbnail)
