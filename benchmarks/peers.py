"""keras_ae compared with other libraries: same images, split, latent size and minutes: make bench-peers DATA=folder

Each trains for the same wall-clock time in this run, and the judge of keras_ae measures all:

    ae, vae          experiments/ae.toml and vae.toml, as many epochs as fit
    plain Keras VAE  the networks of vae.toml in the loop of Keras' own example: squared error and KL, Adam, codes from N(0, I)
    PyTorch twin     the first stage of vae.toml in PyTorch (`with_pytorch`); codes from a mixture as ours
    pythae AE, VAE   (PyTorch) with the convolutional networks of ae.toml, its trainer, and its GaussianMixture sampler
    PCA              with a normal distribution over its scores

pythae's own networks for 64x64 images have 128 to 1,024 channels and complete only a few epochs in minutes on two cores;
smaller ones give better results. At the end follow the seconds until each is as good as PCA (`race`).
"""

import functools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from keras_ae import commandline

# of the minutes, for the first of two stages
FIRST_STAGE = 0.55
PYTHAE = ("AE", "VAE")


def parser():
    parser = commandline.Parser("bench-peers", "Train keras_ae and other libraries for the same time and judge all of them.")
    parser.prog = "python benchmarks/peers.py"
    parser.add_argument("--out", default="peers", metavar="PATH", help="folder of the report")
    parser.add_argument("--seed", type=commandline.SEED, default=0, help="seed of everything random")
    parser.add_argument("--data", metavar="DIR", help="folder of picture files (default: built-in cats)")
    parser.add_argument("--minutes", type=commandline.number(0.1, 600), default=5.0, help="training time of each")
    parser.add_argument("--n", type=commandline.whole_number(50, 50_000), default=2000, help="how many images to draw")
    return parser


def run_module(module, *arguments):
    subprocess.run([sys.executable, "-m", f"keras_ae.{module}", *map(str, arguments)], check=True)


def epochs_that_fit(experiment, data, minutes, folder):
    """--set arguments with the epochs of each stage that fit into the minutes, estimated from a short run."""
    import csv

    refines = experiment.second_stage.epochs > 0
    options = ["--set", "training.epochs=3", "--set", f"refinement.epochs={2 * refines}"]
    run_module("train", f"experiments/{experiment.name}.toml", *data, *options, "--out", folder / "probe")
    with open(folder / "probe" / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    # the first epoch of a stage compiles
    seconds = {stage: [float(row["seconds"]) for row in rows if row["stage"] == stage] for stage in ("1", "2")}
    share = FIRST_STAGE if refines else 1.0
    fit = {"training.epochs": share * minutes * 60 / min(seconds["1"])}
    if refines:
        fit["refinement.epochs"] = (1 - share) * minutes * 60 / min(seconds["2"])
    return [word for key, epochs in fit.items() for word in ("--set", f"{key}={max(1, int(epochs))}")]


def ours(name, data, minutes):
    """An experiment of ours, trained and exported."""
    from keras_ae.exports.reading import Exported
    from keras_ae.judge import side_by_side
    from keras_ae.training import experiment

    folder = Path(tempfile.mkdtemp())
    fit = epochs_that_fit(experiment.read(f"experiments/{name}.toml"), data, minutes, folder)
    run_module("train", f"experiments/{name}.toml", *data, *fit, "--out", folder / "run")
    run_module("export", "--model", folder / "run", "--out", folder / "export")
    return side_by_side.candidate(Exported(folder / "export"), f"keras_ae {name}")


def table(numbers, minutes):
    """The table of the README, in Markdown."""
    from importlib.metadata import version

    rows = [
        "| model | PSNR dB | SSIM | sharpness | negative ELBO, nats | fd_gabor | precision | recall | nearest |",
        "|---" * 9 + "|",
    ]
    judged = numbers["models"] | {"real images": {"reconstruction": {}, "likelihood": None, "samples": numbers["real"]}}
    for name, model in judged.items():
        one, samples = model["reconstruction"], model["samples"]
        neg_elbo = model["likelihood"] and model["likelihood"]["neg_elbo"]
        cells = [(one.get("psnr"), 2), (one.get("ssim"), 3), (one.get("sharpness"), 2), (neg_elbo, 0)]
        cells += [(samples["fd_gabor"], 1), (samples["precision"], 2), (samples["recall"], 2), (samples["nearest_training"], 2)]
        rows.append(f"| {name} | " + " | ".join("-" if v is None else f"{v:.{digits}f}" for v, digits in cells) + " |")
    packages = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "torch", "pythae", "scikit-learn"))
    return "\n".join([*rows, "", f"{minutes:g} minutes of training each; {time.strftime('%Y-%m-%d')}; {packages}."])


def bench(arguments):
    import race
    import with_keras
    import with_pythae
    import with_pytorch

    from keras_ae import outputs
    from keras_ae.data import pipeline
    from keras_ae.judge import side_by_side
    from keras_ae.judge.judge import Judge

    out = Path(arguments.out)
    outputs.check_folder(out)
    data = ("--data", arguments.data) if arguments.data else ()
    source = pipeline.resolve("cat_faces", arguments.data) if arguments.data else ("synthetic_cats", None)
    image_set = pipeline.load(*source)
    judge = Judge(image_set, arguments.n, "gabor", arguments.seed)
    makers = [functools.partial(ours, name, data, arguments.minutes) for name in ("vae", "ae")]
    limits = image_set, arguments.minutes, arguments.seed
    makers += [functools.partial(with_pytorch.peer, *limits), functools.partial(with_keras.peer, *limits)]
    makers += [functools.partial(with_pythae.peer, kind, *limits) for kind in PYTHAE]
    makers.append(functools.partial(judge.baseline, 128))
    judged, arrays = side_by_side.judge_all(judge, makers)
    print(side_by_side.write(out, judge, judged, judged, arrays, judge.warnings()))
    numbers = json.loads((out / "metrics.json").read_text())
    print(table(numbers, arguments.minutes))
    held_out = pipeline.examples(image_set, "test", image_set.n_test)
    target = numbers["models"]["PCA-128"]["reconstruction"]["psnr"]
    print(race.run(image_set, held_out, target, arguments.minutes, arguments.seed))


def main(argv=None):
    commandline.run(parser(), bench, argv)


if __name__ == "__main__":
    main()
