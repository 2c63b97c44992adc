"""The variational autoencoder: an encoder, a decoder, and the negative evidence lower bound that trains both."""

import os
from typing import Annotated, Any, Self, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from annotated_types import Ge, Le
from keras import ops
from numpy.typing import ArrayLike

from keras_ae.models import inputs, replicas
from keras_ae.models.losses import Likelihood, Reconstruction, total_correlation
from keras_ae.models.networks import apply, is_conditional

Beta = Annotated[float, Ge(0), Le(1e6)]
Steps = Annotated[int, Ge(0), Le(10**9)]
# what `fit`, `evaluate` and `predict` take, and a batch of it with the names of its parts
Images: TypeAlias = np.ndarray | tf.Tensor | tf.data.Dataset | keras.utils.PyDataset | dict[str, Any]
Batch = dict[str, Any]
Tensors = dict[str, tf.Tensor]


@keras.saving.register_keras_serializable("keras_ae")
class VAE(keras.Model):
    """Minimizes reconstruction + beta * KL in nats per example; with a `Point` latent it is a plain autoencoder.

    encoder: images (batch, H, W, C) in [-1, 1] -> codes {"z", "z_mean", "kl", ...}, each (batch, latent_dim).
    decoder: z (batch, latent_dim) -> images (batch, H, W, C) in [-1, 1].
    reconstruction: a `Likelihood`, its name, or a function: images, reconstructions -> nats, (batch,).
    beta: weight of the KL; 1 is the evidence lower bound (Kingma & Welling 2014), more is a beta-VAE (Higgins et al. 2017).
    warmup_steps: in training the weight rises linearly from 0 to beta over this many steps.
    total_correlation: weight of the `losses.total_correlation` of codes, beside that within the KL: beta - 1 of a beta-TCVAE
    (Chen et al. 2018, arXiv:1802.04942), which makes numbers of the code independent. It needs a `Gaussian` latent.

    `fit`, `evaluate` and `predict` take images as a NumPy array or a `tf.data.Dataset` of batches; pairs (inputs, targets),
    such as noisy and clean images; or dicts with "images", and "inputs" where the encoder takes something else, and "label"
    (batch,) for conditional networks. Weights of examples multiply their terms, but not the total correlation.

    Logged in nats per example: `loss`, `neg_elbo` (reconstruction + KL with weight 1 for every beta; lower is better),
    `reconstruction`, `kl`; and `mse` per pixel on [-1, 1]. In evaluation `loss` has the full beta and no total
    correlation, so that `val_loss` compares between epochs.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        reconstruction: Reconstruction = "gaussian_optimal_variance",
        *,
        beta: Beta = 1.0,
        warmup_steps: Steps = 0,
        total_correlation: Beta = 0.0,
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
        self.trackers = [keras.metrics.Mean(name) for name in ("loss", "neg_elbo", "reconstruction", "kl", "mse")]
        # both networks are functional, so there is nothing left to build
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Networks, likelihood and numbers, from which `from_config` makes the model again."""
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.PARTS}
        return parts | {name: getattr(self, name) for name in self.NUMBERS}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        """The model with this configuration, untrained."""
        parts = {name: keras.saving.deserialize_keras_object(config[name], custom_objects) for name in cls.PARTS}
        return cls(**(config | parts))

    PARTS = ("encoder", "decoder", "reconstruction")
    NUMBERS = ("beta", "warmup_steps", "total_correlation")

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return self.trackers

    def call(self, inputs: Images, training: bool = False) -> tf.Tensor:
        """Rebuild images from their mean codes: inputs as for `predict` -> images (batch, H, W, C) in [-1, 1]."""
        batch = self.batch_of(inputs)
        return self.decode(self.encode(batch, training)["z_mean"], batch, training)

    def batch_of(self, x: np.ndarray | tf.Tensor | Batch, y: ArrayLike | None = None) -> Batch:
        """A batch as a dict {"images": targets, "inputs"[, "label"]} of what `fit` and `predict` take. Raises ValueError."""
        batch = dict(x) if isinstance(x, dict) else {"images": x}
        if "image" in batch:
            # the name that data sets of tensorflow-datasets use
            batch["images"] = batch.pop("image")
        if not {"images", "inputs"} & set(batch):
            raise ValueError(f'a batch needs "images". Received: a dict with {", ".join(map(repr, x))}')
        if is_conditional(self.encoder) and "label" not in batch:
            raise ValueError('a conditional model needs labels: pass {"images": images, "label": labels}')
        batch.setdefault("inputs", batch.get("images"))
        targets = batch.get("images", batch["inputs"]) if y is None else y
        batch["images"] = inputs.checked_targets(targets, self.decoder.output.shape)
        return batch

    def encode(self, batch: Batch, training: bool = False) -> Tensors:
        """The codes of a batch, a dict as the latent layer returns it."""
        return apply(self.encoder, training, images=batch["inputs"], label=batch.get("label"))

    def decode(self, z: ArrayLike, batch: Batch, training: bool = False) -> tf.Tensor:
        """Images of codes z (batch, latent_dim) with the labels of the batch."""
        return apply(self.decoder, training, z=z, label=batch.get("label"))

    def terms(self, batch: Batch, codes: Tensors, decoded: tf.Tensor, weights: ArrayLike | None = None) -> Tensors:
        """Terms of the objective for a batch, its codes and what was decoded from them: a dict of scalars.

        weights: of the examples, (batch,), or None for 1.
        """

        def mean(values):
            return replicas.mean(values if weights is None else values * ops.cast(weights, values.dtype))

        images = ops.cast(batch["images"], "float32")
        reconstruction = mean(self.reconstruction(images, decoded))
        kl = mean(ops.sum(codes["kl"], axis=-1))
        squared = mean(ops.mean(ops.square(images - decoded), axis=(1, 2, 3)))
        return {"neg_elbo": reconstruction + kl, "reconstruction": reconstruction, "kl": kl, "mse": squared}

    def train_step(self, data: Any) -> Tensors:
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        batch = self.batch_of(x, y)
        with tf.GradientTape() as tape:
            codes = self.encode(batch, training=True)
            terms = self.terms(batch, codes, self.decode(codes["z"], batch, training=True), weights)
            loss = self.objective(terms, codes, training=True)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_variables)
        replicas.step(self.optimizer, gradients, self.trainable_variables)
        return self.logged({"loss": loss, **terms}, batch)

    def test_step(self, data: Any) -> Tensors:
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        batch = self.batch_of(x, y)
        codes = self.encode(batch)
        terms = self.terms(batch, codes, self.decode(codes["z"], batch), weights)
        return self.logged({"loss": self.objective(terms, codes, training=False), **terms}, batch)

    def objective(self, terms: Tensors, codes: Tensors, training: bool) -> tf.Tensor:
        """The loss, a scalar: reconstruction + beta * KL, and in training the weighted total correlation of the whole batch.

        In training, both weights rise over the first steps. The total correlation depends on the size of the batch, so held-out
        losses are without it. Regularization losses of layers, such as those of `kernel_regularizer`, are added.
        """
        divergence = self.beta * terms["kl"]
        if training:
            if self.total_correlation:
                of_codes = total_correlation(codes["z"], codes["z_mean"], codes["z_log_var"])
                divergence += self.total_correlation * of_codes
            step = ops.cast(self.optimizer.iterations, "float32")
            divergence *= ops.minimum(1.0, (step + 1) / max(self.warmup_steps, 1))
        return terms["reconstruction"] + divergence + sum(self.losses)

    def logged(self, terms: Tensors, batch: Batch) -> Tensors:
        """Update the trackers of these terms and return their means over the epoch."""
        # the last batch of an evaluation is smaller and must count for less
        examples = replicas.summed(ops.shape(batch["images"])[0])
        terms = replicas.averaged(terms)
        trackers = [tracker for tracker in self.trackers if tracker.name in terms]
        for tracker in trackers:
            tracker.update_state(terms[tracker.name], sample_weight=examples)
        results = {tracker.name: tracker.result() for tracker in trackers}
        # Keras averages the logs of several workers over their first axis
        return {name: ops.reshape(value, (1,)) for name, value in results.items()} if replicas.on_workers() else results

    def _maybe_symbolic_build(self, *args, **kwargs):
        # Keras' own fails on the batches of several workers (its issue 20585), and opens the stream once too often; the
        # networks are built, and these are the optimizers: a step that still makes their variables would be traced twice
        if self.compiled:
            with self.distribute_strategy.scope():
                self.state()

    def export(self, filepath: str | os.PathLike, *args: Any, input_signature: list[Any] | None = None, **kwargs: Any) -> None:
        """As `keras.Model.export`; the signature is that of the encoder's inputs."""
        if input_signature is None:
            specs = [keras.InputSpec(shape=tensor.shape, dtype=tensor.dtype) for tensor in self.encoder.inputs]
            named = dict(zip(("inputs", "label"), specs, strict=False))
            input_signature = [named if is_conditional(self.encoder) else specs[0]]
        return super().export(filepath, *args, input_signature=input_signature, **kwargs)

    def compile(self, optimizer: str | keras.optimizers.Optimizer = "adam", **kwargs: Any) -> None:
        """As `keras.Model.compile`. Raises ValueError for a loss or metrics: the model has its own."""
        for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if kwargs.get(name):
                raise ValueError(f"compile takes no {name}: the model has its own; choose a reconstruction likelihood")
        super().compile(optimizer=optimizer, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile a model that was loaded: Keras leaves it to models with a `compile` of their own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(
        self,
        x: Images | None = None,
        y: ArrayLike | None = None,
        *args: Any,
        sample_weight: ArrayLike | None = None,
        validation_data: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """As `keras.Model.fit`; without `y`, the targets are the images themselves, also in `validation_data`."""
        if isinstance(validation_data, tuple) and len(validation_data) == 3:
            held_out, targets, weights = validation_data
            validation_data = held_out, self._checked(held_out, targets, weights), weights
        kwargs |= {"sample_weight": sample_weight, "validation_data": validation_data}
        return super().fit(x, self._checked(x, y, sample_weight), *args, **kwargs)

    def evaluate(
        self,
        x: Images | None = None,
        y: ArrayLike | None = None,
        *args: Any,
        sample_weight: ArrayLike | None = None,
        **kwargs: Any,
    ) -> Any:
        """As `keras.Model.evaluate`; without `y`, the targets are the images themselves."""
        return super().evaluate(x, self._checked(x, y, sample_weight), *args, sample_weight=sample_weight, **kwargs)

    def _checked(self, x, y, sample_weight):
        """The targets `y`, made explicit where Keras needs them. Raises ValueError for arrays that do not fit the model."""
        inputs.check_arrays(x, y, self.encoder, self.decoder.output.shape)
        # Keras drops the weights of data without targets
        return self.batch_of(x)["images"] if y is None and sample_weight is not None else y

    def state(self) -> list[keras.Variable]:
        """Every variable that training changes, in a fixed order: what a resumed run needs."""
        self.optimizer.build(self.trainable_variables)
        # `variables` of the networks includes the states of seed generators
        return [*self.encoder.variables, *self.decoder.variables, *self.optimizer.variables]

    def improves(self, loss: float, least: float) -> bool:
        """Whether weights with the held-out loss `loss` replace those of the least so far."""
        return loss < least
