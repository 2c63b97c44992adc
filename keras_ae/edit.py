"""Change one attribute of a picture: python -m keras_ae.edit PICTURE --attribute eye_size"""

from keras_ae import commandline

EXAMPLES = 1000
BATCH = 64


def parser():
    parser = commandline.Parser("edit", "Move a picture along an attribute and draw the strip.")
    parser.add_argument("picture", metavar="PICTURE", nargs="?", help="picture file (default: a generated picture)")
    parser.add_argument(
        "--attribute", required=True, metavar="NAME", help="property of the built-in cats, or a name for --with and --without"
    )
    parser.add_argument("--with", dest="having", metavar="DIR", help="folder of pictures that have the attribute")
    parser.add_argument("--without", metavar="DIR", help="folder of pictures that have it not")
    parser.add_argument(
        "--strength",
        type=commandline.number(0.1, 20),
        default=3.0,
        help="the strip goes from minus to plus so many standard deviations of the attribute",
    )
    parser.add_argument("--steps", type=commandline.whole_number(2, 50), default=7, help="pictures in the strip")
    commandline.add_common(parser, "edit.png", "picture to write; a .gif moves")
    commandline.add_label(parser)
    return parser


def encoded(model, pictures):
    """Codes of uint8 pictures, with a progress bar."""
    import numpy as np
    from tqdm import tqdm

    from keras_ae.media import images

    parts = range(0, len(pictures), BATCH)
    bar = tqdm(parts, "encoding", unit="batch", disable=None, leave=False)
    return np.concatenate([model.encode(images.to_float(pictures[first : first + BATCH])) for first in bar])


def learned(model, arguments):
    """The direction of the attribute: from the two folders, or from built-in cats that are drawn here."""
    import numpy as np

    from keras_ae.codes import directions as attributes
    from keras_ae.errors import UserError
    from keras_ae.media import images

    size, _, channels = model.input_shape
    if bool(arguments.having) != bool(arguments.without):
        raise UserError("--with and --without belong together: a folder of pictures that have the attribute, and one of others")
    if arguments.having:
        groups = [images.find(folder) for folder in (arguments.without, arguments.having)]
        pictures = np.stack([images.read(path, size, channels) for paths in groups for path in paths])
        return attributes.direction(encoded(model, pictures), np.repeat([0, 1], [len(paths) for paths in groups]))
    if arguments.attribute not in attributes.names():
        raise UserError(
            f"unknown attribute '{arguments.attribute}'; give --with and --without folders, or one of the built-in cats': "
            f"{', '.join(attributes.names())}"
        )
    factors, pictures = attributes.drawn(EXAMPLES, model.input_shape, arguments.seed)
    values = [attributes.value(one, arguments.attribute) for one in factors]
    return attributes.direction(encoded(model, pictures), values)


def edit(arguments):
    from pathlib import Path

    import numpy as np

    from keras_ae.codes import directions as attributes
    from keras_ae.errors import UserError
    from keras_ae.exports.reading import Exported
    from keras_ae.media import images

    out = Path(arguments.out)
    if out.suffix not in (".png", ".gif"):
        raise UserError(f"--out must end in .png or .gif. Received: {arguments.out}")
    model = Exported(arguments.model, arguments.label)
    size, _, channels = model.input_shape
    if arguments.picture:
        z = model.encode(images.to_float(images.read(arguments.picture, size, channels))[None])[0]
    else:
        z = model.generate(1, arguments.seed)[1][0]
    strengths = np.linspace(-arguments.strength, arguments.strength, arguments.steps)
    strip = images.to_uint8(model.decode(attributes.moved(z, learned(model, arguments), strengths)))
    if out.suffix == ".gif":
        images.write_there_and_back(out, strip, milliseconds=120)
    else:
        images.write_png(out, images.grid(strip, len(strip)))
    what = f"{arguments.attribute} from {-arguments.strength:g} to {arguments.strength:g} standard deviations"
    print(f"{arguments.steps} pictures, {what}, by {model.folder} -> {out}")


def main(argv=None):
    commandline.run(parser(), edit, argv)


if __name__ == "__main__":
    main()
