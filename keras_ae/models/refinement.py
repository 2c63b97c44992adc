"""The second stage of training: a critic learns to distinguish decoded images from real ones, the decoder to deceive it.

A likelihood alone blurs what the code does not describe. A critic, trained from scratch beside it, makes the decoder draw such
detail as real images have (Larsen et al. 2016, arXiv:1512.09300; Goodfellow et al. 2014). The encoder, and with it every code
and the prior fitted to them, is frozen.
"""

from typing import Annotated

import keras
import tensorflow as tf
from annotated_types import Ge, Gt, Le, Lt
from keras import layers, ops

from keras_ae.models import replicas
from keras_ae.models.blocks import stages
from keras_ae.models.networks import apply, is_conditional
from keras_ae.models.optimizers import Muon
from keras_ae.models.vae import VAE


def _moved(images, offsets):
    """Each image shifted by its own whole pixels (n, 2), 0 outside; the same shape."""
    n, height, width, _ = images.shape
    rows = tf.range(height)[None] + offsets[:, :1]
    columns = tf.range(width)[None] + offsets[:, 1:]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    moved = tf.gather(images, tf.clip_by_value(rows, 0, height - 1), axis=1, batch_dims=1)
    moved = tf.gather(moved, tf.clip_by_value(columns, 0, width - 1), axis=2, batch_dims=1)
    return moved * tf.cast(inside, images.dtype)[..., None]


def _hole(images, centres):
    """Each image with a square of 3/8 of its side set to 0 around its own centre (n, 2)."""
    _, height, width, _ = images.shape
    rows = tf.abs(tf.range(height)[None] - centres[:, :1]) < height * 3 // 16
    columns = tf.abs(tf.range(width)[None] - centres[:, 1:]) < width * 3 // 16
    return images * (1 - tf.cast(rows[:, :, None] & columns[:, None], images.dtype))[..., None]


def varied(images, seed, pairs):
    """Images shifted by up to an eighth of their side and with a hole, so that a critic cannot memorize a small data set.

    Differentiable augmentation, Zhao et al. 2020 (arXiv:2006.10738), without the changes of colour, under which decoded colours
    drifted. The first `pairs` images and the next `pairs` are varied in the same way. seed: (2,) int32.
    """
    n, height, _, _ = images.shape

    def drawn(stream, least, most):
        def all_rows(shape):
            return tf.random.stateless_uniform(shape, seed + [0, stream], least, most, tf.int32)

        numbers = replicas.rows(all_rows, (n - pairs, 2))
        return tf.concat([numbers[:pairs], numbers], axis=0)

    return _hole(_moved(images, drawn(0, -(height // 8), height // 8 + 1)), drawn(1, 0, height))


def critic(image_shape, classes=0, widths=(48, 96, 192), bottleneck=32):
    """A critic of images: {"logits": [whole (batch, 1), patches (batch, n)], "features": [maps, finest first]}.

    Strided 4x4 convolutions with leaky ReLU; one logit for each patch of the coarsest map, and one for the whole of it, read
    from `bottleneck` channels. classes: of a conditional model, 0 for others. The critic then takes `label` (batch,) as a
    second input, and the projection of the whole on a vector of the class is added to its logit (Miyato & Koyama 2018,
    arXiv:1802.05637): it recognizes images of another class than their label.
    """

    def conv(width, size, strides=1):
        return layers.Conv2D(width, size, strides=strides, padding="same")

    images = keras.Input(image_shape, name="images")
    x, features = images, []
    for _, width in stages(image_shape, widths):
        x = layers.LeakyReLU(0.2)(conv(width, 4, 2)(x))
        features.append(x)
    patches = layers.LeakyReLU(0.2)(conv(128, 3)(x))
    patches = layers.Conv2D(1, 1, dtype="float32")(patches)
    whole = layers.LeakyReLU(0.2)(conv(bottleneck, 1)(x))
    seen = layers.LeakyReLU(0.2)(layers.Dense(256)(layers.Flatten()(whole)))
    whole = layers.Dense(1, dtype="float32")(seen)
    inputs = images
    if classes:
        label = keras.Input((), name="label", dtype="int32")
        inputs = [images, label]
        of_class = layers.Dot(1, dtype="float32")([seen, layers.Embedding(classes, 256)(label)])
        whole = layers.Add(dtype="float32")([whole, of_class])
    return keras.Model(
        inputs, {"logits": [whole, layers.Flatten(dtype="float32")(patches)], "features": features}, name="critic"
    )


class RefinedVAE(VAE):
    """Trains the decoder for likelihood + weight * (adversarial + feature_weight * features), and the critic against it.

    Half of the decoded images that the critic sees are reconstructions, half are drawn from the fitted prior, so that samples
    are refined as reconstructions are. `decoder` is the moving average; `student` is the decoder that is trained. The losses
    are the non-saturating logistic ones of Goodfellow et al. 2014.

    critic: a network of `critic`. prior: the density fitted to the training codes. beta: of the first stage, for `val_loss`.
    weight: nats for which the adversarial loss counts, beside the reconstruction likelihood; more is sharper and less close.
    reconstruction_share: of the adversarial loss: how much reconstructions count in it; samples count for the rest.
    feature_weight: of the mean absolute difference between the critic's features of an image and of its reconstruction,
    relative to their mean size, summed over its maps.
    learning_rate, critic_learning_rate: of Muon for the decoder and the critic.
    penalty: of the critic's squared gradient at real images (R1: Mescheder et al. 2018, arXiv:1801.04406), estimated from an
    eighth of the batch.
    average: decay of the moving average of the decoder's weights, per step.
    """

    def __init__(
        self,
        encoder,
        decoder,
        reconstruction,
        critic,
        prior,
        *,
        beta=1.0,
        seed=0,
        weight: Annotated[float, Ge(0), Le(1e9)] = 1500.0,
        reconstruction_share: Annotated[float, Ge(0), Le(1)] = 0.5,
        feature_weight: Annotated[float, Ge(0), Le(1e6)] = 1.0,
        learning_rate: Annotated[float, Gt(0), Le(10)] = 5e-4,
        critic_learning_rate: Annotated[float, Gt(0), Le(10)] = 1e-3,
        penalty: Annotated[float, Ge(0), Le(1e6)] = 1.0,
        average: Annotated[float, Ge(0), Lt(1)] = 0.999,
    ):
        super().__init__(encoder, decoder, reconstruction, beta=beta)
        self.critic = critic
        self.prior = prior
        self.weight = weight
        self.shares = (reconstruction_share, 1 - reconstruction_share)
        self.feature_weight = feature_weight
        self.penalty = penalty
        self.average = average
        self.seed = seed
        self.student = keras.models.clone_model(decoder)
        self.student.set_weights(decoder.get_weights())
        self.trackers += [keras.metrics.Mean(name) for name in ("adversarial", "critic")]
        self.critic_optimizer = _muon(critic_learning_rate)
        self.compile(optimizer=_muon(learning_rate), jit_compile=False)

    @property
    def trainable_variables(self):
        """Those of the student: the critic has an optimizer of its own."""
        return self.student.trainable_variables

    def state(self):
        self.critic_optimizer.build(self.critic.trainable_variables)
        parts = (self.student, self.critic, self.critic_optimizer)
        return [*super().state(), *(variable for part in parts for variable in part.variables)]

    def improves(self, loss, least):
        """Always: by the likelihood alone the blurred decoder of the start would win."""
        return True

    def train_step(self, data):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        batch = self.batch_of(x, y)
        images = batch["images"]
        n = images.shape[0]
        step = ops.cast(self.optimizer.iterations, "int32")
        codes = self.encode(batch)
        label = batch.get("label")
        labels = [None if label is None else tf.concat([label] * kinds, axis=0) for kinds in (2, 3)]
        drawn = self._drawn(n, step, label)
        z = tf.concat([codes["z"], drawn], axis=0)
        with tf.GradientTape(persistent=True) as tape:
            decoded = apply(self.student, True, z=z, label=labels[0])
            shown = varied(tf.concat([images, decoded], axis=0), tf.stack([step, self.seed]), n)
            judged = apply(self.critic, True, images=shown, label=labels[1])
            terms = self.terms(batch, codes, decoded[:n])
            # real, rebuilt, drawn; the gradient of a split is one concatenation, that of slices a sum of padded ones
            kinds = [tf.split(logits, 3)[1:] for logits in judged["logits"]]
            adversarial = sum(
                share * replicas.mean(ops.softplus(-logits))
                for rebuilt_and_drawn in kinds
                for share, logits in zip(self.shares, rebuilt_and_drawn, strict=True)
            )
            difference = sum(_difference(*tf.split(features, 3)[:2]) for features in judged["features"])
            loss = terms["reconstruction"] + self.weight * (adversarial + self.feature_weight * difference)
            critic = sum(replicas.mean(ops.softplus(-x[:n])) + replicas.mean(ops.softplus(x[n:])) for x in judged["logits"])
            few = max(1, replicas.count() * n // 8)
            penalized = critic + 0.5 * self.penalty * self._squared_gradient(*replicas.first(few, shown), label)
        student, judge = self.trainable_variables, self.critic.trainable_variables
        gradients, judging = tape.gradient(loss, student), tape.gradient(penalized, judge)
        del tape
        replicas.step(self.optimizer, gradients, student)
        replicas.step(self.critic_optimizer, judging, judge)
        for averaged, trained in zip(self.decoder.variables, self.student.variables, strict=True):
            averaged.assign_add((1 - self.average) * (trained - averaged))
        return self.logged({"loss": loss, **terms, "adversarial": adversarial, "critic": critic}, batch)

    def _drawn(self, n, step, label):
        """n codes from the prior for the step number `step`; labels (n,) of a conditional model."""
        if label is not None and replicas.count() > 1:
            label = replicas.together(tf.ensure_shape(label, (n,))) if is_conditional(self.decoder) else None
        # a negative seed, which no program draws with: the codes that are judged or shown afterwards were not trained on
        seed = -1 - self.seed
        return replicas.rows(lambda shape: self.prior.sample(shape[0], seed, 1.0, step * shape[0], label), (n,))

    def _squared_gradient(self, images, weights=None, labels=None):
        """Mean squared norm of the gradient of the critic's logits at real images, a scalar.

        weights: of the images, or None. labels: of these and further images, or None.
        """
        images = tf.stop_gradient(images)
        labels = None if labels is None else labels[: images.shape[0]]
        with tf.GradientTape() as tape:
            tape.watch(images)
            judged = apply(self.critic, True, images=images, label=labels)
            logits = sum(ops.sum(ops.mean(x, axis=1)) for x in judged["logits"])
        squared = ops.sum(ops.square(tape.gradient(logits, images)), axis=(1, 2, 3))
        return replicas.mean(squared if weights is None else squared * weights)


def _difference(real, rebuilt):
    # relative to their size: the critic's features grow as it learns, and would outweigh the likelihood
    real, rebuilt = ops.stop_gradient(ops.cast(real, "float32")), ops.cast(rebuilt, "float32")
    return replicas.mean(ops.abs(real - rebuilt)) / replicas.averaged([replicas.mean(ops.abs(real))])[0]


def _muon(learning_rate):
    return Muon(learning_rate, momentum=0.9, adam_beta_1=0.5, adam_beta_2=0.99, weight_decay=None, adam_weight_decay=None)
