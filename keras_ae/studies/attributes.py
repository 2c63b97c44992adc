"""Drawn cats edited along each of their factors; how far a regressor of factors sees the edited one and the others move."""

import numpy as np
from sklearn.metrics import r2_score
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from keras_ae.codes import directions
from keras_ae.data.sets.cat_drawing import drawn
from keras_ae.data.sets.cat_factors import RANGES, factor_value
from keras_ae.judging import baselines
from keras_ae.judging.features import extractor
from keras_ae.media import charts, figures
from keras_ae.media.images import to_float
from keras_ae.studies import movements

TRAINING_SEED, LEARNING_SEED, TEST_SEED = 101, 102, 103
SHOWN_STRENGTHS = (-3, -1.5, 0, 1.5, 3)


def _cats(n, shape, seed):
    """Factors of n drawn cats, and their images (n, H, W, C)."""
    factors, pixels = drawn(n, shape, seed)
    return factors, to_float(pixels)


def standardised(factors):
    """The number factors in standard deviations of their uniform distributions, from the middle of their ranges: (n, 18)."""
    values = np.array([[factor_value(one, name) for name in RANGES] for one in factors])
    low, high = np.array(list(RANGES.values())).T
    return (values - (low + high) / 2) / ((high - low) / np.sqrt(12))


def regressor(shape, seed, n=5000, tested=1000):
    """A function images -> number factors (n, 18), trained on drawn cats, and the R^2 of each factor on other drawn cats."""
    factors, images = _cats(n, shape, TRAINING_SEED)
    pca, extract = baselines.fit_pca(lambda: [images], 128), extractor("gabor")

    def seen(images):
        return np.concatenate([extract(images), pca.encode(images)], axis=1)

    scaler = StandardScaler().fit(seen(images))
    network = MLPRegressor(hidden_layer_sizes=(256,), alpha=1e-2, early_stopping=True, random_state=seed)
    network.fit(scaler.transform(seen(images)), standardised(factors))

    def read(images):
        return network.predict(scaler.transform(seen(images)))

    factors, images = _cats(tested, shape, TEST_SEED)
    return read, r2_score(standardised(factors), read(images), multioutput="raw_values")


def run(models, image_set, seed, folder, *, trained=5000, learned=2000, edited=100, readable=0.5):
    """Movement of each factor for an edit of one standard deviation, in standard deviations.

    Only factors that the regressor reads with an R^2 above `readable` are edited. trained, learned, edited: numbers of drawn
    cats that the regressor is trained on, that directions are fitted to, that are edited.
    """
    name, model = next(iter(models.items()))
    read, r2 = regressor(model.shape, seed, trained)
    factors, images = _cats(learned, model.shape, LEARNING_SEED)
    codes = model.encode(images)
    z = model.encode(_cats(edited, model.shape, TEST_SEED)[1])
    chosen = [factor for factor, score in zip(RANGES, r2, strict=True) if score > readable]
    columns = [list(RANGES).index(factor) for factor in chosen]
    rows, slopes = [], []
    for factor in tqdm(chosen, "editing", disable=None, leave=False):
        way = directions.direction(codes, [factor_value(one, factor) for one in factors])
        rows.append(model.decode(directions.moved(z[0], way, SHOWN_STRENGTHS)))
        less, more = (read(model.decode((z + side * way).astype("float32")))[:, columns].mean(axis=0) for side in (-1, 1))
        slopes.append((more - less) / 2)
    headings = [f"{strength:g}" for strength in SHOWN_STRENGTHS]
    title = f"{name}: a cat edited by -3 to 3 standard deviations of each factor"
    figures.rows(rows, chosen, folder / "attributes.png", title, headings)
    slopes = np.array(slopes)
    title = f"{name}: movement of each factor (columns) when one is edited (rows)"
    charts.matrix(slopes, chosen, chosen, folder / "attributes_matrix.png", title)
    own, others = movements.own_and_others(slopes)
    return {
        "n": edited,
        "regressor_r2": dict(zip(RANGES, r2.round(3).tolist(), strict=True)),
        **movements.named(chosen, slopes),
        "mean": {"edited": float(own.mean()), "others": float(others.mean())},
    }
