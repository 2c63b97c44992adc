"""Held-out codes on the plane of their first two principal components, coloured by class."""

from course import charts, checks
from keras_ae.data import pipeline
from keras_ae.priors.space import principal


def run(models, image_set, seed, folder, *, held_out=10_000):
    """One panel for each model."""
    checks.need_labels(image_set)
    batch = pipeline.first_batch(image_set, "test", held_out)
    labels = {name: checks.labels_of(model, name, image_set, batch) for name, model in models.items()}
    places = {name: principal(model.encode(batch["images"], labels[name])) for name, model in models.items()}
    title = f"codes of {len(batch['images']):,} held-out images"
    charts.scatter(places, batch["label"], image_set.labels, folder / "latent_map.png", title)
    return {"n": len(batch["images"])}
