"""Rebuild real pictures from their codes: python -m keras_ae.reconstruct --data DIR, or picture files"""

from keras_ae import commandline


def parser():
    parser = commandline.Parser("reconstruct", "Rebuild pictures from their codes and draw originals over reconstructions.")
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help="picture files (any size and mode)")
    parser.add_argument("--data", metavar="DIR", help="folder to choose pictures from")
    parser.add_argument(
        "--n", type=commandline.whole_number(1, 1000), default=16, help="how many pictures to choose from --data"
    )
    commandline.add_common(parser, "reconstructions.png", "picture to write")
    commandline.add_label(parser)
    return parser


def reconstruct(arguments):
    import numpy as np

    from keras_ae.exports.reading import Exported
    from keras_ae.media import images

    model = Exported(arguments.model, arguments.label)
    model.check_rebuilds()
    chosen = images.chosen(arguments.pictures, arguments.data, arguments.n, arguments.seed)
    height, width, channels = model.shape
    originals = np.stack([images.read(path, height, channels) for path in chosen])
    rebuilt = images.to_uint8(model.decode(model.encode(images.to_float(originals))))
    columns = min(8, len(originals))
    rows = [part[first : first + columns] for first in range(0, len(originals), columns) for part in (originals, rebuilt)]
    # an incomplete last pair of rows is padded, so that reconstructions stay under their originals
    padded = [np.concatenate([row, np.full((columns - len(row), *row.shape[1:]), 255, "uint8")]) for row in rows]
    images.write_png(arguments.out, images.grid(np.concatenate(padded), columns))
    mse = np.mean(np.square(images.to_float(originals) - images.to_float(rebuilt)))
    psnr = 10 * np.log10(4 / max(mse, 1e-12))
    print(f"{len(chosen)} pictures rebuilt by {model.folder}, PSNR {psnr:.2f} dB -> {arguments.out}")


def main(argv=None):
    commandline.run(parser(), reconstruct, argv)


if __name__ == "__main__":
    main()
