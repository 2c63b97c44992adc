"""The second stage of training: a critic learns to distinguish decoded images from real ones, the decoder to deceive it.

A likelihood alone blurs what the code does not describe. A critic, trained from scratch beside it, makes the decoder draw such
detail as real images have (Larsen et al. 2016, arXiv:1512.09300; Goodfellow et al. 2014). The encoder, and with it every code
and the prior fitted to them, is frozen.
"""

from typing import Annotated, Any

import keras
import numpy as np
import tensorflow as tf
from annotated_types import Ge, Le, Lt
from keras import layers, ops

from keras_ae.models.losses import Reconstruction
from keras_ae.models.networks import Counts, ImageShape, ResidualBlock, Widths, apply, class_count, is_conditional, stages
from keras_ae.models.optimizers import Muon, cosine
from keras_ae.models.vae import Autoencoder, Tensors, draw, shared


def varied(images, seed, pairs):
    """Images shifted by up to an eighth of their side and with a hole of 3/8 of it, both 0, as a critic sees them.

    A critic cannot memorize a small data set then: differentiable augmentation, Zhao et al. 2020 (arXiv:2006.10738), without
    the changes of colour, under which decoded colours drifted. The first `pairs` images and the next `pairs` are varied in the
    same way. images: (n, H, W, C). seed: (2,) int32.
    """
    n, inside = tf.shape(images)[0], []
    for axis, side in enumerate(images.shape[1:3], 1):
        places, most = tf.range(side)[None], side // 8

        def positions(stream, end, axis=axis):
            # along this axis, (n, 1)
            numbers = tf.random.stateless_uniform((n - pairs, 1, 2), seed + [0, stream], 0, end, tf.int32)[..., axis - 1]
            return tf.concat([numbers[:pairs], numbers], axis=0)

        padded = tf.pad(images, [[most * (one == axis)] * 2 for one in range(4)])
        images = tf.gather(padded, places + positions(0, 2 * most + 1), axis=axis, batch_dims=1)
        inside.append(tf.abs(places - positions(1, side)) < side * 3 // 16)
    rows, columns = inside
    hole = rows[:, :, None] & columns[:, None]
    return images * (1 - tf.cast(hole, images.dtype))[..., None]


def critic(
    image_shape: ImageShape, classes: int = 0, *, critic_widths: Widths = (48, 96, 192), critic_blocks: Counts = (0,)
) -> keras.Model:
    """A critic of images: {"logits": [whole (batch, 1), patches (batch, n)], "features": [maps, finest first]}.

    Strided 4x4 convolutions of so many channels, each with so many residual blocks, and leaky ReLU; one logit for each patch
    of the coarsest map, and one for the whole of it. classes: of a conditional model, 0 for others. The critic then takes
    `label` (batch,) as a second input, and the projection of the whole on a vector of the class is added to its logit (Miyato
    & Koyama 2018, arXiv:1802.05637): it recognizes images of another class than their label.
    """

    def activated(x):
        return layers.LeakyReLU(0.2)(x)

    images = keras.Input(image_shape, name="images")
    x, features = images, []
    for stage, (_, width, count) in enumerate(stages(image_shape, critic_widths, critic_blocks)):
        x = layers.Conv2D(width, 4, strides=2, padding="same")(activated(x) if stage else x)
        for _ in range(count):
            x = ResidualBlock(width, activated)(x)
        features.append(activated(x))
    patches = activated(layers.Conv2D(128, 3, padding="same")(features[-1]))
    # without biases: only differences of logits count
    patches = layers.Conv2D(1, 1, use_bias=False, dtype="float32")(patches)
    whole = activated(layers.Conv2D(32, 1)(features[-1]))
    seen = activated(layers.Dense(256)(layers.Flatten()(whole)))
    whole = layers.Dense(1, use_bias=False, dtype="float32")(seen)
    inputs = images
    if classes:
        label = keras.Input((), name="label", dtype="int32")
        inputs = [images, label]
        of_class = layers.Dot(1, dtype="float32")([seen, layers.Embedding(classes, 256)(label)])
        whole = layers.Add(dtype="float32")([whole, of_class])
    return keras.Model(
        inputs, {"logits": [whole, layers.Flatten(dtype="float32")(patches)], "features": features}, name="critic"
    )


class Refiner(Autoencoder):
    """Trains the decoder for likelihood + weight * (adversarial + feature_weight * features), and the critic against it.

    The critic sees real images, their reconstructions, and as many images that are decoded from draws of the fitted prior, so
    that samples are refined as reconstructions are. It learns to rank each real image above its own reconstruction, and above a
    draw; the decoder learns the opposite: for logits r of a real and d of a decoded image the losses are softplus(d - r) and
    softplus(r - d) (Jolicoeur-Martineau 2018, arXiv:1807.00734; Huang et al. 2024, arXiv:2501.05441). `decoder` is the moving
    average; `student` is the decoder that is trained. Batches and the logged terms are those of `models.vae.VAE`.

    critic: a network of `critic`. prior: the density fitted to the training codes.
    weight: nats for which the adversarial loss counts, beside the reconstruction likelihood; more is sharper and less close.
    reconstruction_share: of the adversarial loss: how much reconstructions count in it; samples count for the rest.
    feature_weight: of the mean absolute difference between the critic's features of an image and of its reconstruction,
    relative to their mean size, summed over its maps.
    penalty: of the critic's squared gradients at real and at decoded images (R1: Mescheder et al. 2018, arXiv:1801.04406; R2),
    each estimated from an eighth of the batch.
    average: decay of the moving average of the decoder's weights, per step.
    draws: how many codes are drawn when training begins; they are used in turn.
    beta: weight of the KL in the logged loss, as in the first stage.
    """

    logged = (*Autoencoder.logged, "adversarial", "critic")

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        critic: keras.Model,
        prior: Any,
        reconstruction: Reconstruction = "gaussian_optimal_variance",
        *,
        weight: Annotated[float, Ge(0), Le(1e9)] = 1500.0,
        reconstruction_share: Annotated[float, Ge(0), Le(1)] = 0.5,
        feature_weight: Annotated[float, Ge(0), Le(1e6)] = 1.0,
        penalty: Annotated[float, Ge(0), Le(1e6)] = 1.0,
        average: Annotated[float, Ge(0), Lt(1)] = 0.999,
        draws: Annotated[int, Ge(1), Le(10**7)] = 32768,
        beta: float = 1.0,
        seed: int = 0,
    ):
        super().__init__("refiner", encoder, decoder, reconstruction, beta, seed)
        self.critic = critic
        self.weight = weight
        self.reconstruction_share = reconstruction_share
        self.feature_weight = feature_weight
        self.penalty = penalty
        self.average = average
        classes = class_count(encoder)
        labels = {"label": np.arange(draws, dtype="int32") % classes} if classes else {}
        # none of them is a code of `sample`: those that are judged or shown afterwards were not trained on
        self.pool = {"z": prior.pool(draws, seed, **labels), **labels}
        self.student = keras.models.clone_model(decoder)
        self.student.set_weights(decoder.get_weights())

    def compile(self, optimizer: Any, critic_optimizer: Any, **kwargs: Any) -> None:
        """As `keras.Model.compile`, with an optimizer for the decoder and one for the critic; see `optimizers`."""
        super().compile(optimizer=optimizer, **kwargs)
        self.critic_optimizer = critic_optimizer
        self.optimizer.build(self.trainable_variables)
        self.critic_optimizer.build(self.critic.trainable_variables)

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """Those of the student: the critic has an optimizer of its own."""
        return self.student.trainable_variables

    def train_step(self, data: Any) -> Tensors:
        batch = self.named_batch(data) | {"sample_weight": None}
        images, label = batch["images"], batch["label"] if is_conditional(self.encoder) else None
        n = tf.shape(images)[0]
        step = ops.cast(self.optimizer.iterations, "int32")
        codes, drawn = self.encode(batch), self.draw(step, n)
        z = tf.concat([draw(codes, self.seed_generator), drawn["z"]], axis=0)
        labels = None if label is None else tf.concat([label, label, drawn["label"]], axis=0)
        with tf.GradientTape(persistent=True) as tape:
            decoded = apply(self.student, True, z=z, label=None if label is None else labels[n:])
            shown = varied(tf.concat([images, decoded], axis=0), tf.stack([step, self.seed]), n)
            judged = apply(self.critic, True, images=shown, label=labels)
            # the gradient of a split is one concatenation, that of slices a sum of padded ones
            rebuilt, _ = tf.split(decoded, 2)
            terms = self.compare(batch, codes, rebuilt)
            # real, rebuilt, drawn
            kinds = [tf.split(logits, 3) for logits in judged["logits"]]
            adversarial, critic = map(sum, zip(*[rank(*logits, self.reconstruction_share) for logits in kinds], strict=True))
            difference = sum(_difference(*tf.split(features, 3)[:2]) for features in judged["features"])
            loss = terms["reconstruction"] + self.weight * (adversarial + self.feature_weight * difference)
            student_loss = shared(loss)
            some = self.some(n)
            penalty = self.squared_gradient(tf.gather(shown, some), None if label is None else tf.gather(labels, some))
            # the mean over real and decoded images is half of the sum of both penalties
            critic_loss = shared(critic + self.penalty * penalty)
        gradients = tape.gradient(student_loss, self.student.trainable_variables)
        judging = tape.gradient(critic_loss, self.critic.trainable_variables)
        del tape
        self.optimizer.apply(gradients, self.student.trainable_variables)
        self.critic_optimizer.apply(judging, self.critic.trainable_variables)
        for averaged, trained in zip(self.decoder.variables, self.student.variables, strict=True):
            averaged.assign_add((1 - self.average) * (trained - averaged))
        return self.log(terms | {"loss": loss, "adversarial": adversarial, "critic": critic}, batch, rebuilt)

    def draw(self, step, n):
        """The draws of a step, {"z": (n, latent_dim)[, "label": (n,)]}; devices of a strategy take theirs in turn."""
        context = tf.distribute.get_replica_context()
        first = n * (step * context.num_replicas_in_sync + context.replica_id_in_sync_group)
        rows = (first + tf.range(n)) % len(self.pool["z"])
        return {name: tf.gather(values, rows) for name, values in self.pool.items()}

    def some(self, n):
        """Rows of an eighth of the real images of a step, and of as many decoded ones: half rebuilt, half drawn."""
        half = tf.range(tf.maximum(1, n // 16))
        return tf.concat([half, n // 2 + half, n + half, 2 * n + half], axis=0)

    def squared_gradient(self, images: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """Mean squared norm of the gradient of the critic's logits at images (n, H, W, C) in classes (n,), a scalar."""
        images = tf.stop_gradient(images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            judged = apply(self.critic, True, images=images, label=label)
            logits = sum(ops.sum(ops.mean(x, axis=1)) for x in judged["logits"])
        return ops.mean(ops.sum(ops.square(tape.gradient(logits, images)), axis=(1, 2, 3)))


def rank(real, rebuilt, drawn, reconstruction_share):
    """The losses of decoder and critic, scalars, from logits (n, m) of images, their reconstructions, and draws.

    The critic ranks each image above both, the decoder both above the image.
    """
    decoder = reconstruction_share * ops.mean(ops.softplus(real - rebuilt))
    decoder += (1 - reconstruction_share) * ops.mean(ops.softplus(real - drawn))
    return decoder, ops.mean(ops.softplus(rebuilt - real)) + ops.mean(ops.softplus(drawn - real))


def _difference(real, rebuilt):
    # relative to their size: the critic's features grow as it learns, and would outweigh the likelihood
    real, rebuilt = ops.stop_gradient(ops.cast(real, "float32")), ops.cast(rebuilt, "float32")
    return ops.mean(ops.abs(real - rebuilt)) / ops.mean(ops.abs(real))


def optimizers(
    learning_rate: float = 5e-4, critic_learning_rate: float = 1e-3, steps: int = 1, final: float = 1.0
) -> tuple[Muon, Muon]:
    """Optimizers of the decoder and of the critic, for `Refiner.compile`.

    Over so many steps, both rates fall along half a cosine to `final` times what they are.
    """
    numbers = {"momentum": 0.9, "adam_beta_1": 0.5, "adam_beta_2": 0.99, "weight_decay": None, "adam_weight_decay": None}
    rates = learning_rate, critic_learning_rate
    return tuple(Muon(cosine(steps, 1, learning_rate=rate, warmup_steps=0, final=final)[0], **numbers) for rate in rates)
