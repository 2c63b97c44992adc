"""card.json of an export: what it says, checked when it is read, and README.md, which is written from it."""

import json
import math
from pathlib import Path

from keras_ae.errors import UserError, one_line
from keras_ae.files import render
from keras_ae.images.pictures import FITS, describe_fit

FORMAT = 1


def _is_shape(value, length=None):
    sizes = value if isinstance(value, list) and length in (None, len(value)) else [None]
    return all(type(size) is int and 1 <= size <= 10**6 for size in sizes)


def _are_texts(value):
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_table(value, kinds=object):
    return isinstance(value, dict) and all(isinstance(one, kinds) for one in value.values())


def _is_positive(value):
    return isinstance(value, int | float) and 0 < value < math.inf


# what readers rely on; a card contains more. By hand: importing pydantic takes a fifth of the time in which `generate` starts
CHECKS = {
    "format": lambda value: type(value) is int and value >= 1,
    "experiment": lambda value: isinstance(value, str),
    "image_shape": lambda value: _is_shape(value, 3),
    "input_shape": lambda value: _is_shape(value, 3),
    "latent_dim": lambda value: _is_shape([value]),
    "code_shape": _is_shape,
    "encoder_outputs": _are_texts,
    "labels": _are_texts,
    "fit": lambda value: value in list(FITS),
    "task": lambda value: _is_table(value) and isinstance(value.get("name"), str),
    "configuration": lambda value: _is_table(value, dict | str),
    "data": _is_table,
    "codebook": lambda value: _is_table(value, int),
    "held_out": lambda value: _is_table(value) and _is_positive(value.get("mse", 1)),
}
DEFAULTS = {"format": FORMAT, "labels": [], "task": {"name": "identity"}, "fit": "crop", "configuration": {}}
OPTIONAL = ("data", "codebook", "held_out")


def read_card(folder):
    """The contents of card.json in `folder`, a dict with the keys of `CHECKS` and more.

    Raises UserError if it cannot be read, a value cannot be, or a newer keras_ae wrote it.
    """
    path = Path(folder) / "card.json"
    try:
        card = DEFAULTS | json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(one_line(f"{path} cannot be read: {error}; export the model again")) from None
    for key, check in CHECKS.items():
        if not check(value := card.get(key, {} if key in OPTIONAL else None)):
            raise UserError(f"{path}: {key} cannot be {one_line(repr(value))[:80]}; export the model again")
    if card["format"] > FORMAT:
        raise UserError(f"{path}: a newer keras_ae wrote it (format {card['format']}); install that version")
    if math.prod(card["code_shape"]) != card["latent_dim"]:
        raise UserError(f"{path}: code_shape {card['code_shape']} does not have latent_dim {card['latent_dim']} numbers")
    return card


def readme(card):
    """The text of README.md, a model card in the format of the Hugging Face Hub; data, training and metrics may be missing."""
    portable = [kind for kind in ("onnx", "litert") if "weights" in card.get(kind, {})]
    rebuilds = card["input_shape"] == card["image_shape"]
    # what the Hub reads: licence, library, what the model is for, data, metrics; in JSON, which is YAML whatever the names are
    header = {
        "license": card.get("license", "unknown"),
        "library_name": "keras_ae",
        "pipeline_tag": "unconditional-image-generation" if rebuilds else "image-to-image",
        "tags": ["autoencoder", "keras_ae", "tensorflow", *portable],
    }
    if data := card.get("data"):
        header["datasets"] = [data["name"]]
        if metrics := [name for name in ("psnr", "ssim") if name in card.get("held_out", {})]:
            result = {
                "task": {"type": "image-to-image", "name": "Reconstruction of held-out images"},
                "dataset": {"name": data["name"], "type": data["name"]},
                "metrics": [{"type": name, "value": round(card["held_out"][name], 4)} for name in metrics],
            }
            header |= {"metrics": metrics, "model-index": [{"name": card["experiment"], "results": [result]}]}
    header = {key: json.dumps(value, ensure_ascii=False) for key, value in header.items()}
    fit = describe_fit(card["input_shape"], card.get("fit", "crop"))
    return render(__package__, "readme.md", header=header, card=card, portable=portable, fit=fit)


def write_card(folder, card):
    """Write card.json and README.md into `folder`."""
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(readme(card), encoding="utf-8")
