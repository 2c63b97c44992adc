"""Walk from one picture to another through the codes: python -m keras_ae.interpolate A.jpg B.jpg"""

from pathlib import Path

from keras_ae import commandline


def parser():
    parser = commandline.Parser("interpolate", "Walk from one picture to another through the codes between them.")
    parser.add_argument(
        "pictures", nargs="*", metavar="PICTURE", help="two picture or MIDI files (default: two generated pictures)"
    )
    parser.add_argument("--data", metavar="DIR", help="folder to choose the two pictures from")
    parser.add_argument("--steps", type=commandline.whole_number(2, 1000), default=50, help="pictures on the way")
    parser.add_argument("--spherical", action="store_true", help="along an arc instead of a straight line")
    commandline.add_common(parser, "interpolation.gif", "GIF that moves, a .png strip, or a .mid file of melodies")
    commandline.add_label(parser)
    return parser


def ends(model, arguments):
    """The two codes to walk between, (2, latent_dim)."""
    import numpy as np

    from keras_ae.errors import UserError
    from keras_ae.media import images

    if not arguments.pictures and not arguments.data:
        return model.generate(2, arguments.seed)[1]
    chosen = images.chosen(arguments.pictures, arguments.data, 2, arguments.seed)
    if len(chosen) != 2:
        raise UserError(f"interpolate goes between two pictures. Received: {len(chosen)}")
    height, _, channels = model.input_shape
    return model.encode(images.to_float(np.stack([images.read(path, height, channels) for path in chosen])))


def interpolate(arguments):
    from keras_ae.codes import paths as codes
    from keras_ae.errors import UserError
    from keras_ae.exports.reading import Exported
    from keras_ae.media import images, melodies

    out = Path(arguments.out)
    if out.suffix not in (".gif", ".png", *melodies.SUFFIXES):
        raise UserError(f"--out must end in .gif, .png or .mid. Received: {arguments.out}")
    model = Exported(arguments.model, arguments.label)
    way = codes.spherical if arguments.spherical else codes.linear
    frames = images.to_uint8(model.decode(way(*ends(model, arguments), arguments.steps)))
    if out.suffix in melodies.SUFFIXES:
        melodies.write(out, melodies.of(frames))
    elif out.suffix == ".png":
        images.write_png(out, images.grid(frames, min(10, len(frames))))
    else:
        images.write_there_and_back(out, frames)
    print(f"{arguments.steps} pictures along a {way.__name__} path from {model.folder} -> {out}")


def main(argv=None):
    commandline.run(parser(), interpolate, argv)


if __name__ == "__main__":
    main()
