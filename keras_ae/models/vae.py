"""The variational autoencoder: an encoder, a decoder, and the negative evidence lower bound that trains both."""

from typing import Annotated, Any, Self

import keras
import tensorflow as tf
from annotated_types import Ge, Le
from keras import ops
from numpy.typing import ArrayLike

from keras_ae.models.losses import Likelihood, Reconstruction, kl, total_correlation
from keras_ae.models.networks import apply, class_count, is_conditional

Beta = Annotated[float, Ge(0), Le(1e6)]
Steps = Annotated[int, Ge(0), Le(10**9)]
Batch = dict[str, Any]
Tensors = dict[str, tf.Tensor]


def _within(values, low, high, name, advice):
    """The values, asserted in the graph to be finite and within [low, high]."""
    least, most = ops.min(values), ops.max(values)
    # a comparison with NaN is false
    inside = (least >= low) & (most <= high)
    with tf.control_dependencies([tf.debugging.Assert(inside, [f"{advice}. Received {name} from, to:", least, most])]):
        return tf.identity(values)


def _checked_images(images, name, shape):
    """Images as float32, in the range of [-1, 1]. shape: that of a batch, for the message."""
    if len(images.shape) != len(shape):
        raise ValueError(
            f"{name} of an autoencoder are images of shape {shape}. Received: {tuple(images.shape)}; leave class labels out, "
            'or pass {"images": images, "label": labels} to a conditional model'
        )
    if images.dtype == "uint8":
        raise ValueError("images must lie in [-1, 1]. Received: 8-bit ones; scale them by / 127.5 - 1")
    advice = f"{name} must lie in [-1, 1]; scale 8-bit images by / 127.5 - 1"
    return _within(ops.cast(images, "float32"), -1.001, 1.001, "values", advice)


def draw(codes: Tensors, seed_generator: keras.random.SeedGenerator) -> tf.Tensor:
    """Codes z (batch, latent_dim) by the reparameterization trick, z_mean + exp(z_log_var / 2) * epsilon, or points."""
    if "z_log_var" not in codes:
        return codes["z_mean"]
    epsilon = keras.random.normal(ops.shape(codes["z_mean"]), seed=seed_generator)
    return codes["z_mean"] + ops.exp(codes["z_log_var"] / 2) * epsilon


def shared(loss: tf.Tensor) -> tf.Tensor:
    """The share of one device in a loss: optimizers of Keras add up the gradients of all devices of a strategy."""
    return loss / tf.distribute.get_strategy().num_replicas_in_sync


class Autoencoder(keras.Model):
    """What the models of this package share: batches, terms of the negative ELBO, evaluation, and how they are logged.

    The arguments are those of `VAE`. A subclass has a `train_step`.
    """

    # what a checkpoint of the best weights watches; None where the last weights count
    monitor = None
    # beside the loss, which Keras logs
    logged = ("neg_elbo", "reconstruction", "kl", "mse")

    def __init__(self, name: str, encoder: keras.Model, decoder: keras.Model, reconstruction: Any, beta: float, seed: int):
        super().__init__(name=name)
        self.encoder = encoder
        self.decoder = decoder
        self.reconstruction = Likelihood(reconstruction) if isinstance(reconstruction, str) else reconstruction
        self.beta = beta
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.term_metrics = [keras.metrics.Mean(name) for name in self.logged]
        # the networks are functional, so there is nothing left to build
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        """Rebuild images from their mean codes: inputs as for `predict` -> images (batch, H, W, C) in [-1, 1]."""
        batch = self.named_batch(inputs)
        return self.decode(self.encode(batch, training)["z_mean"], batch, training)

    def named_batch(self, data: Any) -> Batch:
        """Data of Keras as a dict {"images": targets, "inputs", "sample_weight"[, "label"]}, images float32 in [-1, 1].

        data: x, (x, y) or (x, y, sample_weight). x: images, or a dict with "images" (or "image"), "inputs" where the encoder
        takes something else, and "label" (batch,) for conditional networks. y: targets, by default the images. Raises
        ValueError for what would train silently wrong, and InvalidArgumentError in the graph for values outside [-1, 1], NaN,
        and unknown classes.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        batch = dict(x) if isinstance(x, dict) else {"images": x}
        if "image" in batch:
            batch["images"] = batch.pop("image")
        if not {"images", "inputs"} & set(batch):
            raise ValueError(f'a batch needs "images". Received: a dict with {", ".join(map(repr, x))}')
        if is_conditional(self.encoder):
            if "label" not in batch:
                raise ValueError('a conditional model needs labels: pass {"images": images, "label": labels}')
            if classes := class_count(self.encoder):
                # any other number would be encoded as no class at all
                advice = f"the classes of this model are 0 to {classes - 1}"
                batch["label"] = _within(ops.convert_to_tensor(batch["label"]), 0, classes - 1, "labels", advice)
        inputs = batch.get("inputs", batch.get("images"))
        targets = batch.get("images", inputs) if y is None else y
        images = _checked_images(targets, "the targets", self.decoder.output.shape)
        same = targets is inputs
        batch["inputs"] = images if same else _checked_images(inputs, "the inputs", self.encoder.inputs[0].shape)
        return batch | {"images": images, "sample_weight": sample_weight}

    def encode(self, batch: Batch, training: bool = False) -> Tensors:
        """What the encoder returns for a batch of `named_batch`."""
        return apply(self.encoder, training, images=batch["inputs"], label=batch.get("label"))

    def decode(self, z: ArrayLike, batch: Batch, training: bool = False) -> tf.Tensor:
        """Images of codes z (batch, latent_dim) with the labels of the batch."""
        return apply(self.decoder, training, z=z, label=batch.get("label"))

    def compare(self, batch: Batch, codes: Tensors, decoded: tf.Tensor) -> Tensors:
        """The loss and the terms of the negative ELBO, scalars in nats per example, and mse per pixel on [-1, 1].

        codes: of the encoder. decoded: images (batch, H, W, C). Terms are multiplied by the sample weights, (batch,) or
        (batch, 1), of the batch.
        """
        weight = batch["sample_weight"]

        def mean(values):
            return ops.mean(values if weight is None else values * ops.reshape(ops.cast(weight, values.dtype), (-1,)))

        reconstruction = mean(self.reconstruction(batch["images"], decoded))
        divergence = mean(kl(**codes)) if "z_log_var" in codes else ops.zeros(())
        return {
            "loss": reconstruction + self.beta * divergence,
            "neg_elbo": reconstruction + divergence,
            "reconstruction": reconstruction,
            "kl": divergence,
            "mse": mean(ops.mean(ops.square(batch["images"] - decoded), axis=(1, 2, 3))),
        }

    def terms(self, batch: Batch, training: bool = False) -> tuple[Tensors, Tensors, tf.Tensor]:
        """The terms of a batch, see `compare`; the codes with their draw "z"; and the reconstructions."""
        codes = self.encode(batch, training)
        z = draw(codes, self.seed_generator)
        decoded = self.decode(z, batch, training)
        return self.compare(batch, codes, decoded), codes | {"z": z}, decoded

    def test_step(self, data: Any) -> Tensors:
        batch = self.named_batch(data)
        terms, _, decoded = self.terms(batch)
        return self.log(terms, batch, decoded)

    def log(self, terms: Tensors, batch: Batch, decoded: tf.Tensor) -> Tensors:
        """Update the metrics with the terms of a batch, and those of `compile`; the means over the epoch so far.

        A smaller last batch counts for less.
        """
        for metric in self.metrics:
            if metric.name in terms:
                metric.update_state(terms[metric.name], sample_weight=ops.shape(batch["images"])[0])
        results = self.compute_metrics(batch["inputs"], batch["images"], decoded, batch["sample_weight"])
        # evaluation has no adversarial terms
        return {name: value for name, value in results.items() if name in terms or name not in self.logged}


@keras.saving.register_keras_serializable("keras_ae")
class VAE(Autoencoder):
    """Minimizes reconstruction + beta * KL in nats per example; with a `Point` latent it is a plain autoencoder.

    encoder: images (batch, H, W, C) in [-1, 1] -> {"z_mean"[, "z_log_var"]}, each (batch, latent_dim).
    decoder: z (batch, latent_dim) -> images (batch, H, W, C) in [-1, 1].
    reconstruction: a `Likelihood`, its name, or a function: images, reconstructions -> nats, (batch,).
    beta: weight of the KL; 1 is the evidence lower bound (Kingma & Welling 2014), more is a beta-VAE (Higgins et al. 2017).
    warmup_steps: in training the weight rises linearly from 0 to beta over this many steps.
    total_correlation: weight of the `losses.total_correlation` of codes, beside that within the KL: beta - 1 of a beta-TCVAE
    (Chen et al. 2018, arXiv:1802.04942), which makes numbers of the code independent. It needs a `Gaussian` latent.
    seed: of the draws from the posterior.

    `fit`, `evaluate` and `predict` are those of Keras. They take images, pairs (inputs, targets) such as noisy and clean
    images, or dicts with "images", and "inputs" where the encoder takes something else, and "label" (batch,) for conditional
    networks; arrays, tensors, `tf.data.Dataset`, generators or `PyDataset`. Without targets, the images are the targets. Keras
    uses `sample_weight` where targets are given: `fit(images, images, sample_weight=weights)`. The metrics of `compile` compare
    images with reconstructions.

    Logged in nats per example: `loss`, `neg_elbo` (reconstruction + KL with weight 1 for every beta; lower is better),
    `reconstruction`, `kl`; and `mse` per pixel on [-1, 1]. In evaluation `loss` has the full beta and no total
    correlation, so that `val_loss` compares between epochs.
    """

    monitor = "val_loss"
    parts = ("encoder", "decoder", "reconstruction")
    numbers = ("beta", "warmup_steps", "total_correlation", "seed")

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        reconstruction: Reconstruction = "gaussian_optimal_variance",
        *,
        beta: Beta = 1.0,
        warmup_steps: Steps = 0,
        total_correlation: Beta = 0.0,
        seed: int = 0,
    ):
        super().__init__("vae", encoder, decoder, reconstruction, beta, seed)
        self.warmup_steps = warmup_steps
        self.total_correlation = total_correlation
        if total_correlation and "z_log_var" not in encoder.output:
            raise ValueError(f"total_correlation needs a Gaussian latent. Received: {total_correlation:g} with a point")

    def get_config(self) -> dict[str, Any]:
        """Networks, likelihood and numbers, from which `from_config` makes the model again."""
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.parts}
        return parts | {name: getattr(self, name) for name in self.numbers}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        """The model with this configuration, untrained."""
        parts = {name: keras.saving.deserialize_keras_object(config[name], custom_objects) for name in cls.parts}
        return cls(**(config | parts))

    def terms(self, batch: Batch, training: bool = False) -> tuple[Tensors, Tensors, tf.Tensor]:
        """As for every `Autoencoder`, with regularization losses of layers in the loss, reconstruction + beta * KL.

        In training both weights rise over the first steps, and the weighted total correlation is added, which depends on the
        size of the batch and is left out of held-out losses.
        """
        terms, codes, decoded = super().terms(batch, training)
        divergence = self.beta * terms["kl"]
        if training and self.total_correlation:
            divergence += self.total_correlation * total_correlation(**codes)
        if training and self.warmup_steps:
            step = ops.cast(self.optimizer.iterations, "float32")
            divergence *= ops.minimum(1.0, (step + 1) / self.warmup_steps)
        return terms | {"loss": terms["reconstruction"] + divergence + sum(self.losses)}, codes, decoded

    def train_step(self, data: Any) -> Tensors:
        batch = self.named_batch(data)
        with tf.GradientTape() as tape:
            terms, _, decoded = self.terms(batch, training=True)
            loss = self.optimizer.scale_loss(shared(terms["loss"]))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return self.log(terms, batch, decoded)
