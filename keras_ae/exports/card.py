"""card.json of an export: what it says, checked when it is read, and the digests of the files that it describes."""

import json
import math
import reprlib

from keras_ae import outputs
from keras_ae.errors import UserError

FORMAT = 1
MOST = 10**6


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST


def _is_shape(value):
    return isinstance(value, list) and len(value) == 3 and all(map(_is_count, value))


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def _is_file(value):
    return isinstance(value, dict) and isinstance(value.get("size"), int) and isinstance(value.get("sha256"), str)


def _names(value):
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


# what the keys that commands read must be; each may be missing, and other keys may be anything
RULES = {
    "format": (_is_count, "a positive whole number"),
    "image_shape": (_is_shape, "three positive whole numbers, height, width and channels"),
    "input_shape": (_is_shape, "three positive whole numbers, height, width and channels"),
    "latent_dim": (_is_count, "a positive whole number"),
    "code_shape": (lambda value: isinstance(value, list) and all(map(_is_count, value)), "positive whole numbers"),
    "labels": (_names, "a list of names"),
    "encoder_outputs": (_names, "a list of names"),
    "experiment": (lambda value: isinstance(value, str), "a name"),
    "task": (lambda value: isinstance(value, dict) and isinstance(value.get("name"), str), "a table with a name"),
    "configuration": (
        lambda value: isinstance(value, dict) and all(isinstance(table, dict | str) for table in value.values()),
        "tables of keys and values",
    ),
    "data": (lambda value: isinstance(value, dict), "a table of keys and values"),
    "held_out": (
        lambda value: isinstance(value, dict) and _is_number(value.get("mse", 1)) and value.get("mse", 1) > 0,
        "a table of metrics, with mse above 0",
    ),
    "files": (
        lambda value: isinstance(value, dict) and all(map(_is_file, value.values())),
        "size and sha256 of each file",
    ),
}


def read(place, folder):
    """The contents of card.json in the folder `place`, checked against `RULES`; {} without the file. Messages name `folder`.

    Raises UserError if it cannot be read, a key has a wrong value, or a newer keras_ae wrote it.
    """
    path = folder / "card.json"
    try:
        card = json.loads((place / "card.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {str(error) or type(error).__name__}; export the model again") from error
    if not isinstance(card, dict):
        raise UserError(f"{path} must contain a table of keys and values; export the model again")
    for key, (fits, wanted) in RULES.items():
        if key in card and not fits(card[key]):
            raise UserError(f"{path}: {key} must be {wanted}. Received: {reprlib.repr(card[key])}; export the model again")
    if card.get("format", FORMAT) > FORMAT:
        raise UserError(
            f"{folder} was exported by a newer keras_ae (format {card['format']}, this one reads up to {FORMAT}); "
            "install the newer version"
        )
    if {"code_shape", "latent_dim"} <= set(card) and math.prod(card["code_shape"]) != card["latent_dim"]:
        raise UserError(f"{path}: code_shape {card['code_shape']} does not have latent_dim {card['latent_dim']} numbers")
    return card


def described(folder):
    """{name: {"size": bytes, "sha256": digest}} of every file below `folder`, for the key `files`."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": outputs.digest(path)} for path in paths
    }


def verify(place, folder, name, card):
    """Raises UserError unless what is `name` in `place` is as its card describes it; a card may describe no files.

    name: of the folder of a SavedModel, or of a file. Messages name `folder`.
    """
    essential = name if "." in name else f"{name}/saved_model.pb"
    listed = {file: known for file, known in card.get("files", {}).items() if file == name or file.startswith(f"{name}/")}
    if "files" in card and essential not in listed:
        raise UserError(f"{folder / 'card.json'} does not describe {essential}; export the model again")
    for file, known in listed.items():
        path = place / file
        if not path.is_file():
            raise UserError(
                f"{folder / file} is missing, or was replaced while it was read; try again, or export the model again"
            )
        if path.stat().st_size != known["size"] or outputs.digest(path) != known["sha256"]:
            raise UserError(f"{folder / file} is damaged: it is not as card.json describes it; export the model again")
