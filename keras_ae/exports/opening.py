"""Opening exports: is the folder one, are its files as its card describes them, do its SavedModels have the signatures?"""

import glob
import os
import shlex
import time
import weakref
from pathlib import Path

from keras_ae import ending
from keras_ae.errors import UserError
from keras_ae.exports import card

# open folders of this process by number (Linux)
DESCRIPTORS = Path("/proc/self/fd")


def check_folder(folder):
    """Raises UserError, with the command that makes an export of it, unless `folder` has an encoder and a decoder."""
    # another process may be replacing it: for an instant it is neither old nor new
    for _ in range(20):
        if folder.is_dir() or not any(folder.parent.glob(f".{glob.escape(folder.name)}.old-*")):
            break
        time.sleep(0.05)
    if not folder.is_dir():
        advice = "name the folder of an export, such as exported/cats"
        if folder.parent.name == "exported" and Path(f"experiments/{folder.name}.toml").exists():
            advice = f"make it with make train-{folder.name}, or name another export"
        raise UserError(f"no export at {folder}: no such folder; {advice}")
    whole = all((folder / name / "saved_model.pb").exists() for name in ("encoder", "decoder"))
    if not whole and not (folder / "onnx" / "decoder.onnx").exists():
        if (folder / "config.json").exists() or any(folder.glob("[0-9]*/config.json")):
            command = f"python -m keras_ae.export --model {shlex.quote(str(folder))}"
            raise UserError(f"{folder} is a run, not an export; export it with {command}")
        raise UserError(f"{folder} is not an export: it has no SavedModels encoder/ and decoder/")


def pinned(owner, folder):
    """A path to the folder that is at `folder` now, valid as long as the object `owner`, even if another takes its place.

    Without it, an export that is replaced while it is read could give the encoder of one and the decoder of the other. Where
    the system has no such paths, `folder` itself.
    """
    if not DESCRIPTORS.is_dir():
        return folder
    descriptor = os.open(folder, os.O_RDONLY)
    weakref.finalize(owner, os.close, descriptor)
    return DESCRIPTORS / str(descriptor)


def loaded(place, folder, name, contents):
    """The SavedModel `name` in `place`; messages name `folder`. contents: of card.json. Raises UserError if it is damaged."""
    import tensorflow as tf

    card.verify(place, folder, name, contents)
    try:
        # TensorFlow would make another error of an interruption
        with ending.at_once():
            return tf.saved_model.load(str(place / name))
    except Exception as error:
        # a damaged protocol buffer raises almost anything
        raise UserError(f"{folder / name} is not a SavedModel that loads; export the model again") from error


def shapes(decoder, folder):
    """(H, W, C) of the images and the length of the codes of a loaded decoder. Raises UserError for other SavedModels."""
    try:
        decode = decoder.signatures["serving_default"]
        shape = tuple(int(size) for size in decode.structured_outputs["images"].shape[1:])
        return shape, int(decode.structured_input_signature[1]["z"].shape[1])
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise UserError(f"the decoder in {folder} has no signature serving_default from z to images") from error


def check(model, folder, name, argument, labels):
    """Raises UserError unless the first signature of a SavedModel takes what the card says.

    argument: {name: shape without the batch}. labels: names of the classes, () of models that are not conditional.
    """
    ((key, shape),) = argument.items()
    try:
        inputs = model.signatures["serving_default"].structured_input_signature[1]
        found = tuple(inputs[key].shape)[1:]
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise UserError(f"the {name} in {folder} has no signature serving_default that takes {key}") from error
    if found != tuple(shape):
        raise UserError(f"{folder}: the card says {key} of shape {tuple(shape)}, the {name} takes {found}")
    if ("label" in inputs) != bool(labels):
        says, takes = ("labels", "none") if labels else ("no labels", "some")
        raise UserError(f"{folder}: the card names {says}, the {name} takes {takes}; export the model again")
