"""What codes look like, what lies between them, and what else they are good for."""

import statistics

import numpy as np

from keras_ae.codes import directions as attributes
from keras_ae.codes.projections import principal
from keras_ae.data import pipeline as data
from keras_ae.errors import UserError
from keras_ae.judging import baselines, likelihood
from keras_ae.judging.judge import batched
from keras_ae.media import figures
from keras_ae.models import losses

SHOWN = 10
CLUSTERS = 10
NEIGHBOURS = 5
NOISES = (0.0, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0)
PLANE = 20
BOUND_PICTURES = 500
BOUND_DRAWS = 500


def first_of(models):
    """Name and export of the first."""
    return next(iter(models.items()))


def images_and_labels(pictures, side="test", most=10_000):
    """Images and labels of a side, the first `most`."""
    found = data.first_batch(pictures, side, most)
    return found["image"], found["label"]


def _need_labels(pictures):
    if len(pictures.labels) < 2:
        raise UserError(f"this study needs pictures with labels, such as mnist; {pictures.name} has none")


def latent_map(models, pictures, seed, folder):
    """Held-out codes by class, on the plane of their first two principal components."""
    _need_labels(pictures)
    images, labels = images_and_labels(pictures)
    places = {name: principal(batched(model.encode, images)) for name, model in models.items()}
    figures.scatter(places, labels, pictures.labels, folder / "latent_map.png", f"codes of {len(images):,} held-out pictures")
    return {"n": len(images)}


def code_noise(models, pictures, seed, folder):
    """What is decoded when noise is added to codes, in units of the deviation of each number over the pictures."""
    images, _ = images_and_labels(pictures, most=2000)
    random = np.random.default_rng(seed)
    errors, rows = {}, {}
    for name, model in models.items():
        z = batched(model.encode, images)
        noise = random.normal(size=z.shape) * z.std(axis=0)
        decoded = [batched(model.decode, (z + level * noise).astype("float32")) for level in NOISES]
        errors[name] = [float(np.mean(np.square(images - rebuilt))) for rebuilt in decoded]
        rows |= {f"{name} {level:g}": rebuilt[:SHOWN] for level, rebuilt in zip(NOISES, decoded, strict=True)}
    rows = {"original": images[:SHOWN], **rows}
    figures.rows(list(rows.values()), list(rows), folder / "code_noise.png", "decoded from codes with noise, in deviations")
    curves = {name: (NOISES, values) for name, values in errors.items()}
    title = "reconstruction error under noise added to the codes"
    figures.lines(curves, folder / "code_noise_curve.png", title, "noise (deviations of the codes)", "mean squared error")
    return {"n": len(images), "noise": list(NOISES), "mse": errors}


def _bounds(model, images, seed):
    """Test ELBO on all images and importance-weighted bound on the first, in nats of the Bernoulli likelihood."""
    random = np.random.default_rng(seed)
    found = batched(model.codes, images)
    z_mean, z_log_var = found["z_mean"], found["z_log_var"]

    def nats(image, z):
        rebuilt = batched(model.decode, z.astype("float32"))
        return np.asarray(losses.bernoulli(np.broadcast_to(image, rebuilt.shape), rebuilt))

    z = z_mean + np.exp(z_log_var / 2) * random.normal(size=z_mean.shape)
    distortion = batched(lambda rows: nats(images[rows], z[rows]), np.arange(len(images)))
    rate = likelihood.rate(z_mean, z_log_var).sum(axis=1)
    weights = [
        likelihood.log_weights(images[index], z_mean[index], z_log_var[index], nats, BOUND_DRAWS, random)
        for index in range(min(BOUND_PICTURES, len(images)))
    ]
    tight = likelihood.bounds(np.stack(weights), (BOUND_DRAWS,))[BOUND_DRAWS]
    elbo = -(distortion + rate)
    return {
        "elbo": float(elbo.mean()),
        "standard_error": float(elbo.std() / len(elbo) ** 0.5),
        "reconstruction": float(distortion.mean()),
        "kl": float(rate.mean()),
        f"importance_weighted_{BOUND_DRAWS}": float(tight.mean()),
    }


def plane(models, pictures, seed, folder):
    """The latent plane decoded at the quantiles of N(0, 1), and the test ELBO in nats (Bernoulli)."""
    wide = [name for name, model in models.items() if model.latent_dim != 2]
    if wide:
        raise UserError(f"the plane needs codes of two numbers; {wide[0]} has {models[wide[0]].latent_dim}")
    quantiles = [statistics.NormalDist().inv_cdf((index + 0.5) / PLANE) for index in range(PLANE)]
    across, up = np.meshgrid(quantiles, quantiles[::-1])
    z = np.stack([across.ravel(), up.ravel()], axis=1).astype("float32")
    panels = {name: batched(model.decode, z) for name, model in models.items()}
    figures.squares(panels, folder / "plane.png", "decoded from the latent plane, at the quantiles of N(0, 1)")
    images, _ = images_and_labels(pictures)
    return {"n": len(images), "bounds": {name: _bounds(model, images, seed) for name, model in models.items()}}


def neighbours(models, pictures, seed, folder):
    """Accuracy of the five nearest training pictures' vote on held-out classes: in codes, in PCA's scores, in raw pixels."""
    from sklearn.neighbors import KNeighborsClassifier

    _need_labels(pictures)
    train, told = images_and_labels(pictures, "train", 60_000)
    test, truth = images_and_labels(pictures)

    def accuracy(encode):
        classifier = KNeighborsClassifier(NEIGHBOURS).fit(encode(train), told)
        return float(classifier.score(encode(test), truth))

    found = {name: accuracy(lambda images, model=model: batched(model.encode, images)) for name, model in models.items()}
    for size in sorted({model.latent_dim for model in models.values()}):
        pca = baselines.fit_pca(lambda: [train], size)
        found[f"PCA-{size}"] = accuracy(pca.encode)
    found["raw pixels"] = accuracy(lambda images: images.reshape(len(images), -1))
    title = f"{len(test):,} held-out pictures named by {NEIGHBOURS} neighbours among {len(train):,}"
    figures.bars(found, folder / "neighbours.png", title, "accuracy")
    return {"n_train": len(train), "n_test": len(test), "k": NEIGHBOURS, "accuracy": found}


def clusters(models, pictures, seed, folder):
    """A Gaussian mixture over the codes: each cluster by its medoid and members, and ways from one medoid to the next."""
    from sklearn.metrics import normalized_mutual_info_score
    from sklearn.mixture import GaussianMixture

    name, model = first_of(models)
    images, told = images_and_labels(pictures)
    z = batched(model.encode, images).astype("float64")
    mixture = GaussianMixture(CLUSTERS, reg_covar=1e-3 * z.var(axis=0).mean(), random_state=seed).fit(z)
    member = mixture.predict(z)
    rows, medoids = [], []
    for cluster in range(CLUSTERS):
        inside = np.flatnonzero(member == cluster)
        if not len(inside):
            continue
        away = np.square(z[inside] - mixture.means_[cluster]).sum(axis=1)
        order = inside[np.argsort(away)]
        medoids.append(order[0])
        # the medoid, then members from near to far
        rows.append(images[order[np.linspace(0, len(order) - 1, SHOWN).astype(int)]])
    text = [f"{np.sum(member == cluster):,}" for cluster in range(CLUSTERS) if np.any(member == cluster)]
    figures.rows(rows, text, folder / "clusters.png", f"{name}: clusters of codes; medoid first, then members from near to far")
    ways = []
    for start, end in zip(medoids, medoids[1:], strict=False):
        ways.append(model.decode(attributes.moved(z[start], z[end] - z[start], np.linspace(0, 1, SHOWN))))
    figures.rows(ways, [], folder / "clusters_ways.png", f"{name}: from the medoid of one cluster to that of the next")
    numbers = {"n": len(images), "sizes": [int(np.sum(member == cluster)) for cluster in range(CLUSTERS)]}
    if len(pictures.labels) > 1:
        numbers["normalized_mutual_information_with_labels"] = float(normalized_mutual_info_score(told, member))
    return numbers
