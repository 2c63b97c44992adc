"""What computes an export: TensorFlow from its SavedModels, or onnxruntime from its portable files.

Both have the same methods. Arrays are float32, labels int32 (n,) for a conditional model and None for others.
"""

import functools
import importlib.util
import zipfile

import numpy as np

from keras_ae.errors import UserError
from keras_ae.exports import card as cards
from keras_ae.exports import opening, refining
from keras_ae.priors import philox

PORTABLE = "onnx/decoder.onnx"
ADVICE = "install it with pip install onnxruntime, or use --runtime tensorflow"


def _named(card):
    """Shape of the images and length of a code, as a card says them, or None."""
    if "image_shape" in card and "latent_dim" in card:
        return tuple(card["image_shape"]), card["latent_dim"]
    return None


class TensorFlow:
    """The SavedModels in `place`; messages name `folder`. card: contents of card.json. Raises UserError without TensorFlow."""

    def __init__(self, place, folder, card):
        self.place, self.folder, self.card = place, folder, card
        self.labels = card.get("labels", [])
        try:
            import tensorflow

            self._tf = tensorflow
        except ImportError as error:
            advice = "pip install tensorflow, or use --runtime onnx with an export that has the folder onnx/"
            raise UserError(f"TensorFlow cannot be imported ({error}); {advice}") from error

    def shapes(self):
        """(H, W, C) of the images, and the length of a code."""
        return _named(self.card) or opening.shapes(self._decoder, self.folder)

    @property
    def generates(self):
        """Whether there is a generator."""
        return (self.place / "generator" / "saved_model.pb").exists()

    @property
    def draws_pieces(self):
        """Whether any piece of a seed's sequence can be drawn; generators of other programs may draw it from the start only."""
        return {"fitted", "normal"} <= set(self._generator.signatures)

    def _loaded(self, name, argument):
        model = opening.loaded(self.place, self.folder, name, self.card)
        opening.check(model, self.folder, name, argument, self.labels)
        return model

    @functools.cached_property
    def _encoder(self):
        shape = self.card.get("input_shape") or self.shapes()[0]
        return self._loaded("encoder", {"images": tuple(shape)})

    @functools.cached_property
    def _decoder(self):
        if not (named := _named(self.card)):
            return opening.loaded(self.place, self.folder, "decoder", self.card)
        model = self._loaded("decoder", {"z": (named[1],)})
        if (found := opening.shapes(model, self.folder)[0]) != named[0]:
            raise UserError(f"{self.folder}: the card says images of shape {named[0]}, the decoder makes {found}")
        return model

    @functools.cached_property
    def _generator(self):
        return self._loaded("generator", {"n": ()})

    def _tensors(self, labels, **arrays):
        tensors = {name: self._tf.constant(values, self._tf.float32) for name, values in arrays.items()}
        return tensors if labels is None else tensors | {"label": self._tf.constant(labels, self._tf.int32)}

    def encode(self, images, labels):
        """The outputs of the encoder for images (n, h, w, C): a dict of tensors."""
        return self._encoder.signatures["serving_default"](**self._tensors(labels, images=images))

    def decode(self, z, labels):
        """{"images": (n, H, W, C)} of codes (n, latent_dim)."""
        return self._decoder.signatures["serving_default"](**self._tensors(labels, z=z))

    def draw(self, prior, first, n, seed, temperature, labels):
        """{"images": uint8, "z"} from the signature `prior`; first: None for `serving_default`, which draws from the start."""
        # generators of earlier versions may round one image alone in another way
        several = max(n, 2)
        labels = None if labels is None else np.resize(labels, several)
        counts = {"n": several, "seed": seed} | ({} if first is None else {"first": first})
        arguments = {name: self._tf.constant(value, self._tf.int32) for name, value in counts.items()}
        drawn = self._generator.signatures[prior](**arguments, **self._tensors(labels, temperature=temperature))
        return {name: values[:n] for name, values in drawn.items()}

    @functools.cached_property
    def _descend(self):
        decode = self._decoder.signatures["serving_default"]

        def images_of(z, *label):
            return decode(z=z, **({"label": label[0]} if label else {}))["images"]

        shape, latent_dim = self.shapes()
        return refining.descent(images_of, latent_dim, shape, bool(self.labels))

    def refine(self, images, z, steps, labels):
        """Codes after so many steps of `refining.descent`."""
        tensors = self._tensors(labels, z=z, images=images)
        return self._descend(tensors["z"], tensors["images"], self._tf.constant(steps), *list(tensors.values())[2:])


class Onnx:
    """The files of the folder onnx/ in `place`, with the arguments of `TensorFlow`. Raises UserError without onnxruntime."""

    draws_pieces = True

    def __init__(self, place, folder, card):
        self.place, self.folder, self.card = place, folder, card
        try:
            import onnxruntime
        except ImportError as error:
            raise UserError(f"onnxruntime cannot be imported ({error}); {ADVICE}") from error
        self._package = onnxruntime
        if not (place / PORTABLE).exists():
            raise UserError(f"{folder} has no {PORTABLE}; export the model again, or use --runtime tensorflow")

    def shapes(self):
        """(H, W, C) of the images, and the length of a code."""
        if named := _named(self.card):
            return named
        (code,) = (one for one in self._decoder.get_inputs() if one.name == "z")
        (images,) = (one for one in self._decoder.get_outputs() if one.name == "images")
        return tuple(images.shape[1:]), code.shape[1]

    @property
    def generates(self):
        """Whether there is a prior to draw codes from."""
        return (self.place / "onnx" / "prior.npz").exists()

    def _opened(self, name, argument):
        """A session with the file onnx/NAME; argument: {name of an input: shape without the batch}."""
        file = f"onnx/{name}"
        cards.verify(self.place, self.folder, file, self.card)
        options = self._package.SessionOptions()
        options.log_severity_level = 4
        try:
            session = self._package.InferenceSession(
                (self.place / file).read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            # a damaged protocol buffer raises almost anything
            raise UserError(f"{self.folder / file} is not an ONNX file that loads; export the model again") from error
        found = {one.name: tuple(one.shape[1:]) for one in session.get_inputs()}
        ((key, shape),) = argument.items()
        if key not in found:
            raise UserError(f"{self.folder / file} takes {', '.join(found)} instead of {key}; export the model again")
        if shape and found[key] != tuple(shape):
            says = f"the card says {key} of shape {tuple(shape)}"
            raise UserError(f"{self.folder}: {says}, {file} takes {found[key]}")
        return session

    @functools.cached_property
    def _encoder(self):
        return self._opened("encoder.onnx", {"images": self.card.get("input_shape", self.card.get("image_shape"))})

    @functools.cached_property
    def _decoder(self):
        latent_dim = self.card.get("latent_dim")
        return self._opened("decoder.onnx", {"z": latent_dim and (latent_dim,)})

    @functools.cached_property
    def _prior(self):
        cards.verify(self.place, self.folder, "onnx/prior.npz", self.card)
        try:
            with np.load(self.place / "onnx" / "prior.npz") as file:
                arrays = dict(file)
            name = str(arrays.pop("prior"))
            if name == "flow":
                return philox.flow_sampler(arrays, self._velocity)
            return philox.normal_sampler(self.shapes()[1]) if name == "normal" else philox.mixture_sampler(arrays)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(f"{self.folder / 'onnx/prior.npz'} cannot be read; export the model again") from error

    @functools.cached_property
    def _velocity(self):
        session = self._opened("velocity.onnx", {"x": (self.shapes()[1],)})
        names = [one.name for one in session.get_inputs()]

        def velocity(x, t, labels):
            given = {"x": x, "t": t, "label": labels}
            return session.run(None, {name: given[name] for name in names})[0]

        return velocity

    def _computed(self, session, names, labels, **arrays):
        if labels is not None:
            arrays["label"] = np.asarray(labels, "int32")
        return dict(zip(names, session.run(names, arrays), strict=True))

    def encode(self, images, labels):
        """The outputs of the encoder for images (n, h, w, C): a dict of arrays."""
        names = [output.name for output in self._encoder.get_outputs()]
        return self._computed(self._encoder, names, labels, images=images)

    def decode(self, z, labels):
        """{"images": (n, H, W, C)} of codes (n, latent_dim)."""
        return self._computed(self._decoder, ["images"], labels, z=z)

    def draw(self, prior, first, n, seed, temperature, labels):
        """{"images": uint8, "z"} of codes from the prior "fitted" or "normal"."""
        sample = self._prior if prior == "fitted" else philox.normal_sampler(self.shapes()[1])
        z = sample(n, seed, temperature, first, labels)
        (pixels,) = self._computed(self._decoder, ["images_uint8"], labels, z=z).values()
        return {"images": pixels, "z": z}


RUNTIMES = {"tensorflow": TensorFlow, "onnx": Onnx}


def opened(runtime, place, folder, card):
    """The runtime of an export; "auto" is onnx where onnxruntime is installed and the export has its files, else TensorFlow."""
    if runtime == "auto":
        portable = (place / PORTABLE).exists() and importlib.util.find_spec("onnxruntime")
        runtime = "onnx" if portable else "tensorflow"
    return RUNTIMES[runtime](place, folder, card)
