"""Where images differ from usual ones: at each place a Gaussian of features (PaDiM, Defard et al. 2021, arXiv:2011.08785).

The plain error of an autoencoder is not enough: fur is never rebuilt, and is no defect. Here what is not reproduced, in a cell
of a few pixels, is compared with what usual images lack at this place where their reconstructions look alike.
"""

import math

import numpy as np
import tensorflow as tf
from scipy import ndimage
from sklearn.covariance import LedoitWolf
from sklearn.metrics import auc, f1_score, roc_auc_score, roc_curve

from keras_ae.judge.features import FLOOR, energies

# pixels of the side of a cell
CELL = 4
# numbers of features that are held in memory
MOST = 2**27


def _pool(maps, side):
    return tf.nn.avg_pool2d(maps, side, side, "VALID")


def describe(images, rebuilt):
    """Features of cells, (n, H // CELL, W // CELL, d), of images and reconstructions (n, H, W, C) in [-1, 1], tensors.

    The first half describes the reconstruction: means of colours and of their squares, and log energies of Gabor filters of up
    to three scales; the second half what it lacks: mean errors of colours, logs of their sizes, and log energies of the error.
    """
    missing = images - rebuilt
    lacking = [_pool(missing, CELL), tf.math.log(_pool(tf.abs(missing), CELL) + FLOOR)]
    halves = [[_pool(rebuilt, CELL), _pool(tf.square(rebuilt), CELL)], lacking]
    for half, maps in zip(halves, (rebuilt, missing), strict=True):
        grey, side = tf.reduce_mean(maps, axis=-1, keepdims=True), CELL
        # a filter reaches 4 pixels beyond the edge, which are mirrored
        while side and min(grey.shape[1:3]) > 4:
            half.append(tf.math.log(_pool(energies(grey), side) + FLOOR))
            grey, side = _pool(grey, 2), side // 2
    return tf.concat(sum(halves, []), axis=-1)


def fit_gaussians(features, progress=lambda cells: cells):
    """Means (h, w, d) and factors (h, w, d, d / 2) of the cells of features (n, h, w, d), see `describe`.

    The length of (features - mean) @ factor is the Mahalanobis distance of the second half, given the first, in units of the
    distance that one of 100 usual images exceeds there. Few images do not determine covariances, which are therefore shrunk
    (Ledoit & Wolf 2004). progress: wraps the list of cells.
    """
    _, height, width, d = features.shape
    means, factors = np.zeros((height, width, d), "float32"), np.zeros((height, width, d, d // 2), "float32")
    for row, column in progress(list(np.ndindex(height, width))):
        fitted = LedoitWolf().fit(features[:, row, column])
        means[row, column] = fitted.location_
        # forward substitution: each number is what those before it do not explain
        factor = np.linalg.inv(np.linalg.cholesky(fitted.covariance_)).T[:, d // 2 :]
        far = np.linalg.norm((features[:, row, column] - fitted.location_) @ factor, axis=1)
        # tails differ: those of eyes are longer than those of fur
        factors[row, column] = factor / np.quantile(far, 0.99)
    return means, factors


def choose_threshold(scores, false_alarms):
    """The threshold that a new good image exceeds with a probability of at most `false_alarms`; and that it really has.

    scores: of n good images that were not learned from. By exchangeability (conformal prediction, Vovk et al. 2005); n images
    allow no rate below 1 / (n + 1).
    """
    n = len(scores)
    rank = min(n, math.ceil((n + 1) * (1 - false_alarms)))
    return float(np.sort(scores)[rank - 1]), 1 - rank / (n + 1)


def pro(maps, masks, most=0.3):
    """Area under the curve of the mean share of each defect that is found, up to a share of `most` of the good pixels, 0 to 1.

    maps: (n, H, W), larger where anomalous. masks: bool (n, H, W); their connected regions are the defects (AUPRO, Bergmann
    et al. 2021).
    """
    weights = np.ones(maps.shape)
    for mask, weight in zip(masks, weights, strict=True):
        regions, _ = ndimage.label(mask, np.ones((3, 3)))
        weight[mask] = 1 / np.bincount(regions.ravel())[regions[mask]]
    wrong, found, _ = roc_curve(masks.ravel(), maps.ravel(), sample_weight=weights.ravel())
    inside = wrong < most
    return auc([*wrong[inside], most], [*found[inside], np.interp(most, wrong, found)]) / most


def measure(scores, anomalous, bad, maps, masks):
    """How well defects are found, {name: 0 to 1}: AUROC of images and of pixels, AUPRO up to 0.3, and F1 of the decisions.

    scores, anomalous, bad: (n,), what was found, what was decided, and what is true; maps, masks: see `pro`. Without a marked
    pixel there is nothing to say of pixels.
    """
    found = {"image_auroc": float(roc_auc_score(bad, scores)), "f1": float(f1_score(bad, anomalous))}
    if masks.any():
        found |= {"pixel_auroc": float(roc_auc_score(masks.ravel(), maps.ravel())), "aupro": float(pro(maps, masks))}
    return found
