"""Interpolate between the codes of two pictures: python -m keras_ae.interpolate A.jpg B.jpg"""

from keras_ae import commandline


def parser():
    parser = commandline.Parser("interpolate", "Decode a path between the codes of two pictures.")
    commandline.add_pictures(
        parser,
        pictures="two picture or MIDI files (default: two generated pictures)",
        data="folder of picture files, to choose two from",
    )
    parser.add_argument("--steps", type=commandline.whole_number(2, 1000), default=50, help="number of pictures on the path")
    parser.add_argument("--spherical", action="store_true", help="along an arc instead of a straight line")
    commandline.add_common(parser, "interpolation.gif", "animated .gif, .png strip, or .mid file of melodies")
    commandline.add_label(parser)
    commandline.add_runtime(parser)
    return parser


def ends(model, arguments):
    """The two codes at the ends of the path, (2, latent_dim)."""
    import numpy as np

    from keras_ae.errors import UserError
    from keras_ae.images import pictures

    if not arguments.pictures and not arguments.data:
        return model.generate(2, arguments.seed)[1]
    paths = pictures.chosen(arguments.pictures, arguments.data, 2, arguments.seed)
    if len(paths) != 2:
        raise UserError(f"interpolate needs two pictures. Received: {len(paths)}")
    size, _, channels = model.input_shape
    return model.encode(np.stack([pictures.read(path, size, channels) for path in paths]))


def interpolate(arguments):
    from keras_ae.exports.reading import Exported
    from keras_ae.images import pictures
    from keras_ae.priors import space

    out = pictures.check(arguments.out)
    model = Exported(arguments.model, arguments.label, arguments.runtime)
    path = space.spherical if arguments.spherical else space.linear
    frames = pictures.to_uint8(model.decode(path(*ends(model, arguments), arguments.steps)))
    pictures.write(out, frames, columns=10)
    print(f"{arguments.steps} pictures along a {path.__name__} path from {model.folder} -> {out}")


def main(argv=None):
    commandline.run(parser(), interpolate, argv)


if __name__ == "__main__":
    main()
