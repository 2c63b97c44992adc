"""Make a page to explore an export in a browser: python -m keras_ae.explore --model exported/cats --out explorer.html

One HTML file without a server: it has the networks, and computes new pictures, sliders, maps and sums by itself.
"""

import webbrowser

from keras_ae.commandline import FORCE, MODEL, RUNTIME, SEED, check_out, command, option, out
from keras_ae.files import write_file


def write_page(path, model, seed=0, runtime="auto", show=False):
    """Write the page of an export to `path`, say so, and show it in the browser if asked."""
    from keras_ae.explorer import page

    text = page.page_html(model, seed, runtime)
    with write_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"explorer of {model}, {path.stat().st_size / 1e6:.1f} MB: open it in a browser -> {path}")
    if show:
        webbrowser.open(path.resolve().as_uri())


@command(
    out("explorer.html", "the page, an .html file"),
    option("--open", action="store_true", help="open the page in the browser"),
    *(MODEL, RUNTIME, SEED, FORCE),
)
def main(arguments):
    write_page(check_out(arguments, (".html",)), arguments.model, arguments.seed, arguments.runtime, arguments.open)
