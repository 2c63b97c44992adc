"""Generate new pictures with an export: python -m keras_ae.generate --n 16"""

import itertools

from keras_ae import commandline

# decoded at a time with --separate: memory stays constant for any number of images
CHUNK = 64
MOST_IN_A_GRID = 10_000
MOST = 1_000_000


def parser():
    parser = commandline.Parser("generate", "Generate new pictures with an export, as one grid or one file each.")
    commandline.add_common(parser, "samples.png", "picture to write, or a .mid file of melodies; with --separate, a folder")
    parser.add_argument("--n", type=commandline.whole_number(1, MOST), default=16, help="how many pictures")
    parser.add_argument(
        "--temperature",
        type=commandline.number(0, 10),
        default=1.0,
        help="scales the spread of the codes: lower values give more typical pictures, 0 the middle of the prior",
    )
    parser.add_argument("--prior", choices=("fitted", "normal"), default="fitted", help="prior that codes are drawn from")
    commandline.add_label(parser, "each in turn")
    commandline.add_runtime(parser)
    parser.add_argument("--columns", type=commandline.whole_number(1, 1000), help="columns of the grid (default: a square)")
    parser.add_argument("--separate", action="store_true", help="one PNG for each picture, in the folder --out")
    return parser


def generated(model, arguments, first, n):
    """Images `first` ... `first + n - 1` of the seed's sequence, uint8 (n, H, W, C)."""
    return model.generate(n, arguments.seed, arguments.temperature, arguments.prior, first)[0]


def write_separate(model, out, arguments):
    """One file for each image in a folder that appears whole; progress on stderr."""
    from tqdm import tqdm

    from keras_ae import outputs
    from keras_ae.images import pictures

    digits = max(4, len(str(arguments.n - 1)))
    starts = range(0, arguments.n, CHUNK)
    chunks = (generated(model, arguments, first, min(CHUNK, arguments.n - first)) for first in starts)
    with outputs.folder(out) as folder:
        every = itertools.chain.from_iterable(chunks)
        for index, image in enumerate(tqdm(every, total=arguments.n, unit="image", disable=None)):
            pictures.write_png(folder / f"{index:0{digits}d}.png", image)


def generate(arguments):
    from keras_ae import outputs
    from keras_ae.errors import UserError
    from keras_ae.exports.reading import Exported
    from keras_ae.images import pictures

    if arguments.n > MOST_IN_A_GRID and not arguments.separate:
        raise UserError(f"--n {arguments.n} is too many for one picture (at most {MOST_IN_A_GRID:,}); add --separate")
    if arguments.separate:
        out = outputs.check_folder("samples" if arguments.out == "samples.png" else arguments.out)
        write = write_separate
    else:
        out = pictures.check(arguments.out, (".png", *pictures.READERS))
        write = write_one
    model = Exported(arguments.model, arguments.label, arguments.runtime)
    write(model, out, arguments)
    height, width, _ = model.shape
    print(f"{arguments.n} pictures of {width}x{height} from {model.folder} (seed {arguments.seed}) -> {out}")


def write_one(model, out, arguments):
    """One file with all images: a grid, or melodies one after another."""
    from keras_ae.images import pictures

    pictures.write(out, generated(model, arguments, 0, arguments.n), arguments.columns)


def main(argv=None):
    commandline.run(parser(), generate, argv)


if __name__ == "__main__":
    main()
