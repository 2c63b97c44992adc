"""Reconstruct pictures from their codes: python -m keras_ae.reconstruct --data DIR, or picture files"""

from keras_ae import commandline


def parser():
    parser = commandline.Parser("reconstruct", "Draw pictures above their reconstructions.")
    folder = "folder of picture files; the names of its sub-folders are the classes for a conditional model"
    commandline.add_pictures(parser, most=1000, data=folder)
    commandline.add_common(
        parser, "reconstructions.png", "picture to write, or .mid file: melodies, each with its reconstruction"
    )
    commandline.add_label(parser)
    commandline.add_runtime(parser)
    steps = commandline.whole_number(0, 10_000)
    text = "steps of gradient descent on each code, for closer reconstructions; 20 is a good choice"
    parser.add_argument("--refine", type=steps, default=0, metavar="STEPS", help=text)
    return parser


def reconstruct(arguments):
    import numpy as np

    from keras_ae.exports.reading import Exported
    from keras_ae.images import pictures

    out = pictures.check(arguments.out, (".png", *pictures.READERS))
    model = Exported(arguments.model, arguments.label, arguments.runtime)
    model.check_rebuilds()
    paths = pictures.chosen(arguments.pictures, arguments.data, arguments.n, arguments.seed)
    labels = model.labels_of(paths, arguments.data)
    size, _, channels = model.shape
    numbers, originals = pictures.read_all(paths, size, channels, commandline.warn)
    labels = None if labels is None else labels[numbers]
    z = model.refine(originals, model.encode(originals, labels), arguments.refine, labels, progress="refining codes")
    rebuilt = pictures.to_uint8(model.decode(z, labels))
    columns = 1 if out.suffix.lower() in pictures.READERS else min(8, len(originals))
    pictures.write(out, pictures.stacked([originals, rebuilt], columns), columns)
    psnr = pictures.psnr(np.mean(np.square(pictures.to_float(originals) - pictures.to_float(rebuilt))))
    how = f" in {arguments.refine} steps" if arguments.refine else ""
    print(f"{len(originals)} pictures reconstructed by {model.folder}{how}, PSNR {psnr:.2f} dB -> {out}")


def main(argv=None):
    commandline.run(parser(), reconstruct, argv)


if __name__ == "__main__":
    main()
