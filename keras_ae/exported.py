"""An export as other programs see it: SavedModels and card.json. Needs TensorFlow and nothing of the model code."""

import functools
import json
from pathlib import Path

import numpy as np

from keras_ae.errors import UserError

FORMAT = 1


class Exported:
    """The export in `folder`, its SavedModels loaded when first used.

    card: the contents of card.json. shape: (H, W, C) of its pictures. Raises UserError where the folder is missing, is no
    export, or was written by a newer keras_ae.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UserError(f"no export at {folder}: no such folder; make one with make train-vae, or name another --model")
        try:
            self.card = json.loads((self.folder / "card.json").read_text())
            self.format = int(self.card["format"])
            self.shape = tuple(self.card["image_shape"])
            self.latent_dim = self.card["latent_dim"]
        except FileNotFoundError as error:
            self._describe_without_card(error)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{folder} is not an export of keras_ae: it has no usable card.json") from error
        if self.format > FORMAT:
            raise UserError(
                f"{folder} was exported by a newer keras_ae (format {self.format}, this one reads up to {FORMAT}); "
                "install the newer version"
            )

    def _describe_without_card(self, error):
        """SavedModels of another program with the same signatures: the decoder's own tell the shapes."""
        if not all((self.folder / name / "saved_model.pb").exists() for name in ("encoder", "decoder")):
            raise UserError(f"{self.folder} is not an export of keras_ae: it has no usable card.json") from error
        try:
            decode = self._decoder.signatures["serving_default"]
            self.latent_dim = int(decode.structured_input_signature[1]["z"].shape[1])
            self.shape = tuple(decode.structured_outputs["images"].shape[1:])
        except (KeyError, TypeError, AttributeError) as received:
            raise UserError(f"the decoder in {self.folder} has no signature serving_default from z to images") from received
        self.card, self.format = {}, FORMAT

    @property
    def generates(self):
        """Whether it draws new pictures of its own."""
        return (self.folder / "generator" / "saved_model.pb").exists()

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

    def codes(self, images):
        """What the encoder says of float32 images (batch, H, W, C) in [-1, 1]: "z", of a VAE "z_mean" and "z_log_var" too."""
        import tensorflow as tf

        found = self._encoder.signatures["serving_default"](images=tf.constant(images, tf.float32))
        return {name: values.numpy() for name, values in found.items()}

    def encode(self, images):
        """Mean codes (batch, latent_dim) of float32 images (batch, H, W, C) in [-1, 1]."""
        return self.codes(images)["z"]

    def decode(self, z):
        """Images (batch, H, W, C), float32 in [-1, 1], of codes (batch, latent_dim)."""
        import tensorflow as tf

        return self._decoder.signatures["serving_default"](z=tf.constant(z, tf.float32))["images"].numpy()

    def generate(self, n, seed=0, temperature=1.0, prior="fitted", first=0):
        """New pictures `first` ... `first + n - 1` of the seed's sequence: uint8 (n, H, W, C), and their codes."""
        import tensorflow as tf

        numbers = {name: tf.constant(value, tf.int32) for name, value in {"first": first, "n": n, "seed": seed}.items()}
        # one that is not ours draws a whole sequence only
        if prior not in self._generator.signatures and not first:
            prior = "serving_default"
            del numbers["first"]
        drawn = self._generator.signatures[prior](**numbers, temperature=tf.constant(temperature, tf.float32))
        return np.asarray(drawn["images"]), np.asarray(drawn["z"])
