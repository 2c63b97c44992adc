"""Classes of held-out images predicted by their nearest training images: in codes, in PCA scores, in raw pixels."""

from sklearn.neighbors import KNeighborsClassifier

from course import charts, checks
from keras_ae.data import pipeline
from keras_ae.judge.judge import fit_pca


def run(models, image_set, seed, folder, *, k=5, training=60_000, held_out=10_000):
    """The accuracy of a majority vote of the `k` nearest neighbours."""
    checks.need_labels(image_set)
    checks.need_images(image_set, k, "train")
    checks.need_unconditional(models)
    train, test = (pipeline.first_batch(image_set, *side) for side in (("train", training), ("test", held_out)))

    def accuracy(encode):
        classifier = KNeighborsClassifier(k).fit(encode(train["images"]), train["label"])
        return float(classifier.score(encode(test["images"]), test["label"]))

    accuracies = {name: accuracy(model.encode) for name, model in models.items()}
    for size in sorted({model.latent_dim for model in models.values()}):
        pca = fit_pca([train["images"]], size)
        accuracies[f"PCA-{size}"] = accuracy(pca.encode)
    accuracies["raw pixels"] = accuracy(lambda images: images.reshape(len(images), -1))
    n_train, n_test = len(train["label"]), len(test["label"])
    title = f"classes of {n_test:,} held-out images by {k} neighbours among {n_train:,} training images"
    charts.bars(accuracies, folder / "neighbours.png", title, "accuracy")
    return {"n_train": n_train, "n_test": n_test, "k": k, "accuracy": accuracies}
