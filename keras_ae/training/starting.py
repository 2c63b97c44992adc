"""Starting from a trained export: its networks replace those of the experiment file, its weights are where training begins."""

import dataclasses
import math

from keras_ae.errors import UserError
from keras_ae.exports import opening
from keras_ae.exports.reading import Exported

# the tables that describe networks
NETWORKS = ("condition", "encoder", "decoder", "latent")


def described(folder):
    """The export in `folder`, opened, whose card describes its networks. Raises UserError for any other."""
    exported = Exported(folder)
    tables = exported.card.get("configuration", {})
    if missing := [name for name in NETWORKS if not isinstance(tables.get(name), dict)]:
        raise UserError(
            f"cannot start from {folder}: its card does not describe its networks (no [{missing[0]}]); "
            "name an export of python -m keras_ae.export"
        )
    return exported


def adopted(experiment):
    """The experiment with the networks and the image size of the export that training.start_from names.

    Without one, the experiment itself. Raises UserError where the export does not suit the experiment, or what --set says.
    """
    folder = experiment.training.start_from
    if folder is None:
        return experiment
    exported, tables = described(folder), experiment.tables
    height, _, channels = exported.shape
    for key, value in (("size", height), ("channels", channels)):
        if tables["data"][key] not in (None, value):
            raise UserError(f"cannot start from {folder}: data.{key} is {tables['data'][key]}, the export has {value}")
    if tables["task"]["name"] != exported.task:
        raise UserError(
            f"cannot start from {folder}: it was trained for the task {exported.task}, not {tables['task']['name']}"
        )
    taken = {name: dict(exported.card["configuration"][name]) for name in NETWORKS}
    for table in taken.values():
        # exported/cats has the name of before
        table["name"] = {"normalizer_free": "plain"}.get(table.get("name"), table.get("name"))
    for key in sorted(experiment.chosen):
        table, _, name = key.partition(".")
        if table in taken and tables[table].get(name) != taken[table].get(name):
            raise UserError(
                f"cannot start from {folder} with --set {key}={tables[table].get(name)}: its networks have "
                f"{taken[table].get(name)}; leave {key} out"
            )
    return dataclasses.replace(
        experiment, tables=tables | taken | {"data": tables["data"] | {"size": height, "channels": channels}}
    )


def origin(folder):
    """What a run and the card of its export keep of the export that it started from."""
    card = described(folder).card
    data = card.get("data", {})
    return {"experiment": card.get("experiment"), **{key: data.get(key) for key in ("name", "n_train", "fingerprint")}}


def summary(experiment):
    """One line: which networks and weights a run starts from."""
    tables, folder = experiment.tables, experiment.training.start_from
    return (
        f"starting from {folder}: its networks (encoder {tables['encoder']['name']}, decoder {tables['decoder']['name']}, "
        f"{experiment.latent_dim} numbers) replace those of the experiment file"
    )


def load_weights(model, folder):
    """Give the networks of a `models.vae.VAE` the weights of the export in `folder`. Raises UserError where they do not fit."""
    exported = described(folder)
    for name, network in (("encoder", model.encoder), ("decoder", model.decoder)):
        saved = opening.loaded(exported.place, exported.folder, name, exported.card)
        # exports of stochastic encoders have seeds beside their weights
        weights = [variable for variable in getattr(saved, "weights", []) if variable.dtype.is_floating]
        shapes = [tuple(variable.shape) for variable in network.weights]
        found = [tuple(variable.shape) for variable in weights]
        if shapes != found:
            numbers = [f"{sum(map(math.prod, each)):,} numbers in {len(each)} variables" for each in (found, shapes)]
            raise UserError(f"cannot start from {folder}: its {name} has {numbers[0]}, the run's has {numbers[1]}")
        for variable, value in zip(network.weights, weights, strict=True):
            variable.assign(value.numpy())
