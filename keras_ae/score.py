"""Find the unusual pictures of a folder, and where they are unusual: python -m keras_ae.score --data DIR

Scores are the reconstruction error and, of a VAE, the negative ELBO. With usual pictures, of --reference or kept in the export,
also how far features lie from theirs at each place, as heat maps and decisions. A folder as that of MVTec AD (train/good,
test, ground_truth) needs no --reference, and its defects are counted.
"""

from pathlib import Path

import numpy as np

from keras_ae import commandline
from keras_ae.commandline import EXPORT, check_out, command, number, option, picture_options, read_batches, warn
from keras_ae.errors import UserError
from keras_ae.files import write_folder
from keras_ae.images import pages, pictures
from keras_ae.priors import space

SHOWN = 200  # pictures of a section of the page


def score(model, images, labels=None):
    """Scores of uint8 images (n, H, W, C) under an export: mse, and of a VAE neg_elbo, each (n,).

    mse: per pixel on [-1, 1], from the mean code. neg_elbo: in nats, -log N(image | reconstruction, variance) + KL at the mean
    code, where the variance is the model's held-out mean squared error; missing where the card has none. labels: class numbers
    (n,) for a conditional model.
    """
    codes = model.codes(images, labels)
    rebuilt = np.clip(model.decode(codes["z"], labels), -1, 1)
    squared = np.square(pictures.to_float(images) - rebuilt).reshape(len(images), -1).astype("float64")
    scores = {"mse": squared.mean(axis=1)}
    variance = model.card.get("held_out", {}).get("mse")
    if "z_log_var" in codes and variance:
        kl = space.kl(codes["z_mean"].astype("float64"), codes["z_log_var"].astype("float64")).sum(axis=1)
        scores["neg_elbo"] = space.nats(squared, variance).sum(axis=1) + kl
    return scores


def learn(model, directory, false_alarms):
    """An `exports.anomalies.Detector` of the usual pictures in a folder, of which the tenth that training holds out sets
    the threshold; it warns where they are too few for this rate of false alarms."""
    from keras_ae.data import pipeline
    from keras_ae.exports.anomalies import Detector

    usual = pipeline.load("folder", str(directory), model.shape[:2], model.shape[2], model.white, model.fit)
    # the number of each class of the folder to the model; None where it has none
    numbers = model.labels_of([Path(directory, name, "any") for name in usual.labels or ("",)], directory)
    labels = [None if numbers is None else numbers[usual.classes[side]] for side in ("train", "test")]
    detector = Detector(model, usual.images["train"], usual.images["test"], labels, false_alarms)
    if (expected := detector.about["expected_false_alarms"]) > false_alarms:
        held_out = f"{detector.about['n_held_out']} held-out pictures allow a rate of false alarms of {expected:.3f}"
        warn(f"{held_out}; {false_alarms:g} needs {round(10 / false_alarms):,} usual pictures, of which a tenth is held out")
    return detector


def draw_heat(image, heat):
    """A uint8 image (H, W, C) beside its map (H, W) in colours, uint8 (H, 2 * W + 2, 3); orange is the threshold."""
    from matplotlib import colormaps

    coloured = 255 * colormaps["inferno"](np.clip(heat / 1.5, 0, 1))[..., :3]
    grey = image.mean(axis=-1, keepdims=True)
    shown = np.broadcast_to(image[..., :3], (*image.shape[:2], 3))
    return pictures.grid(np.stack([shown, np.rint(0.35 * grey + 0.65 * coloured).astype("uint8")]), 2)


def read_masks(root, files, shape, fit):
    """Where the defects of picture files in root/test are, bool (n, H, W); nowhere without a mask in root/ground_truth."""
    masks = np.zeros((len(files), *shape[:2]), bool)
    for mask, file in zip(masks, files, strict=True):
        place = root / "ground_truth" / file.parent.relative_to(root / "test")
        for path in filter(Path.exists, (place / f"{file.stem}_mask.png", place / f"{file.stem}.png")):
            mask[:] = pictures.read(path, (*shape[:2], 1), fit=fit)[..., 0] > 127
    return masks


def write_page(folder, rows, directory, said, shown):
    """Write scores.csv and scores.html. rows: dicts that begin with "file" and end with the score that ranks them."""
    rows = sorted(rows, key=lambda row: list(row.values())[-1], reverse=True)
    *_, name = rows[0]
    parts = {"The least likely first": rows}
    if shown:
        parts = {
            title: [row for row in rows if row["anomalous"] == word] for title, word in (("Anomalous", "yes"), ("Usual", "no"))
        }
    sections = {
        f"{title}: {len(part):,}": [(row["file"], [f"{name} {row[name]:.4g}"]) for row in part[:SHOWN]]
        for title, part in parts.items()
    }
    table = [(pictures.printable(row["file"]), *list(row.values())[1:]) for row in rows]
    pages.write(folder / "scores.csv", [list(rows[0]), *table], directory, said, sections, shown)
    return rows[0]["file"]


@command(
    *picture_options(data="folder of picture files; its sub-folders are the classes for a conditional model"),
    option("--reference", metavar="DIR", help="folder of usual pictures, best those that the model was trained on"),
    option("--false-alarms", type=number(1e-5, 0.5), default=0.01, help="share of usual pictures above the threshold"),
    option("--keep", action="store_true", help="keep what is learned in the export --model, for calls without --reference"),
    option("--out", "--heatmaps", default="scores", metavar="PATH", help="folder to write: scores.csv, one page, heat maps"),
    *EXPORT,
)
def main(arguments):
    path = check_out(arguments)
    model = commandline.open_model(arguments)
    model.check_rebuilds()
    root = Path(arguments.data or "")
    laid_out = bool(arguments.data) and (root / "train" / "good").is_dir() and (root / "test").is_dir()
    reference = arguments.reference or (root / "train" / "good" if laid_out else None)
    if arguments.keep and not reference:
        raise UserError("`keep` keeps what is learned from usual pictures; name a folder of them with `reference`")
    directory = root / "test" if laid_out else arguments.data
    paths = pictures.choose(arguments.pictures, directory)
    find, about = (model.find_anomalies, model.card["anomaly"]) if "anomaly" in model.card else (None, {})
    if reference:
        commandline.import_tensorflow()
        from keras_ae.exports.anomalies import keep

        find = learn(model, reference, arguments.false_alarms)
        about = find.about
        if arguments.keep and (missing := keep(find, model)):
            warn(f"no onnx/anomaly.onnx: {missing}")
    rows, maps, shown = [], [], {}
    with write_folder(path, arguments.force) as folder:
        for files, images, labels in read_batches(model, paths, directory, 64):
            scores = score(model, images, labels)
            if find:
                found = find(images, labels)
                names = [
                    f"heatmaps/{len(rows) + index:05}_{pictures.printable(file.stem)}.png" for index, file in enumerate(files)
                ]
                for file, name, image, heat in zip(files, names, images, found["map"], strict=True):
                    shown[file] = folder / name
                    pictures.write_png(folder / name, draw_heat(image, heat))
                maps += [found["map"]] if laid_out else []
                decisions = np.where(found["anomalous"], "yes", "no")
                scores |= {"anomalous": decisions, "heatmap": names, "score": found["score"]}
            rows += [dict(zip(("file", *scores), row, strict=True)) for row in zip(files, *scores.values(), strict=True)]
        said = [f"{len(rows):,} pictures"]
        if find:
            chance = f"{about['expected_false_alarms']:.2%} of usual ones are expected"
            said = [f"{sum(row['anomalous'] == 'yes' for row in rows):,} of {said[0]} are anomalous; {chance}"]
        bad = [row["file"].parent.name != "good" for row in rows]
        if laid_out and len(set(bad)) == 2:
            from keras_ae.judge.anomalies import measure

            masks = read_masks(root, [row["file"] for row in rows], model.shape, model.fit)
            scores, decisions = [row["score"] for row in rows], [row["anomalous"] == "yes" for row in rows]
            figures = measure(scores, decisions, bad, np.concatenate(maps), masks)
            said.append(", ".join(f"{name} {value:.3f}" for name, value in figures.items()))
        first = write_page(folder, rows, directory or ".", said, shown)
    print(f"{'; '.join(said)}; first {pictures.printable(first)} -> {path}: scores.csv, scores.html")
