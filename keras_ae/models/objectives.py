"""Objectives of training by name. Variants are other losses on the same networks, each a function of about ten lines.

A variant returns the loss of a batch, a scalar in nats per example. It takes by name what it needs of: `model`; `batch`, of
`Autoencoder.named_batch`; `training`; `reconstruction` and `kl`, scalars of `Autoencoder.compare`; `z`, `z_mean` and
`z_log_var`, (batch, latent_dim), the last with a `Gaussian` latent only. Keyword arguments with bounds are keys of the table
[objective] in experiment files. To add one, write the function and name it in `OBJECTIVES`.
"""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Annotated, Any

import keras
import numpy as np
import tensorflow as tf
from annotated_types import Ge, Le
from keras import layers, ops

from keras_ae.models import inputs as check
from keras_ae.models.losses import Reconstruction, log_normal, squared_mmd
from keras_ae.models.networks import is_conditional
from keras_ae.models.optimizers import Rate
from keras_ae.models.vae import VAE, Batch, Tensors, draw, shared
from keras_ae.priors.mixture import Mixture

Count = Annotated[int, Ge(1), Le(10_000)]
Weight = Annotated[float, Ge(0), Le(1e9)]


def log_weights(model, batch, training, z_mean, z_log_var, draws):
    """log p(x, z) - log q(z | x) of `draws` codes z of each image x, (batch, draws)."""
    known = {"images": batch["images"], "label": batch.get("label"), "z_mean": z_mean, "z_log_var": z_log_var}
    many = {name: ops.repeat(values, draws, axis=0) for name, values in known.items() if values is not None}
    codes = {name: many[name] for name in ("z_mean", "z_log_var")}
    z = draw(codes, model.seed_generator)
    nats = model.reconstruction(many["images"], model.decode(z, many, training))
    return ops.reshape(model.log_prior(z) - log_normal(z, **codes) - nats, (-1, draws))


def iwae(model, batch, training, z_mean, z_log_var, *, draws: Count = 50):
    """-log(mean of p(x, z) / q(z | x) over `draws` codes z of each image), 1: the VAE. Burda et al. 2016 (arXiv:1509.00519)."""
    found = log_weights(model, batch, training, z_mean, z_log_var, draws)
    return model.mean(math.log(draws) - ops.logsumexp(found, axis=1), batch)


def wae(model, reconstruction, z, *, weight: Weight = 1000.0):
    """reconstruction + weight * `losses.squared_mmd` of codes from N(0, I): Tolstikhin et al. 2018 (arXiv:1711.01558)."""
    return reconstruction + weight * squared_mmd(z, keras.random.normal(ops.shape(z), seed=model.seed_generator))


def infovae(model, reconstruction, kl, z, *, share: Annotated[float, Ge(0), Le(1)] = 0.5, weight: Weight = 1000.0):
    """reconstruction + (1 - share) * KL + (share + weight - 1) * `losses.squared_mmd`: Zhao et al. 2019 (arXiv:1706.02262).

    share, weight: alpha and lambda there; the share of the information between images and codes that the KL leaves.
    """
    return wae(model, reconstruction, z, weight=share + weight - 1) + (1 - share) * kl


def rae(model, batch, training, reconstruction, z, *, norm: Weight = 0.1, decay: Weight = 1e-3, penalty: Weight = 0.0):
    """reconstruction + norm * |z|^2 / 2 + decay * |weights of the decoder|^2 + penalty * |Jacobian of the decoder at z|^2.

    Ghosh et al. 2020 (arXiv:1903.12436), for a `point` latent: its prior is one that is fitted. The squared Frobenius norm of
    the Jacobian is that of its product with a random vector, on average; it takes a second gradient, unless its weight is 0.
    """
    loss = reconstruction + norm * model.mean(ops.sum(ops.square(z), axis=1), batch) / 2
    loss += decay * sum(ops.sum(ops.square(weights)) for weights in model.decoder.trainable_variables)
    if not penalty:
        return loss
    with tf.GradientTape() as tape:
        tape.watch(z)
        decoded = model.decode(z, batch, training)
        product = ops.sum(decoded * keras.random.normal(ops.shape(decoded), seed=model.seed_generator))
    return loss + penalty * model.mean(ops.sum(ops.square(tape.gradient(product, z)), axis=1), batch)


def dip(
    reconstruction, kl, z_mean, z_log_var, *, form: Annotated[int, Ge(1), Le(2)] = 2, off: Weight = 10.0, on: Weight = 10.0
):
    """reconstruction + KL + off * squared covariances of codes + on * squared distances of their variances from 1.

    DIP-VAE I and II, `form` 1 and 2, of Kumar et al. 2018 (arXiv:1711.00848): the covariances are of z_mean, or of draws z.
    """
    centred = z_mean - ops.mean(z_mean, axis=0)
    covariance = ops.matmul(ops.transpose(centred), centred) / ops.cast(ops.shape(z_mean)[0], "float32")
    covariance += (form - 1) * ops.diag(ops.mean(ops.exp(z_log_var), axis=0))
    variances = ops.diagonal(covariance)
    others = ops.sum(ops.square(covariance)) - ops.sum(ops.square(variances))
    return reconstruction + kl + off * others + on * ops.sum(ops.square(variances - 1))


@keras.saving.register_keras_serializable("keras_ae")
class Variant(VAE):
    """A `VAE` that minimizes the loss `objective` of `VARIANTS`. Raises ValueError where that lacks a `Gaussian` latent."""

    numbers = ("objective", "seed")

    def __init__(self, encoder, decoder, reconstruction="gaussian_optimal_variance", *, objective, seed=0, **arguments):
        super().__init__(encoder, decoder, reconstruction, seed=seed)
        check.check_numbers(**arguments)
        self.objective, self.arguments = objective, arguments
        parameters = inspect.signature(VARIANTS[objective]).parameters.values()
        self.needs = [one.name for one in parameters if one.kind is not one.KEYWORD_ONLY]
        if "z_log_var" in self.needs:
            check.check_posterior(self.encoder, objective)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self.arguments

    def terms(self, batch: Batch, training: bool = False) -> tuple[Tensors, Tensors, tf.Tensor]:
        terms, codes, decoded = super().terms(batch, training)
        known = {"model": self, "batch": batch, "training": training, **terms, **codes}
        loss = VARIANTS[self.objective](*(known[name] for name in self.needs), **self.arguments)
        return terms | {"loss": loss + sum(self.losses)}, codes, decoded


@keras.saving.register_keras_serializable("keras_ae")
class VampVAE(VAE):
    """A `VAE` whose prior is the mixture of the posteriors of pseudo-inputs: Tomczak & Welling 2018 (arXiv:1705.07120).

    pseudo_inputs: images that are trained like weights; a step encodes all. `kl` and `neg_elbo` are those of this prior.
    Raises ValueError for a point latent and for conditional networks.
    """

    numbers = ("pseudo_inputs", "seed")

    def __init__(
        self, encoder, decoder, reconstruction="gaussian_optimal_variance", *, pseudo_inputs: Count = 100, seed: int = 0
    ):
        super().__init__(encoder, decoder, reconstruction, seed=seed)
        check.check_posterior(self.encoder, "vamp")
        if is_conditional(self.encoder):
            raise ValueError("vamp has no labels for its pseudo-inputs. Received: conditional networks")
        self.pseudo_inputs, noise = pseudo_inputs, keras.initializers.RandomNormal(0, 0.5, seed)
        self.images = self.add_weight((pseudo_inputs, *self.encoder.inputs[0].shape[1:]), noise, name="pseudo_inputs")

    def posteriors(self, training: bool = False) -> Tensors:
        """Those of the pseudo-inputs, {"z_mean", "z_log_var"}, each (pseudo_inputs, latent_dim)."""
        return self.encode({"inputs": ops.clip(self.images, -1, 1)}, training)

    def terms(self, batch: Batch, training: bool = False) -> tuple[Tensors, Tensors, tf.Tensor]:
        """As for `VAE`, with the KL of the drawn codes from the mixture."""
        terms, codes, decoded = super().terms(batch, training)
        divergence = self.mean(log_normal(**codes) - self.log_prior(codes["z"], training), batch)
        bound = terms["reconstruction"] + divergence
        return terms | {"kl": divergence, "neg_elbo": bound, "loss": bound + sum(self.losses)}, codes, decoded

    def log_prior(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        mixture = {name: values[None] for name, values in self.posteriors(training).items()}
        return ops.logsumexp(log_normal(z[:, None], **mixture), axis=1) - math.log(self.pseudo_inputs)

    def learned_prior(self) -> Mixture:
        """The mixture of posteriors."""
        means, log_variances = (np.asarray(values) for values in self.posteriors().values())
        scales = np.exp(log_variances / 2)[:, :, None] * np.eye(means.shape[1], dtype="float32")
        return Mixture(np.full(len(means), 1 / len(means), "float32"), means, scales)


def discriminator(latent_dim):
    """Distinguishes draws, such as those of N(0, I), from codes: z (batch, latent_dim) -> logits (batch, 1), > 0 for draws."""
    z = x = keras.Input((latent_dim,), name="z")
    for _ in range(2):
        x = layers.LeakyReLU(0.2)(layers.Dense(512)(x))
    return keras.Model(z, layers.Dense(1, dtype="float32")(x), name="discriminator")


@keras.saving.register_keras_serializable("keras_ae")
class AdversarialAutoencoder(VAE):
    """Minimizes reconstruction + weight * adversarial loss of the codes: Makhzani et al. 2015 (arXiv:1511.05644).

    weight: nats for which the adversarial loss counts, beside the reconstruction likelihood. discriminator_learning_rate: of
    the discriminator's Adam, with a momentum of 0.5. Everything else is as for `VAE`. The KL of a `Gaussian` latent is not part
    of the loss. The discriminator changes, so that losses of epochs do not compare: the last epoch's weights count.
    """

    monitor = None
    # in the loss
    kl_weight = 0.0
    logged = (*VAE.logged, "adversarial", "discriminator")
    numbers = ("weight", "discriminator_learning_rate", "seed")

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        reconstruction: Reconstruction = "gaussian_optimal_variance",
        *,
        weight: Weight = 5.0,
        discriminator_learning_rate: Rate = 5e-4,
        seed: int = 0,
    ):
        super().__init__(encoder, decoder, reconstruction, beta=self.kl_weight, seed=seed)
        self.weight, self.discriminator_learning_rate = weight, discriminator_learning_rate
        self.discriminator = discriminator(decoder.inputs[0].shape[1])
        self.discriminator_optimizer = keras.optimizers.Adam(discriminator_learning_rate, beta_1=0.5)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """Those of the two networks: the discriminator has an optimizer of its own."""
        return self.encoder.trainable_variables + self.decoder.trainable_variables

    def terms(self, batch: Batch, training: bool = False) -> tuple[Tensors, Tensors, tf.Tensor]:
        """As for `VAE`, with the loss reconstruction + weight * adversarial, which weights of examples leave as it is."""
        terms, codes, decoded = super().terms(batch, training)
        return terms | {"loss": terms["loss"] + self.weight * self.adversarial(codes["z"])}, codes, decoded

    def draw(self, z: tf.Tensor) -> tf.Tensor:
        """What the discriminator is to distinguish codes z from: as many draws of N(0, I)."""
        return keras.random.normal(ops.shape(z), seed=self.seed_generator)

    def adversarial(self, z: tf.Tensor) -> tf.Tensor:
        """The loss of codes z (batch, latent_dim) that should be classified as draws of N(0, I), a scalar."""
        return ops.mean(ops.softplus(-self.discriminator(z)))

    def train_step(self, data: Any) -> Tensors:
        batch = self.named_batch(data)
        with tf.GradientTape(persistent=True) as tape:
            terms, codes, decoded = self.terms(batch, training=True)
            loss = self.optimizer.scale_loss(shared(terms["loss"]))
            z = tf.stop_gradient(codes["z"])
            of_draws, of_codes = self.discriminator(self.draw(z)), self.discriminator(z)
            confusion = ops.mean(ops.softplus(-of_draws)) + ops.mean(ops.softplus(of_codes))
            discriminator_loss = shared(confusion)
        gradients = tape.gradient(loss, self.trainable_variables)
        discriminating = tape.gradient(discriminator_loss, self.discriminator.trainable_variables)
        del tape
        # before the step of the discriminator: the loss that the encoder was trained with
        terms |= {"adversarial": self.adversarial(codes["z"]), "discriminator": confusion}
        self.optimizer.apply(gradients, self.trainable_variables)
        self.discriminator_optimizer.apply(discriminating, self.discriminator.trainable_variables)
        return self.log(terms, batch, decoded)


@keras.saving.register_keras_serializable("keras_ae")
class FactorVAE(AdversarialAutoencoder):
    """Minimizes the negative ELBO + weight * total correlation of the codes: Kim & Mnih 2018 (arXiv:1802.05983).

    The discriminator distinguishes the codes of a batch from codes whose numbers each come from another of its images. Its
    logit is then the logarithm of a ratio of densities, whose mean over codes is minus the total correlation.
    """

    kl_weight = 1.0

    def draw(self, z: tf.Tensor) -> tf.Tensor:
        """Codes z with each of their numbers permuted over the batch."""
        order = ops.argsort(keras.random.uniform(ops.shape(z), seed=self.seed_generator), axis=0)
        return ops.take_along_axis(z, order, axis=0)

    def adversarial(self, z: tf.Tensor) -> tf.Tensor:
        """The total correlation of codes z (batch, latent_dim) in nats, as the discriminator estimates it, a scalar."""
        return -ops.mean(self.discriminator(z))


VARIANTS = {}


def variant(function: Callable[..., tf.Tensor]) -> Callable[..., Variant]:
    """What makes a `Variant` with this loss, for `OBJECTIVES`: encoder, decoder, reconstruction, keys -> model."""
    VARIANTS[function.__name__] = function
    return functools.wraps(function)(functools.partial(Variant, objective=function.__name__))


OBJECTIVES = {
    "vae": VAE,
    "adversarial": AdversarialAutoencoder,
    "dip": variant(dip),
    "factor": FactorVAE,
    "infovae": variant(infovae),
    "iwae": variant(iwae),
    "rae": variant(rae),
    "vamp": VampVAE,
    "wae": variant(wae),
}
