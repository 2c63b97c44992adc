"""Sensitivity of the judge's features: Frechet distances of altered real images. python benchmarks/features.py --data folder

Each set is made from the same real training images and compared with the held-out ones. Distances are relative to that of PCA
with a normal distribution over its scores.
"""

import numpy as np

from keras_ae import commandline

LATENT_DIM = 128


def parser():
    parser = commandline.Parser("features", "Measure how the judge's features respond to altered real images.")
    parser.prog = "python benchmarks/features.py"
    parser.add_argument("--data", metavar="DIR", help="folder of picture files (default: built-in cats)")
    parser.add_argument("--features", choices=("learned", "gabor", "inception"), default="learned")
    parser.add_argument("--n", type=commandline.whole_number(50, 50_000), default=2000, help="how many images of each kind")
    return parser


def altered(images, rng):
    """{description: images}."""
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
        "unchanged": images,
        "noise of deviation 0.1": np.clip(images + rng.normal(0, 0.1, images.shape).astype("float32"), -1, 1),
        "right halves exchanged": halves,
        "blurred, deviation of 1 pixel": gaussian_filter(images, (0, 1, 1, 0)),
        "4x4 parts exchanged": mosaic,
    }


def measure(arguments):
    from keras_ae.data import pipeline
    from keras_ae.judge import distances
    from keras_ae.judge.judge import Judge

    source = pipeline.resolve("cat_faces", arguments.data) if arguments.data else ("synthetic_cats", None)
    judge = Judge(pipeline.load(*source), arguments.n, arguments.features, 0)
    pca = judge.baseline(LATENT_DIM)
    sets = altered(judge.real, np.random.default_rng(0))
    sets |= {
        f"rebuilt by {pca.name}": np.clip(pca.rebuild(judge.real), -1, 1),
        f"drawn from {pca.name}": pca.generate(judge.n, 0),
    }
    measured = {name: distances.frechet(judge.held_out_features, judge.extract(images)) for name, images in sets.items()}
    print(f"{judge.n} training images compared with {len(judge.held_out)} held-out ones")
    for name, distance in measured.items():
        print(f"  {name:<32} {distance / measured[f'drawn from {pca.name}']:6.3f}")


def main(argv=None):
    commandline.run(parser(), measure, argv)


if __name__ == "__main__":
    main()
