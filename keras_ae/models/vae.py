"""The variational autoencoder: an encoder, a decoder, and the negative evidence lower bound that trains both."""

from typing import Annotated, Any, Self, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from annotated_types import Ge, Le
from keras import ops
from numpy.typing import ArrayLike

from keras_ae.models.losses import Likelihood, Reconstruction, kl, total_correlation
from keras_ae.models.networks import apply, class_count, is_conditional

Beta = Annotated[float, Ge(0), Le(1e6)]
Steps = Annotated[int, Ge(0), Le(10**9)]
# what `fit`, `evaluate` and `predict` take, and a batch of it with the names of its parts
Images: TypeAlias = np.ndarray | tf.Tensor | tf.data.Dataset | keras.utils.PyDataset | dict[str, Any]
Batch = dict[str, Any]
Tensors = dict[str, tf.Tensor]


def _checked(images, name, shape):
    """Images as float32, asserted in the graph to be finite and within [-1, 1]. shape: that of a batch, for the message."""
    if len(images.shape) != len(shape):
        raise ValueError(
            f"{name} of an autoencoder are images of shape {shape}. Received: {tuple(images.shape)}; leave class labels out, "
            'or pass {"images": images, "label": labels} to a conditional model'
        )
    if images.dtype == "uint8":
        raise ValueError("images must lie in [-1, 1]. Received: 8-bit ones; scale them by / 127.5 - 1")
    images = ops.cast(images, "float32")
    low, high = ops.min(images), ops.max(images)
    advice = f"{name} must lie in [-1, 1]; scale 8-bit images by / 127.5 - 1. Received values from, to:"
    # a comparison with NaN is false
    with tf.control_dependencies([tf.debugging.Assert((low >= -1.001) & (high <= 1.001), [advice, low, high])]):
        return tf.identity(images)


def _checked_labels(label, classes):
    """Class numbers, asserted in the graph to be known: any other number would be encoded as no class at all."""
    label = ops.convert_to_tensor(label)
    if classes is None:
        return label
    advice = f"the classes of this model are 0 to {classes - 1}. Received labels from, to:"
    low, high = ops.min(label), ops.max(label)
    with tf.control_dependencies([tf.debugging.Assert((low >= 0) & (high < classes), [advice, low, high])]):
        return tf.identity(label)


def named_batch(encoder: keras.Model, decoder: keras.Model, x: Any, y: ArrayLike | None = None) -> Batch:
    """A batch as a dict {"images": targets, "inputs"[, "label"]} of float32 images in [-1, 1].

    x: images, or a dict with "images" (or "image"), "inputs" where the encoder takes something else, and "label" (batch,) for
    conditional networks. y: targets, by default the images. Raises ValueError for what would train silently wrong, and
    InvalidArgumentError in the graph for values outside [-1, 1], NaN, and unknown classes.
    """
    batch = dict(x) if isinstance(x, dict) else {"images": x}
    if "image" in batch:
        batch["images"] = batch.pop("image")
    if not {"images", "inputs"} & set(batch):
        raise ValueError(f'a batch needs "images". Received: a dict with {", ".join(map(repr, x))}')
    if is_conditional(encoder):
        if "label" not in batch:
            raise ValueError('a conditional model needs labels: pass {"images": images, "label": labels}')
        batch["label"] = _checked_labels(batch["label"], class_count(encoder))
    inputs = batch.get("inputs", batch.get("images"))
    targets = batch.get("images", inputs) if y is None else y
    images = _checked(targets, "the targets", decoder.output.shape)
    same = targets is inputs
    return batch | {"images": images, "inputs": images if same else _checked(inputs, "the inputs", encoder.inputs[0].shape)}


def mean_terms(batch: Batch, codes: Tensors, decoded: tf.Tensor, likelihood: Any, sample_weight: Any = None) -> Tensors:
    """The terms of the negative ELBO of a batch, scalars: neg_elbo, reconstruction and kl in nats, mse per pixel on [-1, 1].

    codes: of the encoder. decoded: images (batch, H, W, C). sample_weight: of the examples, (batch,) or (batch, 1), or None.
    """

    def mean(values):
        return ops.mean(values if sample_weight is None else values * ops.reshape(ops.cast(sample_weight, values.dtype), (-1,)))

    reconstruction = mean(likelihood(batch["images"], decoded))
    divergence = mean(kl(**codes)) if "z_log_var" in codes else ops.zeros(())
    squared = mean(ops.mean(ops.square(batch["images"] - decoded), axis=(1, 2, 3)))
    return {"neg_elbo": reconstruction + divergence, "reconstruction": reconstruction, "kl": divergence, "mse": squared}


def draw(codes: Tensors, seed_generator: keras.random.SeedGenerator) -> tf.Tensor:
    """Codes z (batch, latent_dim) by the reparameterization trick, z_mean + exp(z_log_var / 2) * epsilon, or points."""
    if "z_log_var" not in codes:
        return codes["z_mean"]
    epsilon = keras.random.normal(ops.shape(codes["z_mean"]), seed=seed_generator)
    return codes["z_mean"] + ops.exp(codes["z_log_var"] / 2) * epsilon


def log_terms(model: keras.Model, terms: Tensors, batch: Batch, decoded: tf.Tensor, sample_weight: Any = None) -> Tensors:
    """Update the metrics of a model with the terms of a batch, and those of `compile`; the means over the epoch so far.

    A smaller last batch counts for less.
    """
    for metric in model.metrics:
        if metric.name in terms:
            metric.update_state(terms[metric.name], sample_weight=ops.shape(batch["images"])[0])
    results = model.compute_metrics(batch["inputs"], batch["images"], decoded, sample_weight)
    # evaluation has no adversarial terms
    unused = {metric.name for metric in model.term_metrics} - set(terms)
    return {name: value for name, value in results.items() if name not in unused}


@keras.saving.register_keras_serializable("keras_ae")
class VAE(keras.Model):
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

    # what a checkpoint of the best weights watches; None where the last weights count
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
        super().__init__(name="vae")
        self.encoder = encoder
        self.decoder = decoder
        self.reconstruction = Likelihood(reconstruction) if isinstance(reconstruction, str) else reconstruction
        self.beta = beta
        self.warmup_steps = warmup_steps
        self.total_correlation = total_correlation
        if total_correlation and "z_log_var" not in encoder.output:
            raise ValueError(f"total_correlation needs a Gaussian latent. Received: {total_correlation:g} with a point")
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        # Keras has one for the loss
        self.term_metrics = [keras.metrics.Mean(name) for name in ("neg_elbo", "reconstruction", "kl", "mse")]
        # both networks are functional, so there is nothing left to build
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Networks, likelihood and numbers, from which `from_config` makes the model again."""
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.parts}
        return parts | {name: getattr(self, name) for name in self.numbers}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        """The model with this configuration, untrained."""
        parts = {name: keras.saving.deserialize_keras_object(config[name], custom_objects) for name in cls.parts}
        return cls(**(config | parts))

    def call(self, inputs: Images, training: bool = False) -> tf.Tensor:
        """Rebuild images from their mean codes: inputs as for `predict` -> images (batch, H, W, C) in [-1, 1]."""
        batch = named_batch(self.encoder, self.decoder, inputs)
        return self.decode(self.encode(batch, training)["z_mean"], batch, training)

    def encode(self, batch: Batch, training: bool = False) -> Tensors:
        """What the encoder returns for a batch of `named_batch`."""
        return apply(self.encoder, training, images=batch["inputs"], label=batch.get("label"))

    def decode(self, z: ArrayLike, batch: Batch, training: bool = False) -> tf.Tensor:
        """Images of codes z (batch, latent_dim) with the labels of the batch."""
        return apply(self.decoder, training, z=z, label=batch.get("label"))

    def terms(self, batch: Batch, sample_weight: Any, training: bool) -> tuple[Tensors, Tensors, tf.Tensor]:
        """The named terms of a batch with the loss, scalars in nats; the codes with their draw "z"; and the reconstructions.

        The loss is reconstruction + beta * KL. In training both weights rise over the first steps, and the weighted total
        correlation is added, which depends on the size of the batch and is left out of held-out losses. Regularization losses
        of layers are added.
        """
        codes = self.encode(batch, training)
        z = draw(codes, self.seed_generator)
        decoded = self.decode(z, batch, training)
        terms = mean_terms(batch, codes, decoded, self.reconstruction, sample_weight)
        divergence = self.beta * terms["kl"]
        if training and self.total_correlation:
            divergence += self.total_correlation * total_correlation(z, **codes)
        if training and self.warmup_steps:
            step = ops.cast(self.optimizer.iterations, "float32")
            divergence *= ops.minimum(1.0, (step + 1) / self.warmup_steps)
        return terms | {"loss": terms["reconstruction"] + divergence + sum(self.losses)}, codes | {"z": z}, decoded

    def train_step(self, data: Any) -> Tensors:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        batch = named_batch(self.encoder, self.decoder, x, y)
        with tf.GradientTape() as tape:
            terms, _, decoded = self.terms(batch, sample_weight, training=True)
            loss = self.optimizer.scale_loss(shared(terms["loss"]))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return log_terms(self, terms, batch, decoded, sample_weight)

    def test_step(self, data: Any) -> Tensors:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        batch = named_batch(self.encoder, self.decoder, x, y)
        terms, _, decoded = self.terms(batch, sample_weight, training=False)
        return log_terms(self, terms, batch, decoded, sample_weight)


def shared(loss: tf.Tensor) -> tf.Tensor:
    """The share of one device in a loss: optimizers of Keras add up the gradients of all devices of a strategy."""
    return loss / tf.distribute.get_strategy().num_replicas_in_sync
