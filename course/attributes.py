"""Drawn cats edited along each of their factors; how far the edited one and the others move, as a network reads them."""

import numpy as np
from sklearn.metrics import r2_score

from course import charts, checks, movements
from course.reading import reader, standardised
from keras_ae.data.drawn_cats import RANGES, draw_cats
from keras_ae.images import figures
from keras_ae.images.pictures import to_float
from keras_ae.priors import space

# added to the seed: different cats for the network that measures edits, for that which directions are calibrated with, and for
# the directions
MEASURING_SEED, CALIBRATING_SEED, LEARNING_SEED, CALIBRATED_SEED, TEST_SEED = 101, 104, 102, 105, 103
# factors are uniform: their ranges end at 1.7 standard deviations
SHOWN_STRENGTHS = (-1.5, 0, 1.5)
FACTORS_IN_A_ROW = 3


def _codes(model, n, seed):
    """Number factors of n drawn cats in standard deviations, (n, 18), and their codes (n, latent_dim)."""
    factors, pixels = draw_cats(n, model.shape, seed)
    return standardised(factors), model.encode(to_float(pixels))


def run(models, image_set, seed, folder, *, trained=6000, epochs=10, learned=4000, edited=100, readable=0.5, rounds=2):
    """Movement of each factor for an edit of one standard deviation, in standard deviations.

    Directions are regressions of codes on all factors. They are combined so that each moves its own factor by one standard
    deviation and no other, as far as one network sees it; another network, trained on other cats, measures what they do. Only
    factors that it reads with an R^2 above `readable` from drawings are edited. trained, epochs: of both networks. learned:
    number of drawn cats that directions are fitted to. edited: number of cats that they are calibrated on, and of others that
    are edited. rounds: of calibration; a decoder is not linear, and each round corrects what is left after the one before.
    """
    name, model = next(iter(models.items()))
    checks.need_unconditional({name: model})
    factors, pixels = draw_cats(1000, model.shape, seed + TEST_SEED)
    measure = reader(model.shape, seed + MEASURING_SEED, cats=trained, epochs=epochs)
    r2 = r2_score(standardised(factors), measure(to_float(pixels)), multioutput="raw_values")
    chosen = [factor for factor, score in zip(RANGES, r2, strict=True) if score > readable]
    columns = [list(RANGES).index(factor) for factor in chosen]
    values, codes = _codes(model, learned, seed + LEARNING_SEED)
    single = space.separate(codes, values)[columns]
    calibrate = reader(model.shape, seed + CALIBRATING_SEED, cats=trained, epochs=epochs)
    _, others = _codes(model, edited, seed + CALIBRATED_SEED)
    ways = single
    for _ in range(rounds):
        ways = space.calibrate(ways, movements.slopes(model, others, ways, calibrate)[:, columns])
    z = model.encode(to_float(pixels[:edited]))
    strips = [model.decode(space.move(z[0], way, SHOWN_STRENGTHS)) for way in ways]
    # several factors in a row, so that many fit on a page
    lines = range(0, len(strips), FACTORS_IN_A_ROW)
    strips += [np.ones_like(strips[0])] * (-len(strips) % FACTORS_IN_A_ROW)
    rows = [np.concatenate(strips[first : first + FACTORS_IN_A_ROW]) for first in lines]
    labels = [", ".join(chosen[first : first + FACTORS_IN_A_ROW]) for first in lines]
    headings = [f"{strength:g}" for strength in SHOWN_STRENGTHS] * FACTORS_IN_A_ROW
    title = f"{name}: a cat edited by -1.5 to 1.5 standard deviations of each factor, {FACTORS_IN_A_ROW} factors in a row"
    figures.rows(rows, labels, folder / "attributes.png", title, headings)
    moved = movements.slopes(model, z, ways, measure)[:, columns]
    title = f"{name}: movement of each factor (columns) when one is edited (rows)"
    charts.matrix(moved, chosen, chosen, folder / "attributes_matrix.png", title)
    plain = movements.slopes(model, z, single, measure)[:, columns]

    def mean(of):
        kinds = zip(("edited", "others"), movements.own_and_others(of), strict=True)
        return {kind: float(found.mean()) for kind, found in kinds}

    return {
        "n": edited,
        "reader_r2": dict(zip(RANGES, r2.round(3).tolist(), strict=True)),
        **movements.named(chosen, moved),
        "mean": mean(moved),
        "mean_before_calibration": mean(plain),
    }
