import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_ae.models import networks, refiner
from keras_ae.models.latents import Gaussian
from keras_ae.models.refiner import Refiner, varied
from keras_ae.priors import mixture

SHAPE = (8, 8, 3)
RANDOM = np.random.default_rng(0)


def stripes(n):
    """Pictures of fine stripes whose phase no short code tells: what a likelihood blurs to grey."""
    phase = RANDOM.integers(0, 2, (n, 1, 1, 1))
    rows = np.arange(8)[None, :, None, None]
    noise = RANDOM.normal(size=(n, *SHAPE))
    return np.clip(0.8 * (-1.0) ** (rows + phase) + 0.05 * noise, -1, 1).astype("float32")


def compiled(model, rate=5e-4):
    model.compile(*refiner.optimizers(rate))
    return model


def built(rate=5e-4, **arguments):
    keras.utils.set_random_seed(0)
    encoder = networks.conv_encoder(SHAPE, Gaussian(2), widths=[8, 16])
    decoder = networks.residual_decoder(SHAPE, 2, widths=[16, 16], blocks=[0])
    critic = refiner.critic(SHAPE, critic_widths=(16, 32), critic_blocks=(1,))
    return compiled(Refiner(encoder, decoder, critic, mixture.Normal(2), draws=64, **arguments), rate)


def batches(images, batch=16):
    return tf.data.Dataset.from_tensor_slices({"images": images}).batch(batch, drop_remainder=True)


def contrast(images):
    return float(np.abs(np.diff(images, axis=1)).mean())


def test_a_critic_brings_back_the_contrast_that_a_likelihood_blurs_away():
    model = built(2e-3, average=0.9)
    # an encoder that tells the decoder nothing, as where detail does not fit into a code
    for variable in model.encoder.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    images = stripes(512)
    before = contrast(model.decoder(RANDOM.normal(size=(64, 2))))
    model.fit(batches(images), epochs=6, shuffle=False, verbose=0)
    after = contrast(model.decoder(RANDOM.normal(size=(64, 2))))
    assert contrast(images) > 1.5
    assert after > before + 0.4


def test_a_critic_with_classes_recognizes_images_of_another_class():
    critic = refiner.critic(SHAPE, 2, critic_widths=(16, 32))
    optimizer = keras.optimizers.Adam(3e-3)
    label = tf.constant([0, 1] * 16)
    images = 0.5 * (2 * tf.cast(label, tf.float32) - 1)[:, None, None, None] + tf.random.normal((32, *SHAPE), 0, 0.3, seed=1)

    def logits(label):
        return critic([images, label])["logits"][0]

    for _ in range(30):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.softplus(-logits(label)) + tf.nn.softplus(logits(1 - label)))
        # the patches have no part in the verdict on the whole
        learning = [variable for variable in critic.trainable_variables if "conv2d" not in variable.path]
        optimizer.apply(tape.gradient(loss, learning), learning)
    assert float(tf.reduce_mean(tf.cast(logits(label) > logits(1 - label), tf.float32))) > 0.9


def test_a_conditional_decoder_is_trained_with_a_critic_of_its_classes():
    keras.utils.set_random_seed(0)

    def make_encoder(latent, planes):
        return networks.conv_encoder((8, 8, 3 + planes), latent, widths=[8])

    def make_decoder(latent_dim):
        return networks.conv_decoder(SHAPE, latent_dim, widths=[8])

    encoder, decoder = networks.on_label(make_encoder, make_decoder, Gaussian(2), 3)
    critic = refiner.critic(SHAPE, 3, critic_widths=(8, 16))
    model = compiled(Refiner(encoder, decoder, critic, mixture.Normal(2), draws=9))
    before = critic.get_weights()
    batch = {"images": tf.constant(stripes(9)), "label": tf.constant([0, 1, 2] * 3)}
    assert all(np.isfinite(value) for value in model.train_on_batch(batch, return_dict=True).values())
    changed = [np.any(old != new) for old, new in zip(before, critic.get_weights(), strict=True)]
    assert all(changed)


def test_the_encoder_stays_and_the_decoder_is_the_average_of_the_student():
    model = built(average=0.75)
    encoder, decoder = model.encoder.get_weights(), model.decoder.get_weights()
    model.train_on_batch({"images": tf.constant(stripes(16))})
    for before, now in zip(encoder, model.encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(before, now)
    for before, kept, trained in zip(decoder, model.decoder.get_weights(), model.student.get_weights(), strict=True):
        np.testing.assert_allclose(kept, 0.75 * before + 0.25 * trained, atol=1e-6)
    assert any(np.any(before != now) for before, now in zip(decoder, model.student.get_weights(), strict=True))


def test_the_losses_rank_an_image_and_what_is_decoded_in_opposite_ways():
    real, rebuilt, drawn = np.array([[1.0], [0.0]]), np.array([[0.0], [0.0]]), np.array([[1.0], [2.0]])
    found = [float(loss) for loss in refiner.rank(*map(tf.constant, (real, rebuilt, drawn)), 0.25)]

    def mean(differences):
        return np.mean(np.log1p(np.exp(differences)))

    assert found[0] == pytest.approx(0.25 * mean(real - rebuilt) + 0.75 * mean(real - drawn))
    assert found[1] == pytest.approx(mean(rebuilt - real) + mean(drawn - real))
    # where all logits are the same, nobody is ahead
    assert float(refiner.rank(*[tf.zeros((2, 1))] * 3, 0.5)[0]) == pytest.approx(np.log(2))


def test_every_draw_of_the_pool_is_used_in_turn_and_the_penalty_sees_real_rebuilt_and_drawn_images():
    model = built()
    found = [model.draw(tf.constant(step), 24)["z"].numpy() for step in range(8)]
    np.testing.assert_array_equal(np.concatenate(found), np.tile(model.pool["z"], (3, 1)))
    assert model.some(tf.constant(32)).numpy().tolist() == [0, 1, 16, 17, 32, 33, 64, 65]
    assert model.some(tf.constant(2)).numpy().tolist() == [0, 1, 2, 4]


def test_both_learning_rates_fall_along_half_a_cosine():
    for optimizer, rate in zip(refiner.optimizers(0.1, 0.2, 100, final=0.02), (0.1, 0.2), strict=True):
        for step, share in ((0, 1), (50, 0.51), (100, 0.02)):
            optimizer.iterations.assign(step)
            assert float(optimizer.learning_rate) == pytest.approx(share * rate)


def test_the_penalty_is_the_squared_gradient_of_the_verdict():
    model = built()
    images = tf.constant(stripes(2))
    step = 1e-3

    def verdicts(images):
        return sum(tf.reduce_mean(logits, axis=1) for logits in model.critic(images)["logits"]).numpy()

    squared = []
    for image in images:
        # along random directions: E (g.d)^2 = |g|^2 for d of unit variance
        directions = RANDOM.normal(size=(400, *SHAPE)).astype("float32")
        slopes = (verdicts(image + step * directions) - verdicts(image - step * directions)) / (2 * step)
        squared.append(np.mean(slopes**2))
    assert float(model.squared_gradient(images)) == pytest.approx(np.mean(squared), rel=0.3)


def test_a_picture_and_its_reconstruction_are_varied_alike():
    images = tf.constant(RANDOM.uniform(0.5, 1, (4, *SHAPE)), tf.float32)
    shown = varied(tf.concat([images, images, images], axis=0), tf.constant([3, 0]), 4).numpy()
    np.testing.assert_array_equal(shown[:4], shown[4:8])
    assert np.any(shown[:4] != shown[8:])
    # something was covered, and most was not
    assert 0.3 < (shown != 0).mean() < 0.95
    assert not np.array_equal(shown, varied(tf.concat([images] * 3, axis=0), tf.constant([4, 0]), 4).numpy())
