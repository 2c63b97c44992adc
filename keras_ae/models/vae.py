"""The variational autoencoder: an encoder, a decoder, and the negative evidence lower bound that trains both."""

import warnings
from collections.abc import Callable
from typing import Annotated, Any, Self

import keras
import numpy as np
import tensorflow as tf
from annotated_types import Ge, Le
from keras import ops
from numpy.typing import ArrayLike

from keras_ae.models import inputs as check
from keras_ae.models.losses import Likelihood, Reconstruction, kl, log_normal, total_correlation
from keras_ae.models.networks import apply, class_count, is_conditional, layers_of

Beta = Annotated[float, Ge(0), Le(1e6)]
Steps = Annotated[int, Ge(0), Le(10**9)]
Batch = dict[str, Any]
Tensors = dict[str, tf.Tensor]


def draw(codes: Tensors, seed_generator: keras.random.SeedGenerator) -> tf.Tensor:
    """Codes z (batch, latent_dim) by the reparameterization trick, z_mean + exp(z_log_var / 2) * epsilon, or points."""
    if "z_log_var" not in codes:
        return codes["z_mean"]
    epsilon = keras.random.normal(ops.shape(codes["z_mean"]), dtype="float32", seed=seed_generator)
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
        check.check_keras()
        check.check_numbers(beta=beta)
        encoder, decoder = check.as_encoder(encoder), check.as_decoder(decoder)
        check.check_pair(encoder, decoder)
        # with networks of float16, Keras scales the loss
        half = any(layer.compute_dtype == "float16" for network in (encoder, decoder) for layer in layers_of(network))
        super().__init__(name=name, dtype="mixed_float16" if half else None)
        self.encoder, self.decoder, self.beta, self.seed = encoder, decoder, beta, seed
        self.reconstruction = Likelihood(reconstruction) if isinstance(reconstruction, str) else reconstruction
        check.check_likelihood(self.reconstruction)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.term_metrics = [keras.metrics.Mean(name) for name in self.logged]
        # the share of batches without a value below 0, until the first steps were looked at
        self.bright = keras.metrics.Mean("bright")
        self.checks_brightness = True
        # the networks are functional, so there is nothing left to build
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        """Rebuild images from their mean codes: inputs as for `predict` -> images (batch, H, W, C) in [-1, 1]."""
        batch = self.named_batch(inputs, predicting=True)
        return self.decode(self.encode(batch, training)["z_mean"], batch, training)

    def named_batch(self, data: Any, predicting: bool = False) -> Batch:
        """Data of Keras as a dict {"images": targets, "inputs", "sample_weight"[, "label"]}, images float32 in [-1, 1].

        data: x, (x, y) or (x, y, sample_weight), see `VAE`. y: targets, by default the images; `predicting` needs none. Raises
        ValueError for what would train silently wrong; values are asserted in the graph, see `inputs`.
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
            batch["label"] = check.check_labels(batch["label"], class_count(self.encoder))
        inputs = batch.get("inputs", batch.get("images"))
        targets = batch.get("images", inputs) if y is None else y
        shown, drawn = self.encoder.inputs[0].shape, self.decoder.output.shape
        same = predicting or (targets is inputs and shown == drawn)
        batch["inputs"] = check.check_images(inputs, "images" if same else "inputs", shown)
        images = batch["inputs"] if same else check.check_images(targets, "targets", drawn)
        return batch | {"images": images, "sample_weight": check.check_weight(sample_weight, images)}

    def encode(self, batch: Batch, training: bool = False) -> Tensors:
        """What the encoder returns for a batch of `named_batch`."""
        return apply(self.encoder, training, images=batch["inputs"], label=batch.get("label"))

    def decode(self, z: ArrayLike, batch: Batch, training: bool = False) -> tf.Tensor:
        """Images of codes z (batch, latent_dim) with the labels of the batch."""
        return apply(self.decoder, training, z=z, label=batch.get("label"))

    def compare(self, batch: Batch, codes: Tensors, decoded: tf.Tensor) -> Tensors:
        """The loss and the terms of the negative ELBO, scalars in nats per example, and mse per pixel on [-1, 1].

        codes: of the encoder. decoded: images (batch, H, W, C).
        """
        weight = batch["sample_weight"]
        weighted = [weight] if isinstance(self.reconstruction, Likelihood) else []
        nats = self.reconstruction(batch["images"], decoded, *weighted)
        reconstruction = self.mean(check.check_nats(nats, decoded), batch)
        divergence = self.mean(kl(**codes), batch) if "z_log_var" in codes else ops.zeros((), "float32")
        return {
            "loss": reconstruction + self.beta * divergence,
            "neg_elbo": reconstruction + divergence,
            "reconstruction": reconstruction,
            "kl": divergence,
            "mse": self.mean(ops.mean(ops.square(batch["images"] - decoded), axis=(1, 2, 3)), batch),
        }

    def mean(self, values: tf.Tensor, batch: Batch) -> tf.Tensor:
        """The mean of values (batch,), multiplied by the sample weights of the batch where it has some, a scalar."""
        weight = batch["sample_weight"]
        return ops.mean(values if weight is None else values * ops.cast(weight, values.dtype))

    def log_prior(self, z: tf.Tensor) -> tf.Tensor:
        """The log density of the model's prior at codes z (batch, latent_dim), (batch,): that of N(0, I)."""
        return log_normal(z)

    def learned_prior(self) -> Any:
        """The density of codes that was trained with the networks, see `priors.mixture`; None where it is N(0, I)."""

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
        """Update the metrics with the terms of a batch, which counts by its size; their means over the epoch so far."""
        for metric in self.metrics:
            if metric.name in terms:
                metric.update_state(terms[metric.name], sample_weight=ops.shape(batch["images"])[0])
        self.bright.update_state(ops.min(batch["images"]) >= 0)
        results = self.compute_metrics(batch["inputs"], batch["images"], decoded, batch["sample_weight"])
        # evaluation has no adversarial terms
        return {name: value for name, value in results.items() if name in terms or name not in (*self.logged, "bright")}

    def fit(self, *arguments: Any, class_weight: None = None, **options: Any) -> keras.callbacks.History:
        """Keras' `fit`. Raises ValueError for what it would take and not use: `class_weight`, and a loss of `compile`."""
        if class_weight is not None:
            raise ValueError("class_weight is for class targets; pass fit(images, images, sample_weight=weights) of shape (n,)")
        if loss := (self.get_compile_config() or {}).get("loss"):
            raise ValueError(f"the loss is `reconstruction` and the KL. Received: compile(loss={loss!r}); compile without it")
        history = super().fit(*arguments, **options)
        divergence = history.history.get("kl", [np.inf])[-1]
        if self.encoder.trainable and "z_log_var" in self.encoder.output and divergence < 0.1:
            warnings.warn(check.COLLAPSED.format(divergence), stacklevel=2)
        return history

    def make_train_function(self, force: bool = False) -> Callable:
        # TensorFlow creates variables in the first call alone, which may be one that is refused
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        return self._make("train_function", force)

    def make_test_function(self, force: bool = False) -> Callable:
        return self._make("test_function", force)

    def make_predict_function(self, force: bool = False) -> Callable:
        return self._make("predict_function", force)

    def _make(self, name, force):
        """Keras' function of a step, which raises the errors of `inputs`, and warns once about images without dark pixels."""
        if not force and getattr(self, name) is not None:
            return getattr(self, name)
        getattr(super(), f"make_{name}")(force=True)
        function, first = getattr(self, name), True

        def run(data):
            nonlocal first
            with check.in_one_line():
                outputs = function(data)
            if first and self.jit_compile:
                check.check_finite(outputs)
            if self.checks_brightness and name != "predict_function":
                self.checks_brightness = False
                if float(self.bright.result()) == 1:
                    warnings.warn(check.BRIGHT, stacklevel=4)
            first = False
            return outputs

        setattr(self, name, run)
        return run


@keras.saving.register_keras_serializable("keras_ae")
class VAE(Autoencoder):
    """Minimizes reconstruction + beta * KL in nats per example; with a `Point` latent it is a plain autoencoder.

    encoder: images (batch, H, W, C) in [-1, 1] -> {"z_mean"[, "z_log_var"]}, each (batch, latent_dim).
    decoder: z (batch, latent_dim) -> images (batch, H, W, C) in [-1, 1].
    reconstruction: a `Likelihood`, its name, or a function: images, reconstructions -> nats, (batch,).
    beta: weight of the KL; 1 is the evidence lower bound (Kingma & Welling 2014), more is a beta-VAE (Higgins et al. 2017).
    warmup_steps: of the optimizer, over which the weight rises linearly from 0 to beta; a new `compile` begins again.
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
        self.warmup_steps, self.total_correlation = warmup_steps, total_correlation
        check.check_numbers(warmup_steps=warmup_steps, total_correlation=total_correlation)
        if total_correlation:
            check.check_posterior(self.encoder, "total_correlation")

    def get_config(self) -> dict[str, Any]:
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.parts}
        return parts | {name: getattr(self, name) for name in self.numbers}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        parts = {name: keras.saving.deserialize_keras_object(config[name], custom_objects) for name in cls.parts}
        return cls(**(config | parts))

    def terms(self, batch: Batch, training: bool = False) -> tuple[Tensors, Tensors, tf.Tensor]:
        """As for every `Autoencoder`, with regularization losses of layers in the loss, reconstruction + beta * KL.

        The total correlation, which depends on the size of the batch, and the warm-up are left out of held-out losses.
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
