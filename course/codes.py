"""Studies of what codes hold: maps, the plane of two numbers, noise, neighbours and clusters."""

import statistics

import numpy as np
from sklearn.metrics import normalized_mutual_info_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier

from course import charts, checks
from keras_ae.data import pipeline
from keras_ae.errors import UserError
from keras_ae.images import figures
from keras_ae.images.pictures import to_float
from keras_ae.judge import distances, likelihood
from keras_ae.judge.features import extractor
from keras_ae.judge.judge import export_candidate, fit_pca
from keras_ae.priors import space


def as_images(z, code_shape, shape):
    """Codes (n, latent_dim) as grey images, enlarged by whole pixels: {label: (n, H, W, C)}.

    code_shape: that of the model; a code that is a map (h, w, channels) gives an image for each of its first four channels.
    """
    low, high = np.percentile(z, (1, 99))
    grey = np.clip((z - low) / max(high - low, 1e-12), 0, 1) * 2 - 1
    if len(code_shape) == 3:
        maps = np.moveaxis(grey.reshape(len(z), *code_shape), 3, 0)[:4]
    else:
        height = next(rows for rows in range(int(z.shape[1] ** 0.5), 0, -1) if z.shape[1] % rows == 0)
        maps = grey.reshape(1, len(z), height, -1)
    rows, columns = (np.arange(side) * maps.shape[axis] // side for axis, side in ((2, shape[0]), (3, shape[1])))
    enlarged = maps[:, :, rows][:, :, :, columns][..., None].repeat(shape[2], axis=4)
    return {f"code, map {index + 1}" if len(maps) > 1 else "code": image for index, image in enumerate(enlarged)}


def sampling(models, image_set, seed, folder, *, drawn=1000, held_out=10_000):
    """Frechet distances in Gabor features from held-out images: of samples, and of as many other held-out images."""
    # two for each covariance of real against real
    checks.need_images(image_set, 4)
    checks.need_unconditional(models)
    name, model = next(iter(models.items()))
    images = pipeline.examples(image_set, "test", held_out)
    z = model.encode(images)
    # uniform between the minimum and the maximum of each number, as in the lesson
    uniform = np.random.default_rng(seed).uniform(z.min(axis=0), z.max(axis=0), (drawn, z.shape[1])).astype("float32")
    random, fitted = model.decode(uniform), to_float(model.generate(drawn, seed)[0])
    shown = charts.images_in_row(images.shape[2])
    rows = {
        "original": images[:shown],
        **as_images(z[:shown], model.code_shape, model.shape),
        "rebuilt": model.decode(z[:shown]),
        "random codes": random[:shown],
        "": random[shown : 2 * shown],
        "fitted prior": fitted[:shown],
        " ": fitted[shown : 2 * shown],
    }
    title = f"{name}: codes, and images decoded from random codes"
    figures.rows(list(rows.values()), list(rows), folder / "sampling.png", title)
    extract = extractor("gabor")
    real = extract(images)
    # the distance depends on how many images are compared: the same numbers in each row
    apart = min(drawn, len(real) // 2)
    reference = real[apart:]
    compared = {
        "random codes": extract(random[:apart]),
        "fitted prior": extract(fitted[:apart]),
        "real against real": real[:apart],
    }
    return {"n": apart, "fd_gabor": {kind: distances.frechet(reference, found) for kind, found in compared.items()}}


def latent_map(models, image_set, seed, folder, *, held_out=10_000):
    """One panel for each model."""
    checks.need_labels(image_set)
    batch = pipeline.first_batch(image_set, "test", held_out)
    labels = {name: checks.labels_of(model, name, image_set, batch) for name, model in models.items()}
    places = {name: space.principal(model.encode(batch["images"], labels[name])) for name, model in models.items()}
    title = f"codes of {len(batch['images']):,} held-out images"
    charts.scatter(places, batch["label"], image_set.labels, folder / "latent_map.png", title)
    return {"n": len(batch["images"])}


def code_noise(models, image_set, seed, folder, *, held_out=2000, noises=(0.0, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0)):
    """Mean squared errors of each model; noise is in units of the standard deviation of each number over the images."""
    checks.need_unconditional(models)
    images = pipeline.examples(image_set, "test", held_out)
    shown = charts.images_in_row(images.shape[2])
    random = np.random.default_rng(seed)
    errors, rows = {}, {"original": images[:shown]}
    for name, model in models.items():
        z = model.encode(images)
        noise = random.normal(size=z.shape) * z.std(axis=0)
        decoded = {level: model.decode((z + level * noise).astype("float32")) for level in noises}
        errors[name] = [float(np.mean(np.square(images - rebuilt))) for rebuilt in decoded.values()]
        rows |= {f"{name} {level:g}": rebuilt[:shown] for level, rebuilt in decoded.items()}
    title = "decoded from codes with noise, in standard deviations of the codes"
    figures.rows(list(rows.values()), list(rows), folder / "code_noise.png", title)
    curves = {name: (noises, values) for name, values in errors.items()}
    title, x_label = "reconstruction error with noise added to the codes", "noise (standard deviations of the codes)"
    charts.lines(curves, folder / "code_noise_curve.png", title, x_label, "mean squared error")
    return {"n": len(images), "noise": list(noises), "mse": errors}


def plane(models, image_set, seed, folder, *, side=20, held_out=10_000, importance_images=500, importance_draws=500):
    """The likelihood of held-out images under each VAE, in nats: see `judge.likelihood.measure`."""
    for name, model in models.items():
        if model.latent_dim != 2:
            raise UserError(f"the plane needs codes of two numbers; {name} has {model.latent_dim}")
    checks.need_unconditional(models)
    images = pipeline.examples(image_set, "test", held_out)
    training_images = pipeline.examples(image_set, "train", 1000)
    draws = {"n": importance_images, "draws": importance_draws, "ks": (importance_draws,)}
    numbers = {}
    for name, model in models.items():
        numbers[name] = dict(likelihood.measure(export_candidate(model, name), images, training_images, seed, **draws))
        if not numbers[name]:
            raise UserError(f"{name} has no Gaussian latent; this study needs a VAE")
    quantiles = [statistics.NormalDist().inv_cdf((index + 0.5) / side) for index in range(side)]
    across, up = np.meshgrid(quantiles, quantiles[::-1])
    z = np.stack([across.ravel(), up.ravel()], axis=1).astype("float32")
    panels = {name: model.decode(z) for name, model in models.items()}
    charts.squares(panels, folder / "plane.png", "decoded from the plane of codes, at the quantiles of N(0, 1)")
    return {"n": len(images), "likelihood": numbers}


def neighbours(models, image_set, seed, folder, *, k=5, training=60_000, held_out=10_000):
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
        accuracies[f"PCA-{size}"] = accuracy(lambda images, pca=pca: pca.encode(images)["z"])
    accuracies["raw pixels"] = accuracy(lambda images: images.reshape(len(images), -1))
    n_train, n_test = len(train["label"]), len(test["label"])
    title = f"classes of {n_test:,} held-out images by {k} neighbours among {n_train:,} training images"
    charts.bars(accuracies, folder / "neighbours.png", title, "accuracy")
    return {"n_train": n_train, "n_test": n_test, "k": k, "accuracy": accuracies}


def clusters(models, image_set, seed, folder, *, components=10, held_out=10_000):
    """Sizes of the clusters, and their normalized mutual information with the classes of the images, if there are any."""
    checks.need_images(image_set, components)
    checks.need_unconditional(models)
    name, model = next(iter(models.items()))
    batch = pipeline.first_batch(image_set, "test", held_out)
    images = batch["images"]
    shown = charts.images_in_row(images.shape[2])
    z = model.encode(images).astype("float64")
    regularisation = 1e-3 * z.var(axis=0).mean() + 1e-6
    mixture = GaussianMixture(components, reg_covar=regularisation, max_iter=500, random_state=seed).fit(z)
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
    ends = zip(medoids, medoids[1:], strict=False)
    lines = [model.decode(np.linspace(z[start], z[end], shown).astype("float32")) for start, end in ends]
    if lines:
        title = f"{name}: straight lines from the medoid of one cluster to that of the next"
        figures.rows(lines, [], folder / "clusters_ways.png", title)
    numbers = {"n": len(images), "sizes": np.bincount(member, minlength=components).tolist()}
    if len(image_set.labels) > 1:
        numbers["normalized_mutual_information_with_labels"] = float(normalized_mutual_info_score(batch["label"], member))
    return numbers
