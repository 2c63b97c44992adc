"""Drawn cats with defects, and masks that show where: a data set for the search for anomalies, in the layout of MVTec AD.

That is train/good, test/good and test/KIND, and in ground_truth/KIND for each picture of test/KIND a mask that is white where
the defect is (Bergmann et al. 2019).
"""

import numpy as np

from keras_ae.data import drawn_cats
from keras_ae.files import write_folder
from keras_ae.images import pictures

KINDS = ("scratch", "spot", "missing")
# parts that can be missing, and their height above the face; of the muzzle there is one
PARTS = {"eyes": 1.0, "ears": -0.5, "muzzle": None}


def draw_defect(seed, index, kind, size=64):
    """Cat number `index` of the sequence `seed` with a defect of `KINDS`: uint8 (size, size, 3), its mask bool (size, size).

    A scratch is a bent line, lighter or darker than what is below it; a spot is an ellipse of any colour; what is missing is an
    eye, an ear or the muzzle. The mask has the pixels that the defect changes by more than 8 levels.
    """
    factors, random = drawn_cats.sample_factors(seed, index), np.random.default_rng((seed, index, KINDS.index(kind)))
    good, (x, y) = drawn_cats.draw(factors, size).astype("float64"), drawn_cats.plane(size)
    if kind == "missing":
        part, side = list(PARTS)[random.integers(len(PARTS))], random.choice([-1, 1])
        across, _ = drawn_cats.place_head(factors, x, y, PARTS[part] or 0.0)
        cover, colour = (side * across > 0) | (PARTS[part] is None), drawn_cats.draw(factors, size, without=part)
    else:
        centre, angle = random.uniform(-0.6, 0.6, 2), random.uniform(0, np.pi)
        along = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
        across = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
        if kind == "scratch":
            end, bend = random.uniform(0.2, 0.5), random.uniform(-0.6, 0.6)
            distance, _ = drawn_cats.segment(along, across + bend * along**2, (-end, 0), (end, 0))
            distance = distance - random.uniform(0.012, 0.03)
        else:
            distance = drawn_cats.ellipse(along, across, *random.uniform(0.06, 0.16, 2))
            colour = 255 * drawn_cats.rainbow(*random.uniform((0, 0.4, 0.2), 1))
        cover = 0.9 * np.clip(0.5 - distance * size / 2, 0, 1)
        if kind == "scratch":
            colour = 20 if np.average(good.mean(axis=-1), weights=cover + 1e-9) > 128 else 240
    bad = good.copy()
    drawn_cats.paint(bad, cover, colour)
    bad = np.rint(bad).astype("uint8")
    return bad, np.abs(bad - good).max(axis=-1) > 8


def write(directory, good=1000, each=50, size=64, seed=0, force=False):
    """Write the data set into a new folder: `good` pictures to learn from, and `each` in every folder of test/.

    Raises UserError if something else is there, unless it may be replaced by `force`.
    """
    with write_folder(directory, force) as folder:
        cats = drawn_cats.draw_all([(seed, index, False) for index in range(good + each)], size)
        for index, (_, cat) in enumerate(cats):
            pictures.write_png(folder / ("train" if index < good else "test") / "good" / f"{index:05}.png", cat)
        for index in range(good + each, good + each * (1 + len(KINDS))):
            kind = KINDS[index % len(KINDS)]
            bad, mask = draw_defect(seed, index, kind, size)
            pictures.write_png(folder / "test" / kind / f"{index:05}.png", bad)
            pictures.write_png(folder / "ground_truth" / kind / f"{index:05}_mask.png", 255 * mask[..., None].astype("uint8"))
