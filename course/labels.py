"""A conditional model: a class in each row, a code in each column, and how often a classifier recognizes the class."""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from course import charts, checks
from keras_ae.data import pipeline
from keras_ae.errors import UserError
from keras_ae.images import figures
from keras_ae.images.pictures import to_float
from keras_ae.judge import metrics
from keras_ae.judge.features import extractor


def run(models, image_set, seed, folder, *, k=5, drawn=1000, training=20_000, held_out=2000):
    """Agreement of a classifier, `k` nearest neighbours in Gabor features, with the classes of generated and of real images.

    And the sharpness of generated images, as the judge measures it: 1 is that of real ones.
    """
    name, model = next(iter(models.items()))
    if not model.labels:
        raise UserError(f"{name} is not conditional; train experiments/cvae_mnist.toml or another conditional experiment")
    checks.need_images(image_set, k, "train")
    classes = len(model.labels)
    shown = charts.images_in_row(model.shape[1])
    _, z = model.generate(shown, seed)
    rows = [model.decode(z, np.full(shown, index)) for index in range(classes)]
    figures.rows(rows, list(model.labels), folder / "labels.png", f"{name}: a class in each row, a code in each column")
    train, test = (pipeline.first_batch(image_set, *side) for side in (("train", training), ("test", held_out)))
    checks.labels_of(model, name, image_set, train)
    extract = extractor("gabor")
    classifier = KNeighborsClassifier(k).fit(extract(train["images"]), train["label"])
    generated = to_float(model.generate(drawn, seed)[0])
    energy = metrics.gradient_energy
    return {
        "n": drawn,
        "agreement": {
            "generated": float(classifier.score(extract(generated), np.arange(drawn) % classes)),
            "real held-out": float(classifier.score(extract(test["images"]), test["label"])),
        },
        "sharpness": float(np.mean(energy(generated)) / np.mean(energy(test["images"]))),
    }
