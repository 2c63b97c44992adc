"""Sharpness against PSNR, from the first stage of a run to the second. python benchmarks/tradeoff.py --model runs/vae

The weights of both decoders are blended, which passes smoothly from the one to the other (Wang et al. 2018, arXiv:1809.00219,
section 3.4), and each blend is measured on held-out pictures. Draws the curve and prints a table.
"""

from pathlib import Path

import numpy as np

from keras_ae import commandline

SHARES = (0, 0.25, 0.5, 0.75, 1)


def parser():
    parser = commandline.Parser("tradeoff", "Measure decoders between the first and the second stage of a run.")
    parser.prog = "python benchmarks/tradeoff.py"
    commandline.add_common(
        parser, "tradeoff.png", "picture to write", "runs/vae", "run folder, or a folder of runs: its newest"
    )
    parser.add_argument("--data", metavar="DIR", help="folder of pictures (default: built-in cats)")
    parser.add_argument("--n", type=commandline.whole_number(50, 50_000), default=2000, help="how many pictures to draw")
    return parser


def measured(bench, decoder, z_test, z_drawn, images):
    """Numbers of one decoder."""
    from keras_ae.judging import distances, judge, metrics

    def decode(z):
        return np.clip(decoder(z, training=False), -1, 1)

    rebuilt = judge.batched(decode, z_test)
    numbers = metrics.reconstruction([(images, rebuilt)])
    drawn = bench.extract(judge.batched(decode, z_drawn))
    return numbers | {"fd": distances.frechet(bench.held_out_features, drawn)}


def draw(rows, pca, path):
    """PSNR and the samples' distance over sharpness."""
    from matplotlib import pyplot

    figure, left = pyplot.subplots(figsize=(7.5, 4.4), layout="constrained")
    right = left.twinx()
    sharpness = [row["sharpness"] for row in rows]
    left.plot(sharpness, [row["psnr"] for row in rows], "o-", color="tab:blue", label="reconstructions: PSNR")
    right.plot(sharpness, [row["fd"] / pca["fd"] for row in rows], "s--", color="tab:red", label="samples: Frechet distance")
    left.plot(pca["sharpness"], pca["psnr"], "^", color="tab:blue", markersize=9)
    right.plot(pca["sharpness"], 1, "^", color="tab:red", markersize=9)
    left.annotate("  PCA, likewise above", (pca["sharpness"], pca["psnr"]))
    for row in rows:
        left.annotate(f"{row['share']:g}", (row["sharpness"], row["psnr"]), textcoords="offset points", xytext=(4, 6))
    left.set_xlabel("sharpness of reconstructions; at the points: share of the second stage's decoder")
    left.set_ylabel("PSNR of reconstructions, dB", color="tab:blue")
    right.set_ylabel("Frechet distance of samples, PCA's is 1", color="tab:red")
    right.set_ylim(bottom=0)
    left.grid(alpha=0.3)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def trade(arguments):
    from keras_ae.codes import priors
    from keras_ae.data import pipeline as data
    from keras_ae.judging import judge
    from keras_ae.training import runs

    run = runs.find_complete(arguments.model)
    source = data.resolve("cat_faces", arguments.data) if arguments.data else ("synthetic_cats", None)
    bench = judge.Judge(data.load(*source), arguments.n, "gabor", arguments.seed)
    encoder, decoder = run.best_networks()
    first, last = run.best_networks(weights="first_stage")[1].get_weights(), decoder.get_weights()
    z_test = judge.batched(lambda images: np.asarray(encoder(images)["z_mean"]), bench.held_out)
    z_drawn = priors.Mixture.load(run.prior).sample(0, bench.n, arguments.seed, 1.0).numpy()
    rows = []
    for share in SHARES:
        decoder.set_weights([(1 - share) * a + share * b for a, b in zip(first, last, strict=True)])
        rows.append({"share": share} | measured(bench, decoder, z_test, z_drawn, bench.held_out))
    baseline = bench.baseline(z_test.shape[1])
    pca = bench.reconstruction(baseline) | {"fd": bench.samples(baseline)[0]["fd_gabor"]}
    draw(rows, pca, Path(arguments.out))
    print("| share of the second stage | PSNR dB | SSIM | sharpness | fd, PCA's is 1 |\n|---|---|---|---|---|")
    for row in rows:
        numbers = f"{row['psnr']:.2f} | {row['ssim']:.3f} | {row['sharpness']:.2f} | {row['fd'] / pca['fd']:.3f}"
        print(f"| {row['share']:g} | {numbers} |")


def main(argv=None):
    commandline.run(parser(), trade, argv)


if __name__ == "__main__":
    main()
