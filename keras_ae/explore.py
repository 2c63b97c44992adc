"""Make a page to explore an export in a browser: python -m keras_ae.explore --model exported/cats --out explorer.html

One HTML file without a server: it has the networks, and computes new pictures, sliders, maps and sums by itself.
"""

import webbrowser

from keras_ae.commandline import FORCE, MODEL, RUNTIME, SEED, check_out, command, option, out
from keras_ae.files import write_file


@command(
    out("explorer.html", "the page, an .html file"),
    option("--open", action="store_true", help="open the page in the browser"),
    *(MODEL, RUNTIME, SEED, FORCE),
)
def main(arguments):
    from keras_ae.explorer import page

    path, model = check_out(arguments, (".html",)), arguments.model
    text = page.page_html(model, arguments.seed, arguments.runtime)
    with write_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"explorer of {model}, {path.stat().st_size / 1e6:.1f} MB: open it in a browser -> {path}")
    if arguments.open:
        webbrowser.open(path.resolve().as_uri())
