"""One HTML page of picture files in sections, and a table beside it: the page opens without a server or network."""

import base64
import csv
import io
import os

from keras_ae.files import render
from keras_ae.images import pictures


def write(path, rows, directory, said, sections, shown=None):
    """Write a table as the CSV file `path`, and a page on the folder `directory` beside it.

    rows: of the table, the first its header. said: lines of text. sections: {heading: cards}; a card is a picture file and
    lines of text, and has a frame if one of them is "kept". shown: {file: the file that is drawn in its place}.
    """

    def draw(file):
        picture = io.BytesIO()
        pictures.to_pillow(pictures.read_whole((shown or {}).get(file, file), 136)).save(picture, "jpeg", quality=85)
        return f"data:image/jpeg;base64,{base64.b64encode(picture.getvalue()).decode()}"

    def name_of(file):
        return pictures.printable(os.path.relpath(file, directory))

    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    title = f"{path.stem.capitalize()}: {pictures.printable(directory)}"
    page = render(__package__, "cards.html", title=title, said=said, sections=sections, thumbnail=draw, name_of=name_of)
    path.with_suffix(".html").write_text(page, encoding="utf-8")
