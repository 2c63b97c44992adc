"""Make a page to explore an export in a browser: python -m keras_ae.explore --model exported/cats --out explorer.html

One HTML file without a server: it has the networks, and computes new pictures, sliders, maps and sums by itself.
"""

from keras_ae import commandline


def parser():
    parser = commandline.Parser("explore", __doc__)
    commandline.add_common(parser, "explorer.html", "the page, an .html file")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    commandline.add_runtime(parser)
    return parser


def explore(arguments):
    from pathlib import Path

    from keras_ae import outputs
    from keras_ae.errors import UserError
    from keras_ae.explorer import page

    out = Path(arguments.out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out must end in .html. Received: {out}")
    outputs.check_file(out)
    text = page.page_html(arguments.model, arguments.seed, arguments.runtime)
    with outputs.file(out) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"explorer of {arguments.model}, {out.stat().st_size / 1e6:.1f} MB: open it in a browser -> {out}")
    if arguments.open:
        outputs.show(out)


def main(argv=None):
    commandline.run(parser(), explore, argv)


if __name__ == "__main__":
    main()
