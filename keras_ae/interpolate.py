"""Walk from picture to picture, as a film or a strip: python -m keras_ae.interpolate --seeds 0-31 --out walk.mp4

A film goes back to the first picture. With a flow as its prior, what lies between two pictures is as likely as they are.
"""

import argparse
import contextlib
import itertools

import numpy as np

from keras_ae import commandline
from keras_ae.commandline import EXPORT, SECONDS, check_out, command, number, open_model, option, out, picture_options
from keras_ae.errors import UserError
from keras_ae.images import pictures


def parse_seeds(text):
    """The numbers of a text such as 0-31 or 3,5,8-9."""
    with contextlib.suppress(ValueError, OverflowError):
        ends = [part.partition("-") for part in text.split(",")]
        ranges = [range(int(first), int(last or first) + 1) for first, _, last in ends]
        if 2 <= sum(map(len, ranges)) <= 10_000:
            return list(itertools.chain(*ranges))
    raise argparse.ArgumentTypeError(f"must be 2 to 10,000 numbers, such as 0-31 or 3,5,8. Received: {text}")


def parse_grid(text):
    """Columns and rows of a text such as 4x2."""
    with contextlib.suppress(ValueError):
        columns, rows = map(int, text.split("x"))
        if 1 <= min(columns, rows) <= max(columns, rows) <= 16:
            return columns, rows
    raise argparse.ArgumentTypeError(f"must be columns and rows up to 16, such as 4x2. Received: {text}")


@command(
    *picture_options(text="picture files (default: generated pictures)", data="folder to choose from"),
    option("--n", type=number(2, 10_000, int), help="how many to choose from --data (default: 2 for each walk)"),
    option("--seeds", type=parse_seeds, help="walk through the first pictures that generate draws with seeds such as 0-31"),
    option("--grid", type=parse_grid, default="1x1", help="walks side by side, which share the pictures, such as 4x2"),
    option("--steps", type=number(2, 1000, int), default=50, help="number of pictures in a strip"),
    SECONDS,
    out("interpolation.gif", "film (.gif, .webp, .mp4), or .png strip"),
    *EXPORT,
)
def main(arguments):
    path = check_out(arguments, tuple(pictures.WRITERS))
    walks = np.prod(arguments.grid)
    model = open_model(arguments)
    if arguments.pictures or arguments.data:
        files = pictures.choose(arguments.pictures, arguments.data, arguments.n or 2 * walks, arguments.seed)
        z = model.encode(np.stack([pictures.read(file, model.input_shape, model.white, model.fit) for file in files]))
    else:
        seeds = arguments.seeds or range(arguments.seed, arguments.seed + 2 * walks)
        z = np.concatenate([model.generate(1, seed)[1] for seed in seeds])
    if len(z) < 2 * walks:
        raise UserError(f"interpolate needs two pictures for each walk. Received: {len(z)} for {walks}")
    film, keys = path.suffix.lower() in pictures.FILMS, np.array_split(z, walks)
    steps = round(30 * (arguments.seconds or 2 * len(keys[0]))) + 1 if film else arguments.steps
    codes = np.stack([model.walk(each, steps, closed=film) for each in keys], axis=int(film))
    if film:
        commandline.write_film(model, path, codes, arguments.grid[0])
    else:
        pictures.write(path, pictures.to_uint8(model.decode(np.concatenate(codes))), columns=10 if walks == 1 else steps)
    way = "through the noise of the prior" if model.flow else "through codes"
    print(f"{steps} pictures {way} of {len(z)} pictures, from {model.folder} -> {path}")
