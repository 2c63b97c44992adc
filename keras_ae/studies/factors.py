"""What codes of built-in cats have to do with the factors that drew them."""

import numpy as np
from tqdm import tqdm

from keras_ae.codes import directions
from keras_ae.data import pipeline as data
from keras_ae.data.sets.cat_drawing import CLASSES, RANGES
from keras_ae.judging import baselines
from keras_ae.judging.features import extractor
from keras_ae.judging.judge import batched
from keras_ae.media import figures
from keras_ae.media.images import to_float

# cats that a regressor of factors is trained on, cats that directions are learned from, cats that are edited
TRAINED = 5000
LEARNED = 2000
EDITED = 100
# what a regressor cannot read off real renderings, edits cannot be judged by
READABLE = 0.5
SHOWN = 8
SCORED = 5000
BINS = 20
TRAVERSED = 6
SCORE_SEED, EDIT_SEED, TEST_SEED = 101, 102, 103


def _drawn(n, shape, seed):
    factors, pictures = directions.drawn(n, shape, seed)
    return factors, to_float(pictures)


def _numbers(factors):
    """The number factors as fractions of their ranges, standardised under an even distribution: (n, 18)."""
    values = np.array([[getattr(one, name) for name in RANGES] for one in factors])
    low, high = np.array(list(RANGES.values())).T
    return (values - (low + high) / 2) / ((high - low) / np.sqrt(12))


def _regressor(shape, seed):
    """Pictures -> number factors, learned from renderings alone; and R^2 of each factor on other renderings."""
    from sklearn.metrics import r2_score
    from sklearn.neural_network import MLPRegressor
    from sklearn.preprocessing import StandardScaler

    factors, pictures = _drawn(TRAINED, shape, SCORE_SEED)
    pca = baselines.fit_pca(lambda: [pictures], 128)
    extract = extractor("gabor")

    def seen(images):
        return np.concatenate([extract(images), pca.encode(images)], axis=1)

    scaler = StandardScaler().fit(seen(pictures))
    network = MLPRegressor(hidden_layer_sizes=(256,), alpha=1e-2, early_stopping=True, random_state=seed)
    network.fit(scaler.transform(seen(pictures)), _numbers(factors))

    def read(images):
        return network.predict(scaler.transform(seen(images)))

    factors, pictures = _drawn(1000, shape, TEST_SEED)
    return read, r2_score(_numbers(factors), read(pictures), multioutput="raw_values")


def attributes(models, pictures, seed, folder):
    """Cats edited along each factor; how far a regressor of factors sees the edited one move, and the others."""
    name, model = next(iter(models.items()))
    read, r2 = _regressor(model.shape, seed)
    readable = [factor for factor, score in zip(RANGES, r2, strict=True) if score > READABLE]
    columns = [list(RANGES).index(factor) for factor in readable]
    factors, learned_from = _drawn(LEARNED, model.shape, EDIT_SEED)
    codes = batched(model.encode, learned_from)
    z = batched(model.encode, _drawn(EDITED, model.shape, TEST_SEED)[1])
    strengths = np.array([-1.0, 0.0, 1.0])
    strips, slopes = [], []
    for factor in tqdm(readable, "editing", disable=None, leave=False):
        way = directions.direction(codes, [directions.value(one, factor) for one in factors])
        strips.append(model.decode(directions.moved(z[0], way)))
        edited = [batched(model.decode, (z + strength * way).astype("float32")) for strength in strengths]
        seen = [read(images)[:, columns].mean(axis=0) for images in edited]
        # both sides together: standard deviations of each factor for one of the edited
        slopes.append((seen[2] - seen[0]) / (strengths[2] - strengths[0]))
    labels = [f"{factor}" for factor in readable]
    title = f"{name}: a cat edited from -3 to 3 standard deviations of each factor"
    figures.rows(strips, labels, folder / "attributes.png", title)
    slopes = np.array(slopes)
    title = f"{name}: how far each factor moves (columns) when one is edited (rows)"
    figures.matrix(slopes, readable, readable, folder / "attributes_matrix.png", title)
    own = np.diag(slopes)
    others = np.abs(slopes - np.diag(own)).sum(axis=1) / (len(slopes) - 1)
    return {
        "n": EDITED,
        "regressor_r2": dict(zip(RANGES, r2.round(3).tolist(), strict=True)),
        "edited_moves": dict(zip(readable, own.round(3).tolist(), strict=True)),
        "others_move": dict(zip(readable, others.round(3).tolist(), strict=True)),
        "mean": {"edited": float(own.mean()), "others": float(others.mean())},
    }


def mutual_information_gap(codes, factors):
    """Mean over factors of (greatest - second greatest mutual information with a code) / entropy, and that of each factor.

    codes (n, latent_dim); factors: {name: whole numbers (n,)}. Codes are cut into 20 bins of equal width. Chen et al. 2018
    (arXiv:1802.04942), section 4.1; the bins are those of Locatello et al. 2019.
    """
    from sklearn.metrics import mutual_info_score

    cut = [np.digitize(column, np.histogram(column, BINS)[1][:-1]) for column in codes.T]
    gaps = {}
    for name, values in factors.items():
        information = sorted((mutual_info_score(values, column) for column in cut), reverse=True)
        gaps[name] = float((information[0] - information[1]) / mutual_info_score(values, values))
    return float(np.mean(list(gaps.values()))), gaps


def _classes(factors):
    """Every factor in whole numbers: classes as they are, number factors in ten equal parts of their range."""
    found = {name: np.array([getattr(one, name) for one in factors]) for name in CLASSES}
    for name, (low, high) in RANGES.items():
        values = np.array([getattr(one, name) for one in factors])
        found[name] = np.clip(10 * (values - low) / (high - low), 0, 9).astype(int)
    return found


def disentanglement(models, pictures, seed, folder):
    """Traversals of each latent dimension, by KL, and the mutual information gap of each export on built-in cats."""
    found = {}
    for name, model in models.items():
        factors, images = _drawn(SCORED, model.shape, SCORE_SEED)
        codes = batched(model.codes, images)
        mean, log_var = codes["z_mean"], codes["z_log_var"]
        kl = (0.5 * (np.square(mean) + np.exp(log_var) - 1 - log_var)).mean(axis=0)
        mig, gaps = mutual_information_gap(mean, _classes(factors))
        best = sorted(gaps.items(), key=lambda pair: pair[1], reverse=True)[:5]
        found[name] = {
            "mig": mig,
            "best": {factor: round(gap, 3) for factor, gap in best},
            "kl": float(kl.sum()),
            "active": int((mean.var(axis=0) > 0.01).sum()),
            "psnr": model.card["held_out"]["psnr"],
        }
        order = np.argsort(kl)[::-1][:TRAVERSED]
        z = model.encode(data.examples(pictures, "test", 1))[0]
        rows = []
        for dimension in order:
            ways = np.repeat(z[None], SHOWN, axis=0)
            ways[:, dimension] = np.linspace(-2.5, 2.5, SHOWN)
            rows.append(model.decode(ways))
        labels = [f"{kl[dimension]:.1f} nats" for dimension in order]
        title = f"{name}: each number from -2.5 to 2.5, by KL"
        figures.rows(rows, labels, folder / f"disentanglement_{name}.png", title)
    return {"n": SCORED, "models": found}
