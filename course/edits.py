"""Held-out images edited along each property that pixels show; how far it moves, and what else does."""

import numpy as np

from course import charts, checks, movements
from keras_ae.data import pipeline
from keras_ae.images import figures, properties
from keras_ae.images.pictures import to_float
from keras_ae.priors import space

STRENGTHS = (-3, -1.5, 0, 1.5, 3)
SHOWN = 2


def run(models, image_set, seed, folder, *, learned=2000, edited=100):
    """Movement of each property for an edit of one standard deviation, along separate directions and along single ones.

    learned: number of generated pictures that directions are fitted to. edited: number of held-out images that are edited.
    Properties that are the same in all pictures, such as the warmth of grey ones, are left out.
    """
    checks.need_unconditional(models)
    name, model = next(iter(models.items()))
    pictures, codes = model.generate(learned, seed)
    values = properties.measured(to_float(pictures))
    varied = values.std(axis=0) > 0
    values = values[:, varied]
    names = [name for name, kept in zip(properties.PROPERTIES, varied, strict=True) if kept]
    ways = space.separate(codes, values)
    single = [space.direction(codes, column) for column in values.T]
    z = model.encode(pipeline.examples(image_set, "test", edited))

    def measure(images):
        return properties.measured(images)[:, varied]

    slopes, plain = (movements.slopes(model, z, found, measure) / values.std(axis=0) for found in (ways, single))
    headings = [f"{strength:g}" for strength in STRENGTHS]
    shown = [np.concatenate([model.decode(space.move(one, way, STRENGTHS)) for one in z[:SHOWN]]) for way in ways]
    title = f"{name}: {SHOWN} held-out images, each edited by -3 to 3 standard deviations of each property"
    figures.rows(shown, names, folder / "edits.png", title, headings * SHOWN)
    title = f"{name}: movement of each property (columns) when one is edited (rows)"
    charts.matrix(slopes, names, names, folder / "edits_matrix.png", title)
    return {"n": len(z), **movements.named(names, slopes), "single_directions": movements.named(names, plain)}
