"""Draw new pictures from an export: python -m keras_ae.generate --n 16"""

import itertools
import math
import re
from pathlib import Path

from keras_ae import commandline

# decoded at a time: memory stays flat however many are asked for
CHUNK = 64
MOST_IN_A_GRID = 10_000
MOST = 1_000_000


def parser():
    parser = commandline.Parser("generate", "Draw new pictures with the generator of an export, as one grid or one file each.")
    commandline.add_common(parser, "samples.png", "picture to write, or a .mid file of melodies; with --separate, the folder")
    parser.add_argument("--n", type=commandline.whole_number(1, MOST), default=16, help="how many pictures")
    parser.add_argument(
        "--temperature", type=commandline.number(0, 10), default=1.0, help="spread of the codes: less is tamer, 0 the average"
    )
    parser.add_argument("--prior", choices=("fitted", "normal"), default="fitted", help="density that codes are drawn from")
    commandline.add_label(parser, "each in turn")
    parser.add_argument("--columns", type=commandline.whole_number(1, 1000), help="columns of the grid (default: a square)")
    parser.add_argument("--separate", action="store_true", help="one PNG for each picture, in the folder --out")
    return parser


def drawn(model, arguments):
    """The pictures asked for, uint8 (chunk, H, W, C) at a time."""
    for first in range(0, arguments.n, CHUNK):
        n = min(CHUNK, arguments.n - first)
        yield model.generate(n, arguments.seed, arguments.temperature, arguments.prior, first)[0]


def write_separate(model, arguments):
    """One file for each picture in a folder that appears whole; progress on stderr."""
    from tqdm import tqdm

    from keras_ae.errors import UserError
    from keras_ae.files import folder_written_whole
    from keras_ae.media import images

    out = Path(arguments.out)
    if out.exists() and not (out.is_dir() and all(re.fullmatch(r"\d+\.png", path.name) for path in out.iterdir())):
        raise UserError(f"{out} exists and holds more than numbered pictures; choose another --out")
    digits = max(4, len(str(arguments.n - 1)))
    pictures = itertools.chain.from_iterable(drawn(model, arguments))
    with folder_written_whole(out) as folder:
        for index, picture in enumerate(tqdm(pictures, total=arguments.n, unit="picture", disable=None)):
            images.write_png(folder / f"{index:0{digits}d}.png", picture)


def write_grid(model, arguments):
    """One picture with all of them."""
    import numpy as np

    from keras_ae.media import images, melodies

    pictures = np.concatenate(list(drawn(model, arguments)))
    if Path(arguments.out).suffix in melodies.SUFFIXES:
        melodies.write(arguments.out, melodies.of(pictures))
    else:
        columns = min(arguments.columns or math.ceil(math.sqrt(arguments.n)), arguments.n)
        images.write_png(arguments.out, images.grid(pictures, columns))


def generate(arguments):
    from keras_ae.errors import UserError
    from keras_ae.exports.reading import Exported

    if arguments.n > MOST_IN_A_GRID and not arguments.separate:
        raise UserError(f"--n {arguments.n} is too many for one picture (at most {MOST_IN_A_GRID:,}); add --separate")
    if arguments.out == "samples.png" and arguments.separate:
        arguments.out = "samples"
    model = Exported(arguments.model, arguments.label)
    (write_separate if arguments.separate else write_grid)(model, arguments)
    height, width, _ = model.shape
    print(f"{arguments.n} pictures of {width}x{height} from {model.folder} (seed {arguments.seed}) -> {arguments.out}")


def main(argv=None):
    commandline.run(parser(), generate, argv)


if __name__ == "__main__":
    main()
