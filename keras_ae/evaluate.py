"""Measure exports on held-out pictures: python -m keras_ae.evaluate --model exported/vae --data DIR --out report"""

import functools
import json
import sys
from pathlib import Path

from keras_ae import commandline

CHUNK = 256


def parser():
    parser = commandline.Parser("evaluate", "Measure how good a model is, on held-out pictures: index.html and metrics.json.")
    commandline.add_common(parser, "report", "folder to write")
    parser.add_argument(
        "--compare", nargs="+", metavar="DIR", default=[], help="exports to put side by side, instead of --model"
    )
    parser.add_argument(
        "--data", metavar="DIR", help="folder of pictures, or tensorflow-datasets folder (default: as trained on)"
    )
    parser.add_argument("--n", type=commandline.whole_number(50, 50_000), default=2000, help="how many pictures to draw")
    parser.add_argument(
        "--features",
        choices=("auto", "gabor", "inception"),
        default="auto",
        help="what samples are compared in; auto is InceptionV3 where its weights are in Keras' cache, else Gabor energies",
    )
    return parser


def likelihood_of(card):
    """The likelihood that an export was trained with: (images, reconstructions) -> nats (n,); None for measured variance."""
    from keras_ae.models import losses

    arguments = dict(card.get("configuration", {}).get("reconstruction", {"name": "gaussian_optimal_variance"}))
    name = arguments.pop("name")
    if name not in losses.RECONSTRUCTIONS or name == "gaussian_optimal_variance":
        return None
    return lambda images, rebuilt: losses.RECONSTRUCTIONS[name](images, rebuilt, **arguments)


def candidate(model, name):
    """An export as the judge wants it."""
    import numpy as np

    from keras_ae.judging import judge
    from keras_ae.media import images

    def generate(n, seed):
        chunk = CHUNK if model.draws_pieces else n
        parts = [model.generate(min(chunk, n - first), seed, first=first)[0] for first in range(0, n, chunk)]
        return images.to_float(np.concatenate(parts))

    draws = generate if model.generates else None
    return judge.Candidate(name, model.latent_dim, model.codes, model.decode, draws, likelihood_of(model.card))


def named(folders):
    """{name: folder}: the last part of each path, or the whole path where those repeat."""
    short = [Path(folder).resolve().name for folder in folders]
    return dict(zip(short if len(set(short)) == len(short) else map(str, folders), folders, strict=True))


def load_pictures(models, directory):
    """The data set to judge on: that of --data, or the one that the first card names."""
    from keras_ae.data import pipeline as data
    from keras_ae.errors import UserError

    shapes = {model.shape for model in models.values()}
    if len(shapes) > 1:
        raise UserError(f"models of different picture shapes cannot be compared: {', '.join(map(str, sorted(shapes)))}")
    ((height, _, channels),) = shapes
    name = next(iter(models.values())).card.get("configuration", {}).get("data", {}).get("name", "folder")
    if directory:
        name, directory = data.resolve(name, directory)
    elif name == "folder":
        raise UserError("name the pictures to judge on with --data DIR")
    return data.load(name, directory, height, channels)


def warn_of_strangers(models, pictures):
    """Tell of each model that was not trained on these pictures."""
    for name, model in models.items():
        trained_on = model.card.get("data", {}).get("fingerprint")
        if trained_on and trained_on != pictures.fingerprint:
            told = "was trained on other pictures than these; what is held out here it may have seen there"
            print(f"warning: {name} {told}", file=sys.stderr)


def draw(folder, judged, arrays):
    """Every picture of the report in `folder`: {section: [(path, text), ...]}."""
    import numpy as np

    from keras_ae.media import figures

    drawn = {"reconstruction": [], "likelihood": [], "samples": [], "memory": [], "smoothness": [], "map": []}

    def add(section, file, text, draw, *what):
        path = folder / f"{file}.png"
        draw(*what, path, *([text] if draw in TITLED else []))
        drawn[section].append((path, text))

    TITLED = (figures.rows, figures.samples, figures.latent_map)
    names = list(arrays)
    first = next(iter(arrays.values()))
    for part, rows in (("a", slice(0, 8)), ("b", slice(8, 16))):
        stack = [first["originals"][rows], *(found["rebuilt"][rows] for found in arrays.values())]
        text = "Held-out pictures and their reconstructions"
        add("reconstruction", f"reconstructions_{part}", text, figures.rows, stack, ["original", *names])
    with_rate = {name: found for name, found in arrays.items() if "rate" in found}
    if with_rate:
        kls = {name: np.array(judged[name]["likelihood"]["kl_per_dimension"]) for name in with_rate}
        add("likelihood", "kl_per_dimension", "KL of each latent dimension", figures.kl_per_dimension, kls)
        points = {name: (found["rate"], found["distortion"]) for name, found in with_rate.items()}
        add("likelihood", "rate_distortion", "Rate and distortion", figures.rate_distortion, points)
    for index, (name, found) in enumerate(arrays.items()):
        if "samples" in found:
            add(
                "samples", f"samples_{index}", f"{name}: drawn with the seed of the protocol", figures.samples, found["samples"]
            )
            pairs = [found["samples"][:8], found["nearest"][:8], found["samples"][8:16], found["nearest"][8:16]]
            text = f"{name}: samples, and below each the nearest training picture"
            add("memory", f"nearest_{index}", text, figures.rows, pairs, ["sample", "nearest"] * 2)
        text = f"{name}: straight lines between codes of held-out pictures"
        add("smoothness", f"interpolations_{index}", text, figures.rows, found["interpolations"], [])
        text = f"{name}: {len(found['originals'])} held-out pictures where their codes lie"
        add("map", f"latent_map_{index}", text, figures.latent_map, found["z"][: len(found["originals"])], found["originals"])
    return drawn


def judge_all(bench, makers):
    """Judge the candidate that each maker makes: {name: numbers}, {name: arrays}; progress on stderr."""
    from tqdm import tqdm

    judged, arrays = {}, {}
    with tqdm(makers, unit="model", disable=None, leave=False) as bar:
        for make in bar:
            candidate = make()
            bar.set_description(candidate.name)
            judged[candidate.name], arrays[candidate.name] = bench.judge(candidate)
    return judged, arrays


def write(out, bench, models, judged, arrays):
    """The report in the folder `out`, and its summary on the terminal. models: names that the title gives."""
    from keras_ae.files import folder_written_whole
    from keras_ae.judging import report
    from keras_ae.training import runs

    real = bench.floor()
    protocol = {
        "models": models,
        "data": bench.pictures.name,
        "fingerprint": bench.pictures.fingerprint,
        "n_train": bench.pictures.n_train,
        "n_test": bench.pictures.n_test,
        "n_held_out": len(bench.held_out),
        "n_samples": bench.n,
        "seed": bench.seed,
        "features": bench.features_name,
        "versions": runs.versions(),
    }
    with folder_written_whole(out) as folder:
        numbers = {"protocol": protocol, "real": real, "models": judged}
        (folder / "metrics.json").write_text(json.dumps(numbers, indent=2) + "\n")
        (folder / "pictures").mkdir()
        drawn = draw(folder / "pictures", judged, arrays)
        (folder / "index.html").write_text(report.page(protocol, judged, real, drawn))
    print(summary(judged, real, bench.features_name))
    print(f"report  {out / 'index.html'}  (and metrics.json, pictures/)")


def check_out(out):
    """UserError if the folder `out` holds something that is no report."""
    from keras_ae.errors import UserError

    if out.exists() and not (out / "metrics.json").exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is no report; choose another --out")


def evaluate(arguments):
    from keras_ae.errors import UserError
    from keras_ae.exports.reading import Exported
    from keras_ae.judging import features, judge

    out = Path(arguments.out)
    check_out(out)
    models = {name: Exported(folder) for name, folder in named(arguments.compare or [arguments.model]).items()}
    for name, model in models.items():
        model.check_rebuilds()
        if model.labels:
            raise UserError(f"{name} is conditional, and is judged by python -m keras_ae.study labels --model {model.folder}")
    pictures = load_pictures(models, arguments.data)
    chosen = arguments.features
    if chosen == "auto":
        chosen = "inception" if features.inception_is_present() else "gabor"
    bench = judge.Judge(pictures, arguments.n, chosen, arguments.seed)
    warn_of_strangers(models, pictures)
    makers = [functools.partial(candidate, model, name) for name, model in models.items()]
    makers += [functools.partial(bench.baseline, size) for size in sorted({model.latent_dim for model in models.values()})]
    write(out, bench, list(models), *judge_all(bench, makers))


def summary(judged, real, chosen):
    """The closing table on the terminal."""
    frechet = "fid" if chosen == "inception" else f"fd_{chosen}"
    lines = [f"{'':<22}  PSNR dB    SSIM  sharpness  {frechet:>9}  precision  recall  nearest"]
    for name, model in [*judged.items(), ("real pictures", {"reconstruction": {}, "samples": real})]:
        one, other = model["reconstruction"], model["samples"] or {}
        cells = [(one.get("psnr"), 9, 2), (one.get("ssim"), 8, 3), (one.get("sharpness"), 11, 2), (other.get(frechet), 11, 2)]
        cells += [(other.get("precision"), 11, 2), (other.get("recall"), 8, 2), (other.get("nearest_training"), 9, 2)]
        text = "".join(
            f"{value:{width}.{digits}f}" if value is not None else f"{'-':>{width}}" for value, width, digits in cells
        )
        lines.append(f"{name:<22}{text}")
    return "\n".join(lines)


def main(argv=None):
    commandline.run(parser(), evaluate, argv)


if __name__ == "__main__":
    main()
