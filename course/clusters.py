"""Clusters of codes by a Gaussian mixture: members of each, and interpolations from one cluster to the next."""

import numpy as np
from sklearn.metrics import normalized_mutual_info_score
from sklearn.mixture import GaussianMixture

from course import charts, checks
from keras_ae.data import pipeline
from keras_ae.images import figures
from keras_ae.priors import space


def run(models, image_set, seed, folder, *, clusters=10, held_out=10_000):
    """Sizes of the clusters, and their normalized mutual information with the classes of the images, if there are any."""
    checks.need_images(image_set, clusters)
    checks.need_unconditional(models)
    name, model = next(iter(models.items()))
    batch = pipeline.first_batch(image_set, "test", held_out)
    images = batch["images"]
    shown = charts.images_in_row(images.shape[2])
    z = model.encode(images).astype("float64")
    regularisation = 1e-3 * z.var(axis=0).mean() + 1e-6
    mixture = GaussianMixture(clusters, reg_covar=regularisation, max_iter=500, random_state=seed).fit(z)
    member = mixture.predict(z)
    rows, medoids = {}, []
    for cluster in np.unique(member):
        inside = np.flatnonzero(member == cluster)
        distance = np.square(z[inside] - mixture.means_[cluster]).sum(axis=1)
        nearest_first = inside[np.argsort(distance)]
        medoids.append(nearest_first[0])
        label = f"cluster {cluster + 1}: {len(inside):,}"
        rows[label] = images[nearest_first[np.linspace(0, len(inside) - 1, shown).astype(int)]]
    title = f"{name}: clusters of codes; the medoid, then members with increasing distance"
    figures.rows(list(rows.values()), list(rows), folder / "clusters.png", title)
    lines = [
        model.decode(space.linear(z[start], z[end], shown).astype("float32"))
        for start, end in zip(medoids, medoids[1:], strict=False)
    ]
    if lines:
        title = f"{name}: straight lines from the medoid of one cluster to that of the next"
        figures.rows(lines, [], folder / "clusters_ways.png", title)
    numbers = {"n": len(images), "sizes": np.bincount(member, minlength=clusters).tolist()}
    if len(image_set.labels) > 1:
        numbers["normalized_mutual_information_with_labels"] = float(normalized_mutual_info_score(batch["label"], member))
    return numbers
