"""HTML pages that open without a server or network: headings, texts, tables, and pictures inside of the page itself."""

import base64
import html
import io

from keras_ae.images import pictures

# tables and pictures scroll inside their box, so that numbers and the labels in pictures keep their size on a phone
STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; overflow-wrap: break-word }
h1 { font-size: 1.6rem } h2 { font-size: 1.25rem; margin-top: 2.2rem }
.scroll { overflow-x: auto; margin: .6rem 0 }
img { display: block; background: #fff }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; vertical-align: top }
th:first-child, td:first-child {
  position: sticky; left: 0; background: Canvas; text-align: left; white-space: normal; min-width: 5rem; max-width: 9rem
}
small { opacity: .7 }
.warning { border-left: 4px solid #c60; padding-left: .6rem }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: .6rem 0 }
figure { margin: 0; width: 8.5rem; font-size: .8rem; line-height: 1.35 }
figure img { width: 100%; border-radius: 3px }
.kept img { outline: 3px solid #0a7 }
"""


def document(title, parts):
    """A whole page as text, from its title as plain text and the parts of its body as HTML."""
    metadata = '<meta name=viewport content="width=device-width, initial-scale=1"><meta name=generator content=keras_ae>'
    head = f"<meta charset=utf-8>{metadata}<title>{html.escape(title)}</title><style>{STYLE}</style>"
    return "\n".join([f"<!doctype html><html lang=en>{head}", f"<h1>{html.escape(title)}</h1>", *parts, "</html>", ""])


def thumbnail(path, side=136):
    """A picture file as the address of an inline JPEG of at most `side` pixels a side. Raises DamagedPicture or OSError."""
    data = pictures.read_bytes(path)
    sides = pictures.measure_sides(data)
    shrunk = [max(1, round(length * min(1, side / max(sides)))) for length in sides]
    image, file = pictures.decode(data, (shrunk[1], shrunk[0], 3), fit="stretch"), io.BytesIO()
    pictures.to_pillow(image).save(file, "jpeg", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def card(path, lines, kept=False):
    """A picture file above lines of plain text, as HTML; kept: whether it has a frame."""
    text = "<br>".join(html.escape(line) for line in lines)
    name = html.escape(pictures.printable(path))
    return f'<figure{" class=kept" * kept}><img alt="{name}" title="{name}" src="{thumbnail(path)}">{text}</figure>'


def section(heading, cards, text=""):
    """A heading, a line of text, and cards beside each other, as HTML."""
    said = f"<p>{html.escape(text)}</p>" if text else ""
    return f"<h2>{html.escape(heading)}</h2>{said}<div class=cards>{''.join(cards)}</div>"
