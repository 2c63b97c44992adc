"""Generate new pictures with an export, as one grid or one file each: python -m keras_ae.generate --n 16"""

from tqdm import tqdm

from keras_ae.commandline import EXPORT, check_out, command, number, open_model, option, out
from keras_ae.errors import UserError
from keras_ae.files import write_folder
from keras_ae.images import pictures

MOST_IN_A_GRID = 10_000


@command(
    out("samples.png", "picture to write; with --separate, a folder"),
    option("--n", type=number(1, 1_000_000, int), default=16, help="how many pictures"),
    option("--temperature", type=number(0, 10), default=1.0, help="scales the spread of codes; 0 is the middle of the prior"),
    option("--prior", choices=("fitted", "normal"), default="fitted", help="prior that codes are drawn from"),
    option("--columns", type=number(1, 1000, int), help="columns of the grid (default: a square)"),
    option("--separate", action="store_true", help="one PNG for each picture, in the folder --out (default: samples)"),
    *EXPORT,
)
def main(arguments):
    if arguments.n > MOST_IN_A_GRID and not arguments.separate:
        raise UserError(f"--n {arguments.n} is too many for one picture (at most {MOST_IN_A_GRID:,}); add --separate")
    if arguments.separate and arguments.out == "samples.png":
        arguments.out = "samples"
    path = check_out(arguments, () if arguments.separate else tuple(pictures.WRITERS))
    model = open_model(arguments)

    def draw(first, n):
        return model.generate(n, arguments.seed, arguments.temperature, arguments.prior, first)[0]

    if arguments.separate:
        digits = max(4, len(str(arguments.n - 1)))
        with write_folder(path, arguments.force) as folder:
            # piece by piece: memory stays constant for any number of images
            for first in tqdm(range(0, arguments.n, 64), disable=None):
                for index, image in enumerate(draw(first, min(64, arguments.n - first)), first):
                    pictures.write_png(folder / f"{index:0{digits}d}.png", image)
    else:
        pictures.write(path, draw(0, arguments.n), arguments.columns)
    height, width, _ = model.shape
    print(f"{arguments.n} pictures of {width}x{height} from {model.folder} (seed {arguments.seed}) -> {path}")
