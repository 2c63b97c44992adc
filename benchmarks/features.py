"""What the judge's features see: Frechet distances of spoilt real pictures. python benchmarks/features.py --data folder

Each set is made of the same real training pictures and compared with the held-out ones; figures are shares of the distance of
PCA with a normal distribution over its scores.
"""

import numpy as np

from keras_ae import commandline

LATENT_DIM = 128


def parser():
    parser = commandline.Parser("features", "Measure what the judge's features see of spoilt real pictures.")
    parser.prog = "python benchmarks/features.py"
    parser.add_argument("--data", metavar="DIR", help="folder of pictures (default: built-in cats)")
    parser.add_argument("--features", choices=("gabor", "inception"), default="gabor")
    parser.add_argument("--n", type=commandline.whole_number(50, 50_000), default=2000, help="how many pictures of each kind")
    return parser


def spoilt(images, rng):
    """{what was done: pictures}."""
    from scipy.ndimage import gaussian_filter

    side = images.shape[1]
    cell = side // 4
    halves, mosaic = images.copy(), images.copy()
    halves[:, :, side // 2 :] = images[rng.permutation(len(images)), :, side // 2 :]
    for row in range(0, side, cell):
        for column in range(0, side, cell):
            part = np.s_[row : row + cell, column : column + cell]
            mosaic[:, part[0], part[1]] = images[rng.permutation(len(images))][:, part[0], part[1]]
    return {
        "as they are": images,
        "noise of deviation 0.1": np.clip(images + rng.normal(0, 0.1, images.shape).astype("float32"), -1, 1),
        "right halves exchanged": halves,
        "blurred, deviation of 1 pixel": gaussian_filter(images, (0, 1, 1, 0)),
        "4x4 parts exchanged": mosaic,
    }


def measure(arguments):
    from keras_ae.data import pipeline as data
    from keras_ae.judging import distances, judge

    source = data.resolve("cat_faces", arguments.data) if arguments.data else ("synthetic_cats", None)
    board = judge.Judge(data.load(*source), arguments.n, arguments.features, 0)
    pca = board.baseline(LATENT_DIM)
    sets = spoilt(board.real, np.random.default_rng(0))
    sets |= {
        f"rebuilt by {pca.name}": np.clip(pca.rebuild(board.real), -1, 1),
        f"drawn from {pca.name}": pca.generate(board.n, 0),
    }
    found = {name: distances.frechet(board.held_out_features, board.extract(images)) for name, images in sets.items()}
    print(f"{board.n} training pictures beside {len(board.held_out)} held-out ones")
    for name, distance in found.items():
        print(f"  {name:<32} {distance / found[f'drawn from {pca.name}']:6.3f}")


def main(argv=None):
    commandline.run(parser(), measure, argv)


if __name__ == "__main__":
    main()
