"""The second stage of training: a critic learns to tell decoded pictures from photographs, and the decoder to pass.

A likelihood alone blurs what 128 numbers cannot tell; a critic, trained from scratch beside it, has the decoder draw such
detail as photographs have (Larsen et al. 2016, arXiv:1512.09300; Goodfellow et al. 2014). The encoder, and with it every code
and the density fitted to them, stays as the first stage left it.
"""

import keras
import tensorflow as tf
from keras import ops

from keras_ae.models.networks import apply
from keras_ae.models.optimizers import Muon
from keras_ae.models.vae import VAE


def _moved(images, offsets):
    """Each picture moved by its own whole pixels (n, 2) within +-offset, black outside; the same shape."""
    n, height, width, _ = images.shape
    rows = tf.range(height)[None] + offsets[:, :1]
    columns = tf.range(width)[None] + offsets[:, 1:]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    moved = tf.gather(images, tf.clip_by_value(rows, 0, height - 1), axis=1, batch_dims=1)
    moved = tf.gather(moved, tf.clip_by_value(columns, 0, width - 1), axis=2, batch_dims=1)
    return moved * tf.cast(inside, images.dtype)[..., None]


def _hole(images, centres):
    """Each picture with a square of 3/8 of its side greyed out around its own centre (n, 2)."""
    _, height, width, _ = images.shape
    rows = tf.abs(tf.range(height)[None] - centres[:, :1]) < height * 3 // 16
    columns = tf.abs(tf.range(width)[None] - centres[:, 1:]) < width * 3 // 16
    return images * (1 - tf.cast(rows[:, :, None] & columns[:, None], images.dtype))[..., None]


def varied(images, seed, pairs):
    """Pictures moved by up to an eighth of their side and with a hole, so that a critic cannot learn a small set by heart.

    Zhao et al. 2020 (arXiv:2006.10738) without the changes of colour, after which decoded colours drifted. The first `pairs`
    pictures and the next `pairs` are varied alike. seed: (2,) int32.
    """
    n, height, _, _ = images.shape

    def drawn(stream, least, most):
        numbers = tf.random.stateless_uniform((n - pairs, 2), seed + [0, stream], least, most, tf.int32)
        return tf.concat([numbers[:pairs], numbers], axis=0)

    return _hole(_moved(images, drawn(0, -(height // 8), height // 8 + 1)), drawn(1, 0, height))


class AdversarialVAE(VAE):
    """Trains the decoder for likelihood + weight * (being taken for real + features alike), and the critic to tell.

    Half of what the critic sees as decoded are reconstructions, half are drawn from the fitted prior, so that samples
    are refined as reconstructions are.

    critic: a network of `keras_ae.networks.critic`. prior: the density fitted to the training codes.
    epochs: of this stage; 0 leaves the decoder as the likelihood made it. batch: real pictures in a step.
    weight: nats that the adversarial loss counts for, beside the reconstruction likelihood; more is sharper and further off.
    feature_weight: of the mean absolute difference between the critic's features of a picture and of its reconstruction, over
    their mean size, summed over its maps.
    learning_rate, critic_learning_rate: of Muon for the decoder and the critic.
    penalty: of the critic's squared gradient at real pictures (R1: Mescheder et al. 2018, arXiv:1801.04406), estimated on an
    eighth of the batch.
    average: the decoder that is kept is the exponential moving average of the trained one, by this factor a step.

    `decoder` is the average; `student` is what is trained. The logistic losses are those of Goodfellow et al., not saturating.
    """

    def __init__(
        self,
        encoder,
        decoder,
        reconstruction,
        critic,
        prior,
        *,
        epochs: int = 0,
        batch: int = 32,
        weight: float = 1500.0,
        feature_weight: float = 1.0,
        learning_rate: float = 5e-4,
        critic_learning_rate: float = 1e-3,
        penalty: float = 1.0,
        average: float = 0.999,
        seed=0,
    ):
        super().__init__(encoder, decoder, reconstruction)
        self.critic = critic
        self.prior = prior
        self.weight = weight
        self.feature_weight = feature_weight
        self.critic_learning_rate = critic_learning_rate
        self.penalty = penalty
        self.average = average
        self.seed = seed
        self.student = keras.models.clone_model(decoder)
        self.student.set_weights(decoder.get_weights())
        self.trackers += [keras.metrics.Mean(name) for name in ("adversarial", "critic")]
        self.critic_optimizer = _muon(critic_learning_rate)
        self.compile(optimizer=_muon(learning_rate), jit_compile=False)

    def state(self):
        self.optimizer.build(self.student.trainable_variables)
        self.critic_optimizer.build(self.critic.trainable_variables)
        networks = (self.encoder, self.decoder, self.student, self.critic)
        optimizers = (self.optimizer, self.critic_optimizer)
        return [variable for part in (*networks, *optimizers) for variable in part.variables]

    def keeps(self, neg_elbo, least):
        # by the likelihood alone the blurred decoder of the start would win
        return True

    def train_step(self, data):
        batch, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        images = batch["image"]
        n = images.shape[0]
        step = ops.cast(self.optimizer.iterations, "int32")
        codes = self.encode(batch)
        labels = tf.concat([batch["label"]] * 2, axis=0) if "label" in batch else None
        z = tf.concat([codes["z"], self.prior.sample(step * n, n, self.seed, 1.0)], axis=0)
        with tf.GradientTape(persistent=True) as tape:
            decoded = apply(self.student, True, z=z, label=labels)
            shown = varied(tf.concat([images, decoded], axis=0), tf.stack([step, self.seed]), n)
            judged = self.critic(shown, training=True)
            reconstruction = ops.mean(self.reconstruction(images, decoded[:n]))
            adversarial = sum(ops.mean(ops.softplus(-logits[n:])) for logits in judged["logits"])
            alike = sum(_difference(features[:n], features[n : 2 * n]) for features in judged["features"])
            loss = reconstruction + self.weight * (adversarial + self.feature_weight * alike)
            critic = sum(ops.mean(ops.softplus(-x[:n])) + ops.mean(ops.softplus(x[n:])) for x in judged["logits"])
            fooled = critic + 0.5 * self.penalty * self._squared_gradient(shown[: max(1, n // 8)])
        student, judge = self.student.trainable_variables, self.critic.trainable_variables
        gradients, critic_gradients = tape.gradient(loss, student), tape.gradient(fooled, judge)
        del tape
        self.optimizer.apply(gradients, student)
        self.critic_optimizer.apply(critic_gradients, judge)
        for kept, trained in zip(self.decoder.variables, self.student.variables, strict=True):
            kept.assign_add((1 - self.average) * (trained - kept))
        kl = ops.mean(ops.sum(codes["kl"], axis=-1))
        mse = ops.mean(ops.square(images - decoded[:n]))
        terms = {"loss": loss, "neg_elbo": reconstruction + kl, "reconstruction": reconstruction, "kl": kl, "mse": mse}
        return self._recorded(terms | {"adversarial": adversarial, "critic": critic}, batch)

    def _squared_gradient(self, images):
        """Mean squared norm of the gradient of the critic's verdict at real pictures, a scalar."""
        images = tf.stop_gradient(images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            verdict = sum(ops.sum(ops.mean(logits, axis=1)) for logits in self.critic(images, training=True)["logits"])
        return ops.mean(ops.sum(ops.square(tape.gradient(verdict, images)), axis=(1, 2, 3)))


def _difference(real, rebuilt):
    # relative: the critic's features grow as it learns, and would come to outweigh the likelihood
    real, rebuilt = ops.stop_gradient(ops.cast(real, "float32")), ops.cast(rebuilt, "float32")
    return ops.mean(ops.abs(real - rebuilt)) / ops.mean(ops.abs(real))


def _muon(learning_rate):
    return Muon(learning_rate, momentum=0.9, adam_beta_1=0.5, adam_beta_2=0.99, weight_decay=None, adam_weight_decay=None)
