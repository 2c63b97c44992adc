"""Disentanglement: traversals of single numbers of a code, and whether each factor of drawn cats has a number of its own."""

import dataclasses

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import mutual_info_score

from course import checks
from keras_ae.data.drawn_cats import CLASSES, RANGES, SIMPLE, draw, draw_cats
from keras_ae.errors import UserError
from keras_ae.images import figures
from keras_ae.images.pictures import to_float
from keras_ae.judge import likelihood
from keras_ae.priors import space

CATS_SEED = 101
STEPS = (-3, -1.5, 0, 1.5, 3)


def mutual_information_gap(codes, factors, bins=20):
    """Mean over factors of (largest - second largest mutual information with a number of the code) / entropy, and each.

    codes (n, latent_dim); factors: {name: integers (n,)}. Each number is cut into bins of equal width; in a code of one number,
    the second largest is 0. Chen et al. 2018 (arXiv:1802.04942), section 4.1; the bins are those of Locatello et al. 2019.
    """
    cut = [np.digitize(column, np.histogram(column, bins)[1][:-1]) for column in codes.T]
    gaps = {}
    for name, values in factors.items():
        first, second = sorted([0.0, *(mutual_info_score(values, column) for column in cut)])[:-3:-1]
        gaps[name] = float((first - second) / mutual_info_score(values, values))
    return float(np.mean(list(gaps.values()))), gaps


def importances(codes, factors, classes, seed=0):
    """How much each number of the code matters to a random forest that reads each factor from all: (latent_dim, factors).

    codes (n, latent_dim); factors: {name: integers (n,)}; classes: names of those that have no order. Columns sum to 1.
    """
    # ten codes in a leaf at least: single codes would make noise look important
    options = {"n_estimators": 30, "min_samples_leaf": 10, "max_features": None, "random_state": seed, "n_jobs": -1}

    def read(name, values):
        forest = (RandomForestClassifier if name in classes else RandomForestRegressor)(**options)
        return forest.fit(codes, values).feature_importances_

    return np.stack([read(name, values) for name, values in factors.items()], axis=1)


def _unevenness(shares):
    """1 - the entropy of each row, relative to that of equal shares: 1 if a row has one share, 0 if all are equal."""
    shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    logarithms = np.log(np.where(shares > 0, shares, 1))
    return 1 + (shares * logarithms).sum(axis=1) / np.log(shares.shape[1])


def dci(importance):
    """Whether each number of the code matters to one factor alone, from `importances`: 1 if so, 0 if to all alike.

    The mean over the numbers, weighted by their importance. Eastwood & Williams 2018 (ICLR), section 2.
    """
    weights = importance.sum(axis=1) / importance.sum()
    return float(weights @ _unevenness(importance))


def visibility(draw, factors, names):
    """Share of the variance of pixels that goes with each factor: {name: number}.

    draw: a function from factors to an image; factors: n of them. Half the mean squared change of the images when one factor is
    that of another image, relative to the variance of pixels: the total effect of Homma & Saltelli 1996. Effects that depend on
    each other count for each of their factors.
    """
    images = np.stack([draw(one) for one in factors]).astype("float64")
    others = [*factors[1:], factors[0]]

    def changed(name):
        swapped = [dataclasses.replace(one, **{name: getattr(other, name)}) for one, other in zip(factors, others, strict=True)]
        return np.square(images - np.stack([draw(one) for one in swapped])).mean() / 2

    variance = images.var(axis=0).mean()
    return {name: float(changed(name) / variance) for name in names}


def classes_of(factors, simple=False):
    """Every factor that varies as integers (n,): classes as they are, number factors in ten equal parts of their range."""
    ranges = SIMPLE if simple else RANGES
    values = {name: np.array([getattr(one, name) for one in factors]) for name in (*(() if simple else CLASSES), *ranges)}
    for name, (low, high) in ranges.items():
        values[name] = np.clip(10 * (values[name] - low) / (high - low), 0, 9).astype(int)
    return values


def traversals(model, z, codes, steps=STEPS):
    """Images (latent_dim, len(steps), H, W, C) of one code z (latent_dim,) in which one number takes other values.

    These are `steps` in standard deviations from the mean of that number over codes (n, latent_dim).
    """
    moved = np.tile(z, (len(z), len(steps), 1))
    places = np.arange(len(z))
    moved[places, :, places] = codes.mean(axis=0)[:, None] + np.asarray(steps) * codes.std(axis=0)[:, None]
    images = model.decode(moved.reshape(-1, len(z)).astype("float32"))
    return images.reshape(len(z), len(steps), *images.shape[1:])


def _draw(name, images, kl, path, shown):
    """Rows of the numbers with the largest effect, the absolute change between both ends as last column: their effects."""
    change = np.abs(images[:, -1] - images[:, 0]) / 2
    effect = change.mean(axis=(1, 2, 3))
    order = np.argsort(effect)[::-1][:shown]
    # the same factor for all rows, so that their changes can be compared
    factor = max(1.0, np.floor(1 / max(np.percentile(change[order], 99.5), 1e-3)))
    rows = [[*images[number], 1 - 2 * np.clip(factor * change[number], 0, 1)] for number in order]
    labels = [f"number {number + 1}: {kl[number]:.1f} nats" for number in order]
    headings = [*(f"{step:g}" for step in STEPS), f"change x{factor:g}"]
    title = f"{name}: one number from -3 to 3 standard deviations; last column: absolute change between both ends"
    figures.rows(np.asarray(rows, "float32"), labels, path, title, headings)
    return {f"number {number + 1}": {"kl": float(kl[number]), "change": float(effect[number])} for number in order}


def _rebuild(model, batch):
    return model.reconstruct(batch["images"])


def disentanglement(models, image_set, seed, folder, *, scored=5000, shown=6, seen=300):
    """Disentanglement, KL and active units of each VAE on drawn cats; for the picture, the KL and effect of each row.

    Cats vary as those that the model was trained on. The effect of a number is the mean absolute difference on [0, 1] between
    the images of both ends of its traversal. seen: cats that the visibility of each factor is measured on.
    """
    checks.need_unconditional(models)
    numbers, visible = {}, {}
    for name, model in models.items():
        simple = model.card.get("data", {}).get("name") == "simple_cats"
        factors, pixels = draw_cats(scored, model.shape, CATS_SEED, simple)
        codes = model.codes(to_float(pixels))
        if "z_log_var" not in codes:
            raise UserError(f"{name} has no Gaussian latent; this study needs a VAE")
        mean = codes["z_mean"]
        kl = space.kl(np.float64(mean), np.float64(codes["z_log_var"])).mean(axis=0)
        classes = classes_of(factors, simple)
        mig, gaps = mutual_information_gap(mean, classes)
        importance = importances(mean, classes, CLASSES, seed)
        if simple not in visible:
            visible[simple] = visibility(draw, factors[:seen], classes)
        held_out = checks.held_out(
            model.card, "held_out", image_set, lambda batch, model=model: model.reconstruct(batch["images"])
        )
        z = mean[0]
        images = traversals(model, z, mean)
        numbers[name] = {
            "factors": len(classes),
            "mig": mig,
            "dci": dci(importance),
            "best": {factor: round(gaps[factor], 3) for factor in sorted(gaps, key=gaps.get, reverse=True)[:5]},
            "kl": float(kl.sum()),
            "active": likelihood.usage(mean, codes["z_log_var"])["active_units"],
            "psnr": held_out["psnr"],
            "shown": _draw(name, images, kl, folder / f"disentanglement_{name}.png", shown),
        }
    shares = {"simple_cats" if simple else "synthetic_cats": shares for simple, shares in visible.items()}
    return {"n": scored, "models": numbers, "visibility": shares}
