"""Studies of edits: how far an edit moves the property that it edits, and how far it moves the others."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.metrics import r2_score
from tqdm import tqdm

from course import charts, checks
from keras_ae.data import pipeline
from keras_ae.data.drawn_cats import RANGES, draw_cats, factor_value
from keras_ae.images import figures, properties
from keras_ae.images.pictures import to_float
from keras_ae.models.optimizers import cosine, muon
from keras_ae.priors import space

# added to the seed: different cats for the network that measures edits, for that which directions are calibrated with, and for
# the directions
MEASURING_SEED, CALIBRATING_SEED, LEARNING_SEED, CALIBRATED_SEED, TEST_SEED = 101, 104, 102, 105, 103


def slopes(model, z, ways, measure):
    """Change of each property (columns) for an edit of one standard deviation along each way (rows): the mean over codes.

    z (n, latent_dim): the codes that are edited. measure: images -> properties (n, k).
    """

    def at(side, way):
        return measure(model.decode((z + side * way).astype("float32"))).mean(axis=0)

    return np.stack([(at(1, way) - at(-1, way)) / 2 for way in tqdm(ways, "editing", disable=None, leave=False)])


def calibrate(ways, movements, ridge=0.1):
    """Combinations of k ways (k, latent_dim), each of which moves its own property by one standard deviation and no other.

    movements (k, k): how far each way (rows) moves each property (columns) as measured, in standard deviations. Least
    squares; properties that hardly move, by less than `ridge`, are not amplified.
    """
    gram = movements @ movements.T + ridge**2 * np.eye(len(movements))
    return np.linalg.solve(gram, movements).T @ ways


def own_and_others(moved):
    """Of `slopes`, edited properties in rows: the diagonal, and the mean absolute value of the rest of each row."""
    own = np.diag(moved)
    return own, np.abs(moved - np.diag(own)).sum(axis=1) / max(1, len(moved) - 1)


def by_name(names, moved):
    """`own_and_others` as {"edited_moves": {name: number}, "others_move": {name: number}}."""
    moves = zip(("edited_moves", "others_move"), own_and_others(moved), strict=True)
    return {key: dict(zip(names, values.round(3).tolist(), strict=True)) for key, values in moves}


def edits(models, image_set, seed, folder, *, learned=2000, edited=100, strengths=(-3, -1.5, 0, 1.5, 3), shown=2):
    """Movement of each property for an edit of one standard deviation, along separate directions and along single ones.

    learned: number of generated pictures that directions are fitted to. edited: number of held-out images that are edited, of
    which some are `shown`. Properties that are the same in all pictures, such as the warmth of grey ones, are left out.
    """
    checks.need_unconditional(models)
    name, model = next(iter(models.items()))
    pictures, codes = model.generate(learned, seed)
    values = properties.measure(to_float(pictures))
    varied = values.std(axis=0) > 0
    values = values[:, varied]
    names = [name for name, kept in zip(properties.PROPERTIES, varied, strict=True) if kept]
    ways = space.separate(codes, values)
    single = [space.direction(codes, column) for column in values.T]
    z = model.encode(pipeline.examples(image_set, "test", edited))

    def measure(images):
        return properties.measure(images)[:, varied]

    moved, plain = (slopes(model, z, found, measure) / values.std(axis=0) for found in (ways, single))
    headings = [f"{strength:g}" for strength in strengths] * shown
    strips = [np.concatenate([model.decode(space.move(one, way, strengths)) for one in z[:shown]]) for way in ways]
    title = f"{name}: {shown} held-out images, each edited by -3 to 3 standard deviations of each property"
    figures.rows(strips, names, folder / "edits.png", title, headings)
    title = f"{name}: movement of each property (columns) when one is edited (rows)"
    charts.matrix(moved, names, names, folder / "edits_matrix.png", title)
    return {"n": len(z), **by_name(names, moved), "single_directions": by_name(names, plain)}


def standardise(factors):
    """The number factors in standard deviations of their uniform distributions, from the middle of their ranges: (n, 18)."""
    values = np.array([[factor_value(one, name) for name in RANGES] for one in factors])
    low, high = np.array(list(RANGES.values())).T
    return (values - (low + high) / 2) / ((high - low) / np.sqrt(12))


def train_reader(shape, seed, *, cats, epochs, batch=64):
    """A function images (n, H, W, C) -> their number factors (n, 18): a convolutional network that sees drawn cats alone.

    seed: of the cats, and of the first weights. cats, epochs: how many cats it sees, how many times.
    """
    keras.utils.set_random_seed(seed)
    factors, pixels = draw_cats(cats, shape, seed)
    x = images = keras.Input(shape)
    for width in (32, 64, 128, 128):
        x = layers.Conv2D(width, 4, strides=2, padding="same", activation="relu")(x)
    x = layers.Dropout(0.2)(layers.Dense(256, activation="relu")(layers.Flatten()(x)))
    network = keras.Model(images, layers.Dense(len(RANGES))(x), name="reader")
    rate, _ = cosine(cats // batch, epochs, learning_rate=2e-3, warmup_steps=100)
    network.compile(muon(rate, clip_norm=1.0), "mse", jit_compile=False)
    network.fit(to_float(pixels), standardise(factors).astype("float32"), batch, epochs, shuffle=True, verbose=0)
    compiled = tf.function(network, reduce_retracing=True)
    return lambda images: space.batched(lambda part: compiled(tf.constant(part)), np.asarray(images, "float32"), 200)


def attributes(models, image_set, seed, folder, *, trained=6000, epochs=10, learned=4000, edited=100, readable=0.5, rounds=2):
    """Movement of each factor for an edit of one standard deviation, in standard deviations.

    Directions are regressions of codes on all factors. They are combined so that each moves its own factor by one standard
    deviation and no other, as far as one network sees it; another network, trained on other cats, measures what they do. Only
    factors that it reads with an R^2 above `readable` from drawings are edited. trained, epochs: of both networks. learned:
    number of drawn cats that directions are fitted to. edited: number of cats that they are calibrated on, and of others that
    are edited. rounds: of calibration; a decoder is not linear, and each round corrects what is left after the one before.
    """
    name, model = next(iter(models.items()))
    checks.need_unconditional({name: model})

    def draw(n, other_seed):
        factors, pixels = draw_cats(n, model.shape, seed + other_seed)
        return standardise(factors), to_float(pixels)

    values, images = draw(1000, TEST_SEED)
    measure = train_reader(model.shape, seed + MEASURING_SEED, cats=trained, epochs=epochs)
    r2 = r2_score(values, measure(images), multioutput="raw_values")
    chosen = [factor for factor, score in zip(RANGES, r2, strict=True) if score > readable]
    columns = [list(RANGES).index(factor) for factor in chosen]
    z = model.encode(images[:edited])
    values, images = draw(learned, LEARNING_SEED)
    ways = single = space.separate(model.encode(images), values)[columns]
    read = train_reader(model.shape, seed + CALIBRATING_SEED, cats=trained, epochs=epochs)
    others = model.encode(draw(edited, CALIBRATED_SEED)[1])
    for _ in range(rounds):
        ways = calibrate(ways, slopes(model, others, ways, read)[:, columns])
    # factors of the edited ones beyond 1.7 standard deviations do not exist: they are uniform. Three in a row, to fit on a page
    strengths, per_row = (-1.5, 0, 1.5), 3
    strips = [model.decode(space.move(z[0], way, strengths)) for way in ways]
    strips += [np.ones_like(strips[0])] * (-len(strips) % per_row)
    starts = range(0, len(strips), per_row)
    rows = [np.concatenate(strips[first : first + per_row]) for first in starts]
    labels = [", ".join(chosen[first : first + per_row]) for first in starts]
    title = f"{name}: a cat edited by -1.5 to 1.5 standard deviations of each factor, {per_row} factors in a row"
    headings = [f"{strength:g}" for strength in strengths] * per_row
    figures.rows(rows, labels, folder / "attributes.png", title, headings)
    moved, plain = (slopes(model, z, found, measure)[:, columns] for found in (ways, single))
    title = f"{name}: movement of each factor (columns) when one is edited (rows)"
    charts.matrix(moved, chosen, chosen, folder / "attributes_matrix.png", title)

    def mean(found):
        return {kind: float(part.mean()) for kind, part in zip(("edited", "others"), own_and_others(found), strict=True)}

    return {
        "n": edited,
        "reader_r2": dict(zip(RANGES, r2.round(3).tolist(), strict=True)),
        **by_name(chosen, moved),
        "mean": mean(moved),
        "mean_before_calibration": mean(plain),
    }
