"""Exports as other programs see them: SavedModels or ONNX files, and card.json. Needs none of the model code.

TensorFlow or onnxruntime is imported when it is first used, so that this module imports quickly.
"""

import functools
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from keras_ae.errors import UserError
from keras_ae.exports import card, opening, refining, runtimes
from keras_ae.images import pictures
from keras_ae.priors import space
from keras_ae.priors.space import batched

# far outside [-1, 1]: such images were never scaled
UNSCALED = 2.0


class Exported:
    """The export in `folder`. SavedModels of another program with the same signatures work too.

    folder: its path. place: where its files are read, see `opening.pinned`. card: the contents of card.json, {} without one.
    shape: (H, W, C) of the images it makes. input_shape: of the images it takes. latent_dim: length of a code. code_shape:
    (latent_dim,), or (h, w, channels) where the code is a flattened map. task: name of the task it was trained for. labels:
    names of the classes of a conditional model, () of others. label: number of the class to encode and draw, given to this
    class by name or number; None without one. runtime: "tensorflow", "onnx", or "auto" for onnx where onnxruntime is installed
    and the export has its files.

    Images are float32 (n, H, W, C) in [-1, 1]; the methods take uint8 images as well. Any number of images can be passed.
    Raises UserError if the folder is missing, is not an export, or was written by a newer keras_ae, or the class is unknown.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        label: str | int | None = None,
        runtime: Literal["tensorflow", "onnx", "auto"] = "tensorflow",
    ):
        self.folder = Path(folder)
        opening.check_folder(self.folder)
        self.place = opening.pinned(self, self.folder)
        self.card = card.read(self.place, self.folder)
        self._runtime = runtimes.opened(runtime, self.place, self.folder, self.card)
        self.shape, self.latent_dim = self._runtime.shapes()
        self.input_shape = tuple(self.card.get("input_shape", self.shape))
        self.code_shape = tuple(self.card.get("code_shape", (self.latent_dim,)))
        # cards of earlier versions name the task only in the configuration
        task = self.card.get("task") or self.card.get("configuration", {}).get("task", {})
        self.task = task.get("name", "identity")
        self.labels = tuple(self.card.get("labels", ()))
        self.label = None if label is None else self._number_of(label)

    def _number_of(self, label):
        if not self.labels:
            raise UserError(f"{self.folder} is not conditional; leave --label out")
        if label in self.labels:
            return self.labels.index(label)
        if str(label).isdecimal() and int(label) < len(self.labels):
            return int(label)
        known = ", ".join(f"{index} {name}" if str(index) != name else name for index, name in enumerate(self.labels))
        raise UserError(f"unknown label '{label}'; choose one of {known}")

    def labels_of(self, files: Sequence[Path], directory: str | os.PathLike | None = None) -> np.ndarray | None:
        """Class numbers (n,) of picture files for a conditional model; None for others.

        The class is `label` where it was given, else the name of the sub-folder of `directory` that contains it. Raises
        UserError where neither says it.
        """
        if not self.labels or self.label is not None:
            return np.full(len(files), self.label) if self.labels else None
        known = ", ".join(self.labels)
        names = pictures.classes(files, directory) if directory else [""] * len(files)
        # as data sets name the classes
        names = [pictures.printable(name) for name in names]
        for file, name in zip(files, names, strict=True):
            if name not in self.labels:
                place = f"is in the sub-folder '{name}', which is not one of its classes" if name else "has no class"
                raise UserError(
                    f"{self.folder} is conditional, and {file} {place}; name a class with --label, or sort the files of --data "
                    f"into sub-folders named after the classes: {known}"
                )
        return np.array([self.labels.index(name) for name in names])

    @functools.cached_property
    def _with_gradients(self):
        # not a second decoder in memory where one is
        here = isinstance(self._runtime, runtimes.TensorFlow)
        return self._runtime if here else runtimes.opened("tensorflow", self.place, self.folder, self.card)

    def _labels_for(self, n, labels):
        """The class numbers (n,) that a conditional model computes with; None for other models."""
        if not self.labels:
            return None
        if labels is None and self.label is None:
            known = ", ".join(self.labels)
            raise UserError(f"{self.folder} is conditional; name a class (--label of commands that have it): {known}")
        numbers = np.broadcast_to(np.asarray(self.label if labels is None else labels, "int32"), (n,))
        beyond = numbers[(numbers < 0) | (numbers >= len(self.labels))]
        if len(beyond):
            known = f"0 to {len(self.labels) - 1}"
            raise UserError(f"the classes of {self.folder} have the numbers {known}. Received: {beyond.min()}")
        return numbers

    def check_rebuilds(self) -> None:
        """Raises UserError if the encoder takes images of another shape than the decoder makes, as for super-resolution."""
        if self.input_shape != self.shape:
            small, large = ("x".join(map(str, shape[:2])) for shape in (self.input_shape, self.shape))
            command = f"python -m keras_ae.upscale --model {shlex.quote(str(self.folder))}"
            raise UserError(f"{self.folder} makes {large} of {small}: use {command}")

    @property
    def generates(self) -> bool:
        """Whether the export has a generator."""
        return self._runtime.generates

    def _run(self, function, arrays, labels, progress):
        """Apply a function of the runtime to arrays (n, ...) in batches: a dict of NumPy arrays."""
        labels = self._labels_for(len(arrays), labels)

        def on_rows(rows):
            return function(np.asarray(arrays[rows], "float32"), None if labels is None else labels[rows])

        if not len(arrays):
            # some processors' convolutions refuse an empty batch: the shapes come from one image of zeros
            one = function(np.zeros((1, *arrays.shape[1:]), "float32"), None if labels is None else np.zeros(1, "int32"))
            return {key: np.asarray(values)[:0] for key, values in one.items()}
        return batched(on_rows, np.arange(len(arrays)), progress=progress)

    def _floats(self, images):
        images = np.asarray(images)
        if images.shape[1:] != self.input_shape:
            wanted = "(n, {}, {}, {})".format(*self.input_shape)
            raise UserError(f"{self.folder} takes images of shape {wanted}. Received: {images.shape}")
        return pictures.floats(images, UNSCALED)

    def codes(self, images: ArrayLike, labels: ArrayLike | None = None, progress: str | None = None) -> dict[str, np.ndarray]:
        """The outputs of the encoder, (n, latent_dim) each: "z", the mean code; of a VAE "z_mean" and "z_log_var" too.

        images: (n, *input_shape). labels: class numbers (n,) of a conditional model, by default `label`; also below. progress:
        text of a progress bar on stderr.
        """
        return self._run(self._runtime.encode, self._floats(images), labels, progress)

    def encode(self, images: ArrayLike, labels: ArrayLike | None = None, progress: str | None = None) -> np.ndarray:
        """Mean codes (n, latent_dim) of images (n, *input_shape)."""
        return self.codes(images, labels, progress)["z"]

    def decode(self, z: ArrayLike, labels: ArrayLike | None = None) -> np.ndarray:
        """Images (n, H, W, C) of codes (n, latent_dim)."""
        z = np.asarray(z)
        if z.shape[1:] != (self.latent_dim,):
            raise UserError(f"{self.folder} takes codes of shape (n, {self.latent_dim}). Received: {z.shape}")
        return self._run(self._runtime.decode, z, labels, None)["images"]

    def refine(
        self,
        images: ArrayLike,
        z: np.ndarray,
        steps: int = 20,
        labels: ArrayLike | None = None,
        progress: str | None = None,
    ) -> np.ndarray:
        """Codes (n, latent_dim) that rebuild images (n, H, W, C) better than codes z do, after `steps` of gradient descent.

        No code becomes worse, and each depends on its own image alone. progress: text of a progress bar on stderr. Gradients
        need TensorFlow, whatever the runtime is.
        """
        if not (len(z) and steps):
            return z
        images, labels = self._floats(images), self._labels_for(len(z), labels)

        def on_rows(rows):
            return self._with_gradients.refine(images[rows], z[rows], steps, None if labels is None else labels[rows])

        return batched(on_rows, np.arange(len(z)), refining.BATCH, progress)

    def reconstruct(self, images: ArrayLike, labels: ArrayLike | None = None) -> np.ndarray:
        """Images (n, H, W, C) decoded from the mean codes of images (n, *input_shape)."""
        return self.decode(self.encode(images, labels), labels)

    def interpolate(self, image_a: ArrayLike, image_b: ArrayLike, steps: int = 10, spherical: bool = False) -> np.ndarray:
        """`steps` images (steps, H, W, C) decoded along a straight line, or an arc, between the codes of two images (H, W, C).

        The first and the last are the reconstructions of the two images.
        """
        z_a, z_b = (self.encode(np.asarray(image)[None])[0] for image in (image_a, image_b))
        return self.decode((space.spherical if spherical else space.linear)(z_a, z_b, steps))

    def generate(
        self,
        n: int,
        seed: int = 0,
        temperature: float = 1.0,
        prior: Literal["fitted", "normal"] = "fitted",
        first: int = 0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """New images `first` ... `first + n - 1` of the seed's sequence, uint8 (n, H, W, C), and their codes (n, latent_dim).

        temperature: scales the spread of the codes. prior: "fitted" or "normal", the density that they are drawn from. A
        conditional model without a `label` draws its classes in turn.
        """
        if not self.generates:
            raise UserError(f"{self.folder} has no generator; it can only encode and decode")
        if n == 0:
            # not every runtime takes no rows
            return tuple(array[:0] for array in self.generate(1, seed, temperature, prior, first))
        labels = None
        if self.labels:
            in_turn = (first + np.arange(n)) % len(self.labels)
            labels = self._labels_for(n, in_turn if self.label is None else None)
        if self._runtime.draws_pieces:
            rows = np.arange(n)

            def draw(rows):
                start = first + (int(rows[0]) if len(rows) else 0)
                return self._runtime.draw(prior, start, len(rows), seed, temperature, None if labels is None else labels[rows])

            drawn = batched(draw, rows)
        elif prior == "fitted":
            # the sequence from its start, with a label for each image of it
            labels = None if labels is None else np.concatenate([np.zeros(first, "int32"), labels])
            drawn = self._runtime.draw("serving_default", None, first + n, seed, temperature, labels)
            drawn = {name: np.asarray(values)[first:] for name, values in drawn.items()}
        else:
            raise UserError(f"the generator in {self.folder} has its fitted prior only")
        return drawn["images"], drawn["z"]


# the public name
load = Exported
