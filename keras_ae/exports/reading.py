"""An export as other programs see it: SavedModels and card.json. Needs TensorFlow and nothing of the model code."""

import functools
import json
from pathlib import Path

import numpy as np

from keras_ae.errors import UserError

FORMAT = 1


class Exported:
    """The export in `folder`, its SavedModels loaded when first used; another program's with the same signatures does as well.

    card: the contents of card.json, {} without one. shape: (H, W, C) of the pictures it makes, input_shape: of those it takes.
    labels: names of the classes that a conditional model knows, () of others. label: the class that it is to draw, by name or
    number. Raises UserError where the folder is missing, is no export, or was written by a newer keras_ae, or there is no such
    class.
    """

    def __init__(self, folder, label=None):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UserError(f"no export at {folder}: no such folder; make one with make train-vae, or name another --model")
        if not all((self.folder / name / "saved_model.pb").exists() for name in ("encoder", "decoder")):
            raise UserError(f"{folder} is no export: it has no SavedModels encoder/ and decoder/")
        try:
            self.card = json.loads((self.folder / "card.json").read_text()) if (self.folder / "card.json").exists() else {}
            self.format = int(self.card.get("format", FORMAT))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{self.folder / 'card.json'} cannot be read: {error}; export the model again") from error
        if self.format > FORMAT:
            raise UserError(
                f"{folder} was exported by a newer keras_ae (format {self.format}, this one reads up to {FORMAT}); "
                "install the newer version"
            )
        if "image_shape" in self.card and "latent_dim" in self.card:
            self.shape, self.latent_dim = tuple(self.card["image_shape"]), self.card["latent_dim"]
        else:
            self._read_shapes()
        self.input_shape = tuple(self.card.get("input_shape", self.shape))
        self.labels = tuple(self.card.get("labels", ()))
        self.label = None if label is None else self._numbered(label)

    def _numbered(self, label):
        if not self.labels:
            raise UserError(f"{self.folder} is not conditional; leave --label out")
        if label in self.labels:
            return self.labels.index(label)
        if str(label).isdecimal() and int(label) < len(self.labels):
            return int(label)
        known = ", ".join(f"{index} {name}" if str(index) != name else name for index, name in enumerate(self.labels))
        raise UserError(f"unknown label '{label}'; choose one of {known}")

    def _labelled(self, n, labels=None):
        """The further argument of the functions of a conditional model."""
        import tensorflow as tf

        if not self.labels:
            return {}
        if labels is None and self.label is None:
            raise UserError(f"{self.folder} is conditional; name a class with --label: {', '.join(self.labels)}")
        return {"label": tf.constant(np.full(n, self.label) if labels is None else labels, tf.int32)}

    def _read_shapes(self):
        try:
            decode = self._decoder.signatures["serving_default"]
            self.latent_dim = int(decode.structured_input_signature[1]["z"].shape[1])
            self.shape = tuple(decode.structured_outputs["images"].shape[1:])
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"the decoder in {self.folder} has no signature serving_default from z to images") from error

    def check_rebuilds(self):
        """UserError if the encoder takes other pictures than the decoder makes, as for super-resolution."""
        if self.input_shape != self.shape:
            small, large = ("x".join(map(str, shape[:2])) for shape in (self.input_shape, self.shape))
            raise UserError(f"{self.folder} makes {large} of {small}: use python -m keras_ae.upscale --model {self.folder}")

    @property
    def generates(self):
        """Whether it draws new pictures of its own."""
        return (self.folder / "generator" / "saved_model.pb").exists()

    @property
    def draws_pieces(self):
        """Whether any piece of a seed's sequence can be drawn; another program's generator draws it whole."""
        return {"fitted", "normal"} <= set(self._generator.signatures)

    def _loaded(self, name):
        import tensorflow as tf

        try:
            return tf.saved_model.load(str(self.folder / name))
        except (OSError, tf.errors.OpError, ValueError) as error:
            raise UserError(f"{self.folder / name} is not a SavedModel that loads; export the model again") from error

    @functools.cached_property
    def _encoder(self):
        return self._loaded("encoder")

    @functools.cached_property
    def _decoder(self):
        return self._loaded("decoder")

    @functools.cached_property
    def _generator(self):
        return self._loaded("generator")

    def codes(self, images, labels=None):
        """What the encoder says of float32 images (batch, H, W, C) in [-1, 1]: "z", of a VAE "z_mean" and "z_log_var" too.

        labels: of a conditional model, (batch,); by default the one it was opened with, here and below.
        """
        import tensorflow as tf

        encode = self._encoder.signatures["serving_default"]
        found = encode(images=tf.constant(images, tf.float32), **self._labelled(len(images), labels))
        return {name: values.numpy() for name, values in found.items()}

    def encode(self, images, labels=None):
        """Mean codes (batch, latent_dim) of float32 images (batch, H, W, C) in [-1, 1]."""
        return self.codes(images, labels)["z"]

    def decode(self, z, labels=None):
        """Images (batch, H, W, C), float32 in [-1, 1], of codes (batch, latent_dim)."""
        import tensorflow as tf

        decode = self._decoder.signatures["serving_default"]
        return decode(z=tf.constant(z, tf.float32), **self._labelled(len(z), labels))["images"].numpy()

    def generate(self, n, seed=0, temperature=1.0, prior="fitted", first=0):
        """New pictures `first` ... `first + n - 1` of the seed's sequence: uint8 (n, H, W, C), and their codes.

        A conditional model that was opened without a label goes through its classes in turn.
        """
        import tensorflow as tf

        numbers = {name: tf.constant(value, tf.int32) for name, value in {"first": first, "n": n, "seed": seed}.items()}
        numbers["temperature"] = tf.constant(temperature, tf.float32)
        if self.labels:
            labels = None if self.label is not None else (first + np.arange(n)) % len(self.labels)
            numbers |= self._labelled(n, labels)
        if self.draws_pieces:
            drawn = self._generator.signatures[prior](**numbers)
        elif prior == "fitted":
            numbers["n"] += numbers.pop("first")
            drawn = self._generator.signatures["serving_default"](**numbers)
            drawn = {name: values[first:] for name, values in drawn.items()}
        else:
            raise UserError(f"the generator in {self.folder} has its fitted prior only")
        return np.asarray(drawn["images"]), np.asarray(drawn["z"])
