"""Exports as other programs see them: SavedModels or ONNX files, and card.json. Needs none of the model code.

TensorFlow or onnxruntime is imported when an export is opened that needs it, so that this module imports quickly.
"""

import contextlib
import functools
import importlib.util
import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from keras_ae.errors import UserError, explain
from keras_ae.exports import hub
from keras_ae.exports.card import read_card
from keras_ae.images import pictures
from keras_ae.priors import draws, space

# of inputs of ONNX files
TYPES = {"tensor(float)": "float32", "tensor(int32)": "int32"}


def load_savedmodel(folder, name):
    """The SavedModel `name` in `folder`. Raises UserError if it is damaged."""
    import tensorflow as tf

    # a damaged protocol buffer raises almost anything
    with (
        explain(f"{Path(folder) / name} is not a SavedModel that loads; export the model again", Exception),
        tempfile.TemporaryDirectory() as place,
    ):
        # TensorFlow reads the brackets of a path as a pattern
        link = Path(place) / "export"
        link.symlink_to(Path(folder).resolve())
        return tf.saved_model.load(str(link / name))


class TensorFlow:
    """The SavedModels of an export, opened when they are first used. UserError where one is damaged or not as the card says."""

    def __init__(self, folder, card):
        import tensorflow

        self.folder, self._package = folder, tensorflow
        self._open = functools.cache(functools.partial(load_savedmodel, folder))

    def _tensors(self, **arrays):
        given = {name: values for name, values in arrays.items() if values is not None}
        types = dict.fromkeys(("images", "z", "temperature"), "float32")
        return {name: self._package.constant(values, types.get(name, "int32")) for name, values in given.items()}

    def run(self, name, signature="serving_default", **arrays):
        """The outputs of a network, a dict of tensors; labels are None for a model that is not conditional."""
        network = self._open(name)
        with explain(f"{self.folder / name} is not as card.json says; export the model again", Exception):
            return network.signatures[signature](**self._tensors(**arrays))

    def draw(self, prior, first, n, seed, temperature, label):
        """{"images": uint8, "z"} of codes `first` ... of the seed's sequence from the prior "fitted" or "normal"."""
        return self.run("generator", prior, first=first, n=n, seed=seed, temperature=temperature, label=label)

    def refine(self, images, z, steps, label, visible, pull):
        """The best codes on the way of so many steps of Adam (Kingma & Ba 2015), see `Exported.refine`."""
        tf, decode, given = self._package, self._open("decoder").signatures["serving_default"], self._tensors(label=label)
        begin = z = tf.constant(z, tf.float32)
        best, least, first, second = z, np.inf, 0.0, 0.0

        def errors(z):
            away, missing = z - begin, decode(z=z, **given)["images"] - images
            return tf.reduce_sum(visible * tf.square(missing), axis=[1, 2, 3]) + tf.reduce_sum(away @ pull * away, axis=1)

        deviation = tf.math.reduce_std(z, axis=1, keepdims=True)
        # the numbers of a short code may be alike
        rate = 0.05 * tf.maximum(deviation, tf.sqrt(tf.reduce_mean(tf.square(z), axis=1, keepdims=True)) / 2) + 1e-6
        for step in range(1, steps + 1):
            with tf.GradientTape() as tape:
                tape.watch(z)
                error = errors(z)
            gradient = tape.gradient(error, z)
            best, least = tf.where((error < least)[:, None], z, best), tf.minimum(error, least)
            first = 0.9 * first + 0.1 * gradient
            second = 0.99 * second + 0.01 * tf.square(gradient)
            z -= rate * first / (1 - 0.9**step) / (tf.sqrt(second / (1 - 0.99**step)) + 1e-12)
        return tf.where((errors(z) < least)[:, None], z, best)


class Onnx:
    """The files in the folder onnx/ of an export, computed by onnxruntime, with the methods of `TensorFlow` but `refine`."""

    def __init__(self, folder, card):
        import onnxruntime

        if not (folder / "onnx" / "decoder.onnx").exists():
            raise UserError(f"{folder} has no onnx/decoder.onnx; export the model again, or choose tensorflow as `runtime`")
        self.folder, self.card, self._package = folder, card, onnxruntime
        self._open = functools.cache(self._open)

    def _open(self, name):
        path = self.folder / "onnx" / f"{name}.onnx"
        options = self._package.SessionOptions()
        options.log_severity_level = 4
        # a damaged protocol buffer raises almost anything
        with explain(f"{path} is not an ONNX file that loads; export the model again", Exception):
            return self._package.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(self, name, outputs=None, **arrays):
        """The outputs of a network, by default all but uint8 images, a dict of arrays; labels as those of `TensorFlow`."""
        session = self._open(name)
        outputs = outputs or [value.name for value in session.get_outputs() if value.name != "images_uint8"]
        with explain(f"{self.folder}/onnx/{name}.onnx is not as card.json says; export the model again", Exception):
            given = {value.name: np.asarray(arrays[value.name], TYPES[value.type]) for value in session.get_inputs()}
            return dict(zip(outputs, session.run(outputs, given), strict=True))

    @functools.cached_property
    def samplers(self):
        """{"fitted": prior, "normal": prior}, see `priors.draws`."""
        path, normal = self.folder / "onnx" / "prior.npz", draws.normal_sampler(self.card["latent_dim"])

        def velocity(x, t, labels):
            return self.run("velocity", x=x, t=t, label=labels)["velocity"]

        def step(token, position, cache, labels):
            return self.run("step", ["logits", "kept"], token=token, position=position, cache=cache, label=labels).values()

        samplers = {
            "normal": lambda _: normal,
            "mixture": draws.mixture_sampler,
            "flow": functools.partial(draws.FlowSampler, velocity=velocity),
            "autoregressive": functools.partial(draws.autoregressive_sampler, step=step),
        }
        with explain(f"{path} cannot be read; export the model again", Exception), np.load(path) as file:
            return {"fitted": samplers[str(file["prior"])](dict(file)), "normal": normal}

    def draw(self, prior, first, n, seed, temperature, label):
        """As `TensorFlow.draw`."""
        z = self.samplers[prior](n, seed, temperature, first, label)
        return {"images": self.run("decoder", ["images_uint8"], z=z, label=label)["images_uint8"], "z": z}


def check_whole(name, value, least, most):
    """The whole number `value` as an int. Raises UserError for what is none, or lies outside of `least` ... `most`."""
    try:
        if least <= value <= most and value == int(value):
            return int(value)
    except (TypeError, ValueError):
        pass
    raise UserError(f"`{name}` must be a whole number from {least:,} to {most:,}. Received: {value!r}")


def check_folder(folder):
    """Raises UserError unless `folder` is an export."""
    if folder.is_file():
        advice = "keras.saving.load_model reads models of Keras, " if folder.suffix in (".keras", ".h5") else ""
        raise UserError(f"{folder} is a file; {advice}keras_ae.load takes the folder of an export, which keras_ae.save makes")
    if not folder.is_dir():
        raise UserError(f"no export at {folder}: no such folder; make one with keras-ae train vae --export, or name another")
    if not (folder / "card.json").exists():
        if (folder / "config.json").exists() or any(folder.glob("[0-9]*/config.json")):
            command = f"python -m keras_ae.export --model {shlex.quote(str(folder))}"
            raise UserError(f"{folder} is a run, not an export; export it with {command}")
        raise UserError(f"{folder} is not an export: it has no card.json")


class Exported:
    """The export in `folder`, or at an address on the Hugging Face Hub, hf://NAME/MODEL or hf://NAME/MODEL@REVISION.

    card: the contents of card.json. shape, input_shape: (H, W, C) of the images it makes, and takes. white: brightest value of
    picture files with 16 bits. fit: what becomes of files of another shape: "crop", "pad" or "stretch". latent_dim: length of a
    code. code_shape: (latent_dim,), or (h, w, channels) where the code is a flattened map. task: that it was trained for.
    labels: names of the classes of a conditional model, () of others. label: number of the class to encode and draw, given by
    name or number; None without one. runtime: "tensorflow", "onnx", or "auto" for onnx where it is installed and written.

    Images are float32 (n, H, W, C) in [-1, 1]; the methods take uint8 images as well. Raises UserError if the folder is
    missing, is not an export, or was written by a newer keras_ae, or the class is unknown.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        label: str | int | None = None,
        runtime: Literal["tensorflow", "onnx", "auto"] = "tensorflow",
    ):
        published = str(folder).startswith("hf://")
        self.folder = hub.fetch(str(folder)) if published else Path(os.path.expanduser(folder))
        check_folder(self.folder)
        self.card = read_card(self.folder)
        if runtime == "auto":
            portable = (self.folder / "onnx" / "decoder.onnx").exists() and importlib.util.find_spec("onnxruntime")
            runtime = "onnx" if portable else "tensorflow"
        self._runtime = {"tensorflow": TensorFlow, "onnx": Onnx}[runtime](self.folder, self.card)
        self.shape, self.input_shape = tuple(self.card["image_shape"]), tuple(self.card["input_shape"])
        self.latent_dim, self.code_shape = self.card["latent_dim"], tuple(self.card["code_shape"])
        self.task = self.card["task"]["name"]
        data, self.fit, self.labels = self.card["configuration"].get("data"), self.card["fit"], tuple(self.card["labels"])
        self.white = data.get("white", pictures.WHITE) if isinstance(data, dict) else pictures.WHITE
        self.label = None if label is None else self._number_of(label)

    def _number_of(self, label):
        if not self.labels:
            raise UserError(f"{self.folder} is not conditional; leave out `label`")
        if label in self.labels:
            return self.labels.index(label)
        if str(label) in self.labels and self.labels.index(str(label)) != label:
            named = f"the class named '{label}', which has the number {self.labels.index(str(label))}"
            raise UserError(f"`label` = {label} could be {named}; give the name as text")
        if str(label).isdecimal() and int(label) < len(self.labels):
            return int(label)
        known = ", ".join(f"{index} {name}" if str(index) != name else name for index, name in enumerate(self.labels))
        raise UserError(f"unknown label '{label}'; choose one of {known}")

    def labels_of(self, files: Sequence[Path], directory: str | os.PathLike | None = None) -> np.ndarray | None:
        """Class numbers (n,) of picture files for a conditional model; None for others.

        `label`, or else those of the sub-folders of `directory` that contain the files. Raises UserError where neither says it.
        """
        if not self.labels or self.label is not None:
            return np.full(len(files), self.label) if self.labels else None
        names = pictures.classes(files, directory)
        for file, name in zip(files, names, strict=True):
            if name not in self.labels:
                place = f"is in the sub-folder '{name}', which is not one of its classes" if name else "has no class"
                raise UserError(
                    f"{self.folder} is conditional, and {file} {place}; name a class with `label`, or sort the files into "
                    f"sub-folders named after the classes: {', '.join(self.labels)}"
                )
        return np.array([self.labels.index(name) for name in names])

    def _labels_for(self, n, labels):
        """The class numbers (n,) that a conditional model computes with; None for other models."""
        if not self.labels:
            return None
        if labels is None and self.label is None:
            raise UserError(f"{self.folder} is conditional; name a class with `label`: {', '.join(self.labels)}")
        numbers = np.broadcast_to(np.asarray(self.label if labels is None else labels, "int32"), (n,))
        beyond, last = numbers[(numbers < 0) | (numbers >= len(self.labels))], len(self.labels) - 1
        if len(beyond):
            raise UserError(f"the classes of {self.folder} have the numbers 0 to {last}. Received: {beyond.min()}")
        return numbers

    def check_rebuilds(self) -> None:
        """Raises UserError if the encoder takes images of another shape than the decoder makes, as for super-resolution."""
        if self.input_shape != self.shape:
            small, large = ("x".join(map(str, shape[:2])) for shape in (self.input_shape, self.shape))
            raise UserError(f"{self.folder} makes {large} of {small}: it upscales pictures, it does not rebuild them")

    def _batched(self, function, n, labels, batch=128, progress=None):
        """Apply `function(rows, label)` to n rows in batches and join the results; labels: of all rows, or None."""

        def apply(rows):
            return function(rows, None if labels is None else labels[rows])

        return space.batched(apply, np.arange(n), batch, progress)

    def _run(self, name, labels, progress=None, runtime=None, **arrays):
        """The outputs of a network for one array (n, ...), a dict of NumPy arrays. runtime: another than that of the export."""
        ((key, values),) = arrays.items()
        if not len(values):
            # some processors' convolutions refuse an empty batch: the shapes come from one image of zeros
            one = self._run(name, [0], runtime=runtime, **{key: np.zeros((1, *values.shape[1:]))})
            return {name: made[:0] for name, made in one.items()}

        def run_rows(rows, label):
            return (runtime or self._runtime).run(name, label=label, **{key: np.asarray(values[rows], "float32")})

        return self._batched(run_rows, len(values), self._labels_for(len(values), labels), progress=progress)

    def _floats(self, images):
        images = np.asarray(images)
        if images.shape[1:] != self.input_shape:
            wanted = "(n, {}, {}, {})".format(*self.input_shape)
            raise UserError(f"{self.folder} takes images of shape {wanted}. Received: {images.shape}")
        # those that were never scaled are far outside of [-1, 1]
        return pictures.floats(images, 2.0)

    def codes(self, images: ArrayLike, labels: ArrayLike | None = None, progress: str | None = None) -> dict[str, np.ndarray]:
        """The outputs of the encoder, (n, latent_dim) each: "z", the mean code; of a VAE "z_mean" and "z_log_var" too.

        images: (n, *input_shape). labels: class numbers (n,) of a conditional model, by default `label`. progress: text of a
        progress bar on stderr. So do the other methods.
        """
        return self._run("encoder", labels, progress, images=self._floats(images))

    def encode(self, images: ArrayLike, labels: ArrayLike | None = None, progress: str | None = None) -> np.ndarray:
        """Mean codes (n, latent_dim) of images (n, *input_shape)."""
        return self.codes(images, labels, progress)["z"]

    def decode(self, z: ArrayLike, labels: ArrayLike | None = None) -> np.ndarray:
        """Images (n, H, W, C) of codes (n, latent_dim)."""
        z = np.asarray(z)
        if z.shape[1:] != (self.latent_dim,):
            raise UserError(f"{self.folder} takes codes of shape (n, {self.latent_dim}). Received: {z.shape}")
        if not np.isfinite(z).all():
            raise UserError("codes must be finite numbers. Received: some that are not")
        return self._run("decoder", labels, z=z)["images"]

    def reconstruct(self, images: ArrayLike, labels: ArrayLike | None = None) -> np.ndarray:
        """Images (n, H, W, C) decoded from the mean codes of images (n, *input_shape)."""
        return self.decode(self.encode(images, labels), labels)

    def interpolate(self, image_a: ArrayLike, image_b: ArrayLike, steps: int = 10) -> np.ndarray:
        """`steps` images (steps, H, W, C) of a `walk` from the reconstruction of one image (H, W, C) to that of another."""
        z = np.concatenate([self.encode(np.asarray(image)[None]) for image in (image_a, image_b)])
        return self.decode(self.walk(z, steps, closed=False))

    @functools.cached_property
    def flow(self) -> draws.FlowSampler | None:
        """The flow between noise and codes; None for another prior, and where onnx/ or onnxruntime is missing."""
        with contextlib.suppress(ImportError, UserError):
            runtime = self._runtime if isinstance(self._runtime, Onnx) else Onnx(self.folder, self.card)
            fitted = runtime.samplers["fitted"]
            return fitted if isinstance(fitted, draws.FlowSampler) else None

    def walk(self, z: ArrayLike, steps: int, closed: bool = True) -> np.ndarray:
        """`steps` codes (steps, latent_dim) on a path through codes z (k, latent_dim), whose images change at an even pace.

        It goes through the noise of the `flow`, so that what lies between codes is as likely as they are, or without one
        through the codes themselves. closed: back to the first code.
        """
        z, flow = np.asarray(z), self.flow
        path = space.curve(flow.trace(z, self._labels_for(len(z), None)) if flow else z, closed)
        codes = flow.follow(path, self._labels_for(len(path), None)) if flow else path
        return space.even(codes, self.decode(codes), steps)

    @functools.cached_property
    def _tensorflow(self):
        # not a second decoder in memory where one is
        return self._runtime if isinstance(self._runtime, TensorFlow) else TensorFlow(self.folder, self.card)

    def refine(
        self,
        images: ArrayLike,
        z: np.ndarray,
        steps: int = 20,
        labels: ArrayLike | None = None,
        progress: str | None = None,
        visible: ArrayLike = 1.0,
        pull: ArrayLike = 0.0,
    ) -> np.ndarray:
        """Codes (n, latent_dim) that rebuild images (n, H, W, C) better than codes z do, after `steps` of gradient descent.

        It closes the amortization gap of the encoder (Cremer et al. 2018, arXiv:1801.03558). No code becomes worse, and each
        depends on its own image alone. Gradients need TensorFlow, whatever the runtime is. visible: weights of the squared
        errors of pixels, which broadcast to (H, W, C). pull: a symmetric matrix (latent_dim, latent_dim); a step d away from z
        counts as much as a squared error of d @ pull @ d, in units of [-1, 1], summed.
        """
        if not (len(z) and steps):
            return z
        images, square = self._floats(images).astype("float32"), np.broadcast_to(pull, (self.latent_dim, self.latent_dim))
        visible, square = np.asarray(visible, "float32"), square.astype("float32")

        def refine_rows(rows, label):
            return self._tensorflow.refine(images[rows], z[rows], steps, label, visible, square)

        return self._batched(refine_rows, len(z), self._labels_for(len(z), labels), 32, progress)

    def find_anomalies(self, images: ArrayLike, labels: ArrayLike | None = None) -> dict[str, np.ndarray]:
        """Where images (n, H, W, C) differ from usual ones: "map" (n, H, W), "score" (n,), and "anomalous", bool (n,).

        In units of the threshold. Raises UserError if the export has not learned from usual images.
        """
        if "anomaly" not in self.card:
            advice = "python -m keras_ae.score --reference DIR --keep learns them"
            raise UserError(f"{self.folder} knows no usual pictures; {advice}")
        # not every search has an ONNX form
        runtime = None if (self.folder / "onnx" / "anomaly.onnx").exists() else self._tensorflow
        return self._run("anomaly", labels, runtime=runtime, images=self._floats(images))

    def generate(
        self,
        n: int,
        seed: int = 0,
        temperature: float = 1.0,
        prior: Literal["fitted", "normal"] = "fitted",
        first: int = 0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """New images `first` ... `first + n - 1` of the seed's sequence, uint8 (n, H, W, C), and their codes (n, latent_dim).

        seed: of 32 bits. temperature: scales the spread of the codes, at least 0. prior: that they are drawn from. A
        conditional model without a `label` draws its classes in turn. Raises UserError for other values.
        """
        if prior not in ("fitted", "normal"):
            raise UserError(f"unknown prior {prior!r}; choose fitted or normal")
        n = check_whole("n", n, 0, 2**31 - 1)
        seed = check_whole("seed", seed, -(2**31), 2**31 - 1)
        first = check_whole("first", first, 0, 2**31 - 1)
        if not 0 <= temperature < np.inf:
            raise UserError(f"`temperature` must be a number from 0. Received: {temperature!r}")
        if n == 0:
            # not every runtime takes no rows
            return tuple(array[:0] for array in self.generate(1, seed, temperature, prior, first))
        in_turn = (first + np.arange(n)) % max(len(self.labels), 1) if self.label is None else None

        def draw_rows(rows, label):
            return self._runtime.draw(prior, first + int(rows[0]), len(rows), seed, temperature, label)

        drawn = self._batched(draw_rows, n, self._labels_for(n, in_turn))
        return drawn["images"], drawn["z"]


# the public name
load = Exported
