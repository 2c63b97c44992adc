"""Sharpness and PSNR from the first stage of a run to the second. python benchmarks/tradeoff.py --model runs/vae

The weights of both decoders are interpolated (Wang et al. 2018, arXiv:1809.00219, section 3.4), and each of the resulting
decoders is measured on held-out images. Draws the curves, and writes their numbers to a JSON file beside the picture.
"""

import json
from pathlib import Path

import numpy as np

from keras_ae import commandline

SHARES = (0, 0.25, 0.5, 0.75, 1)


def parser():
    parser = commandline.Parser("tradeoff", "Measure decoders between the first and the second stage of a run.")
    parser.prog = "python benchmarks/tradeoff.py"
    commandline.add_common(
        parser,
        "tradeoff.png",
        "picture to write; the numbers go to a file of the same name with the suffix .json",
        "runs/vae",
        "run folder, or a folder of runs: its newest",
    )
    parser.add_argument("--data", metavar="DIR", help="folder of picture files (default: built-in cats)")
    parser.add_argument("--n", type=commandline.whole_number(50, 50_000), default=2000, help="how many images to draw")
    return parser


def measured(judge, decoder, z_test, z_drawn):
    """Reconstruction metrics of one decoder on held-out images, and the Frechet distance of its samples as `fd`."""
    from keras_ae.judge import distances, metrics
    from keras_ae.priors.space import batched

    def decode(z):
        return np.clip(decoder(z, training=False), -1, 1)

    numbers = metrics.reconstruction([(judge.held_out, batched(decode, z_test))])
    drawn = judge.extract(batched(decode, z_drawn))
    return numbers | {"fd": distances.frechet(judge.held_out_features, drawn)}


def _panel(axes, rows, pca, key, colour, y_label):
    """One quantity by sharpness, with the share of the second stage at each point, and PCA as a triangle."""
    points = [(row["sharpness"], row[key]) for row in rows]
    axes.plot(*zip(*points, strict=True), "o-", color=colour)
    axes.plot(pca["sharpness"], pca[key], "^", color=colour, markersize=9)
    for row, point in zip(rows, points, strict=True):
        axes.annotate(f"{row['share']:g}", point, xytext=(5, 6), textcoords="offset points")
    right = pca["sharpness"] > np.mean([x for x, _ in points])
    axes.annotate(
        "PCA",
        (pca["sharpness"], pca[key]),
        xytext=(-8 if right else 8, 0),
        textcoords="offset points",
        ha="right" if right else "left",
        va="center",
    )
    # room for the labels inside the frame
    axes.margins(x=0.08, y=0.2)
    axes.set_ylabel(y_label)
    axes.grid(alpha=0.3)


def draw(rows, pca, path):
    """PSNR of reconstructions above, Frechet distance of samples below, both by sharpness. Returns the figure."""
    from matplotlib.figure import Figure

    from keras_ae.images import charts

    figure = Figure(figsize=(7.0, 6.4), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    _panel(above, rows, pca, "psnr", "tab:blue", "PSNR of reconstructions (dB)")
    relative = [row | {"fd": row["fd"] / pca["fd"]} for row in rows]
    _panel(below, relative, pca | {"fd": 1.0}, "fd", "tab:red", "Frechet distance of samples (PCA: 1)")
    below.set_ylim(bottom=0)
    below.set_xlabel("sharpness of reconstructions")
    above.set_title("numbers at the points: share of the second stage in the decoder", fontsize=10)
    charts.save(figure, path)
    return figure


def trade(arguments):
    from keras_ae.data import pipeline
    from keras_ae.files import written_whole
    from keras_ae.judge.judge import Judge
    from keras_ae.priors import mixture
    from keras_ae.priors.space import batched
    from keras_ae.training import folders

    run = folders.find_complete(arguments.model)
    source = pipeline.resolve("cat_faces", arguments.data) if arguments.data else ("synthetic_cats", None)
    judge = Judge(pipeline.load(*source), arguments.n, "gabor", arguments.seed)
    encoder, decoder = run.best_networks()
    first, last = run.best_networks(weights="first_stage")[1].get_weights(), decoder.get_weights()
    z_test = batched(lambda images: np.asarray(encoder(images)["z_mean"]), judge.held_out)
    z_drawn = mixture.load_prior(run.prior).sample(judge.n, arguments.seed).numpy()
    rows = []
    for share in SHARES:
        decoder.set_weights([(1 - share) * a + share * b for a, b in zip(first, last, strict=True)])
        rows.append({"share": share} | measured(judge, decoder, z_test, z_drawn))
    baseline = judge.baseline(z_test.shape[1])
    pca = judge.reconstruction(baseline, judge.held_out) | {"fd": judge.samples(baseline)[0]["fd_gabor"]}
    path = Path(arguments.out)
    draw(rows, pca, path)
    numbers = {"run": str(run), "data": judge.image_set.name, "n_held_out": len(judge.held_out), "n_samples": judge.n}
    with written_whole(path.with_suffix(".json")) as partial:
        partial.write_text(json.dumps({**numbers, "seed": arguments.seed, "rows": rows, "PCA": pca}, indent=2) + "\n")
    print(table(rows, pca))


def table(rows, pca):
    """The numbers in Markdown."""
    lines = ["| share of the second stage | PSNR dB | SSIM | sharpness | Frechet distance, PCA: 1 |", "|---" * 5 + "|"]
    for row in rows:
        numbers = f"{row['psnr']:.2f} | {row['ssim']:.3f} | {row['sharpness']:.2f} | {row['fd'] / pca['fd']:.3f}"
        lines.append(f"| {row['share']:g} | {numbers} |")
    return "\n".join(lines)


def main(argv=None):
    commandline.run(parser(), trade, argv)


if __name__ == "__main__":
    main()
