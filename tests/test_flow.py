import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tqdm import tqdm

from keras_ae import export, train
from keras_ae.exports import writing
from keras_ae.exports.reading import Exported
from keras_ae.models import conditions, latents, networks
from keras_ae.priors import velocities
from keras_ae.priors.flow import Flow

RANDOM = np.random.default_rng(0)
SMALL = {"width": 48, "blocks": 2, "steps": 700}


def ring(n=3000):
    """Codes on a circle, which no single normal distribution resembles."""
    angle = RANDOM.uniform(0, 2 * np.pi, n)
    return np.stack([3 + 2 * np.cos(angle), np.sin(angle)], axis=1) + RANDOM.normal(size=(n, 2)) * 0.05


def radius(codes):
    return np.hypot((codes[:, 0] - 3) / 2, codes[:, 1])


@pytest.fixture(scope="module")
def fitted():
    return Flow.fit(ring(), 0, **SMALL)


def untrained(latent_dim=3, mean=0.0, scale=1.0, classes=0):
    network = velocities.velocity_network(latent_dim, 8, 1, classes)
    weights = np.concatenate([np.ravel(array) for array in network.get_weights()[: len(network.trainable_variables)]])
    eye = np.eye(latent_dim, dtype="float32")
    return Flow(np.full(latent_dim, mean, "float32"), scale * eye, 8, 1, classes, weights.astype("float16"))


def test_a_flow_draws_what_no_normal_distribution_does(fitted):
    drawn = fitted.sample(1000, 1).numpy()
    assert np.mean(np.abs(radius(drawn) - 1) < 0.3) > 0.85
    normal = RANDOM.multivariate_normal(ring().mean(axis=0), np.cov(ring().T), 1000)
    assert np.mean(np.abs(radius(normal) - 1) < 0.3) < 0.6
    np.testing.assert_allclose(drawn.std(axis=0), ring().std(axis=0), rtol=0.15)


def test_an_untrained_flow_is_the_normal_distribution_of_the_codes():
    drawn = untrained(mean=2.0, scale=0.5).sample(4000, 0).numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), 2.0, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), 0.25 * np.eye(3), atol=0.03)


def test_a_code_depends_on_the_seed_and_its_number_alone(fitted):
    whole = fitted.sample(50, 5).numpy()
    pieces = [fitted.sample(3, 5), fitted.sample(30, 5, first=3), fitted.sample(17, 5, first=33)]
    assert np.array_equal(whole, np.concatenate(pieces))
    assert not np.array_equal(whole, fitted.sample(50, 6).numpy())
    assert len(np.unique(whole, axis=0)) == 50
    assert fitted.sample(0, 5).shape == (0, 2)


def test_temperature_scales_the_noise_of_the_beginning(fitted):
    still = fitted.sample(20, 0, 0.0).numpy()
    np.testing.assert_allclose(still, np.repeat(still[:1], 20, axis=0), atol=1e-5)
    spread = [untrained().sample(2000, 0, temperature).numpy().std() for temperature in (0.5, 1.0)]
    assert spread[0] == pytest.approx(spread[1] / 2, rel=1e-3)


def test_the_same_seed_trains_the_same_flow():
    codes = RANDOM.normal(size=(200, 3))
    one, again = (Flow.fit(codes, 4, width=16, blocks=1, steps=30) for _ in range(2))
    assert np.array_equal(one.weights, again.weights)
    assert not np.array_equal(one.weights, Flow.fit(codes, 5, width=16, blocks=1, steps=30).weights)


def test_all_views_of_an_image_count():
    codes = RANDOM.normal(size=(2, 200, 3)) + np.array([0, 4])[:, None, None]
    prior = Flow.fit(codes, width=16, blocks=1, steps=10)
    assert prior.latent_dim == 3
    np.testing.assert_allclose(prior.mean, codes.mean(axis=(0, 1)), atol=1e-5)


@pytest.mark.parametrize("n", [39, 40])
def test_the_bar_shows_a_loss_where_codes_are_held_out(monkeypatch, n):
    shown = []
    monkeypatch.setattr(tqdm, "set_postfix_str", lambda bar, text: shown.append(text))
    Flow.fit(RANDOM.normal(size=(n, 2)), width=16, blocks=1, steps=2)
    assert len(shown) == (n >= 40)
    assert all(float(text.removeprefix("held-out loss ")) > 0 for text in shown)


@pytest.mark.parametrize("n", [1, 7])
def test_few_codes_and_constant_dimensions_are_no_obstacle(n):
    codes = np.concatenate([RANDOM.normal(size=(n, 2)), np.zeros((n, 1))], axis=1)
    drawn = Flow.fit(codes, width=16, blocks=1, steps=10).sample(5).numpy()
    assert np.isfinite(drawn).all()
    assert np.abs(drawn[:, 2]).max() < 0.05


def test_a_label_chooses_the_codes_of_its_class():
    labels = np.arange(2000) % 2
    codes = RANDOM.normal(size=(2000, 2)) * 0.3 + np.where(labels, 4.0, -4.0)[:, None]
    prior = Flow.fit(codes, 0, labels, **SMALL)
    drawn = prior.sample(40, 0, label=np.arange(40, dtype="int32") % 2).numpy()
    assert (drawn[0::2] < 0).all()
    assert (drawn[1::2] > 0).all()
    # each with the label of its place, in pieces too, and one label for all
    pieces = [prior.sample(5, 0, label=[0, 1, 0, 1, 0]), prior.sample(35, 0, first=5, label=(1 + np.arange(35)) % 2)]
    assert np.array_equal(drawn, np.concatenate(pieces))
    assert (prior.sample(6, 3, label=1).numpy() > 0).all()


def test_the_default_flow_is_small():
    network = velocities.velocity_network(128, 320, 3)
    assert 2 * network.count_params() <= 4e6


def test_a_flow_in_a_generator_draws_what_it_draws_in_python(tmp_path, fitted):
    encoder = networks.conv_encoder((8, 8, 1), latents.Gaussian(2), widths=[4])
    decoder = networks.conv_decoder((8, 8, 1), 2, widths=[4])
    model = Exported(writing.write(tmp_path / "made", encoder, decoder, fitted, {"experiment": "made"}))
    np.testing.assert_allclose(model.generate(20, 3)[1], fitted.sample(20, 3), atol=1e-5)
    np.testing.assert_array_equal(model.generate(20, 3)[1][7:], model.generate(13, 3, first=7)[1])
    # as any program does it
    generator = tf.saved_model.load(str(tmp_path / "made" / "generator")).signatures["serving_default"]
    found = generator(n=tf.constant(4), seed=tf.constant(3), temperature=tf.constant(1.0))
    np.testing.assert_array_equal(found["z"], model.generate(4, 3)[1])


def test_a_class_without_codes_is_drawn_as_well():
    prior = Flow.fit(ring(200), labels=np.arange(200) % 2, classes=3, width=8, blocks=1, steps=2)
    assert np.isfinite(prior.sample(3, label=[0, 1, 2])).all()


def test_a_conditional_generator_draws_codes_of_the_class(tmp_path):
    prior = untrained(2, classes=3)
    prior = dataclasses.replace(prior, weights=RANDOM.normal(size=len(prior.weights)).astype("float16"))

    def encoder(latent, planes):
        return networks.conv_encoder((8, 8, 1 + planes), latent, widths=[4])

    pair = conditions.on_label(
        encoder, lambda latent_dim: networks.conv_decoder((8, 8, 1), latent_dim, widths=[4]), latents.Gaussian(2), 3
    )
    model = Exported(writing.write(tmp_path / "made", *pair, prior, {"experiment": "made", "labels": ["a", "b", "c"]}))
    drawn = model.generate(5, 0)[1]
    assert drawn.shape == (5, 2)
    np.testing.assert_allclose(drawn, prior.sample(5, 0, label=[0, 1, 2, 0, 1]), rtol=1e-3, atol=1e-3)
    assert not np.allclose(drawn, prior.sample(5, 0), rtol=1e-2, atol=1e-2)


def test_an_experiment_trains_with_a_flow_and_exports_it(tmp_path, tiny, folder, undrawn):
    options = ["training.epochs=1", "refinement.epochs=1", "refinement.batch=16"]
    options += ["encoder.name=conv", "encoder.widths=[4]", "decoder.widths=[4]"]
    options += ["prior.name=flow", "prior.steps=20", "prior.width=16", "prior.blocks=1"]
    options = [word for option in options for word in ("--set", option)]
    train.main([str(tiny), "--data", str(folder), "--out", str(tmp_path / "run"), *options])
    export.main(["--model", str(tmp_path / "run"), "--out", str(tmp_path / "export")])
    assert Exported(tmp_path / "export").generate(3)[0].shape[0] == 3
