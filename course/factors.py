"""How codes encode the known factors of images: whether each factor has a number of its own, and how visible it is."""

import dataclasses

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import mutual_info_score

BINS = 20
# trees of a forest, and the fewest codes in a leaf: single codes would make noise look important
TREES, LEAF = 30, 10


def mutual_information_gap(codes, factors, bins=BINS):
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
    options = {"n_estimators": TREES, "min_samples_leaf": LEAF, "max_features": None, "random_state": seed, "n_jobs": -1}

    def read(name, values):
        forest = (RandomForestClassifier if name in classes else RandomForestRegressor)(**options)
        return forest.fit(codes, values).feature_importances_

    return np.stack([read(name, values) for name, values in factors.items()], axis=1)


def _unevenness(shares):
    """1 - the entropy of each row, relative to that of equal shares: 1 if a row has one share, 0 if all are equal."""
    shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    logarithms = np.log(np.where(shares > 0, shares, 1))
    return 1 + (shares * logarithms).sum(axis=1) / np.log(shares.shape[1])


def disentanglement(importance):
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
