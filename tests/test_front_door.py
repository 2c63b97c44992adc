"""What a Keras user expects of `import keras_ae`, tried as a Keras user would."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_ae
from keras_ae.errors import UserError

RANDOM = np.random.default_rng(0)
SHAPE = (8, 8, 1)


def images(n):
    """Images of two numbers each."""
    y, x = np.mgrid[:8, :8] / 8
    a, b = RANDOM.uniform(0, 1, (2, n, 1, 1))
    return (0.9 * np.sin(6 * x + 5 * a) * np.cos(6 * y + 5 * b))[..., None].astype("float32")


IMAGES = images(96)
DICTS = {"images": IMAGES, "label": np.zeros(96, "int32")}


def compiled(latent=None, **arguments):
    keras.utils.set_random_seed(0)
    encoder = keras_ae.conv_encoder(SHAPE, latent or keras_ae.Gaussian(4), widths=[8, 16])
    vae = keras_ae.VAE(encoder, keras_ae.conv_decoder(SHAPE, 4, widths=[8, 16]), **arguments)
    vae.compile(optimizer="adam")
    return vae


def dataset(elements):
    return tf.data.Dataset.from_tensor_slices(elements).batch(32)


@pytest.mark.parametrize(
    "data",
    [
        IMAGES,
        dataset(IMAGES),
        DICTS,
        dataset(DICTS),
        dataset({"image": IMAGES, "label": DICTS["label"]}),
        dataset((IMAGES, IMAGES)),
        dataset({"inputs": IMAGES, "images": IMAGES}),
    ],
    ids=["array", "dataset", "dict", "dataset of dicts", "names of tensorflow-datasets", "pairs", "inputs and images"],
)
def test_fit_evaluate_and_predict_take_images_in_every_usual_form(data):
    vae = compiled()
    history = vae.fit(data, validation_data=data, epochs=1, shuffle=False, verbose=0).history
    names = {"loss", "neg_elbo", "reconstruction", "kl", "mse"}
    assert set(history) == names | {f"val_{name}" for name in names}
    assert set(vae.evaluate(data, verbose=0, return_dict=True)) == names
    rebuilt = vae.predict(data, verbose=0)
    np.testing.assert_allclose(rebuilt, vae.decoder(vae.encoder(IMAGES)["z_mean"]), atol=1e-5)


def test_validation_split_and_callbacks_work_as_in_any_keras_model(tmp_path):
    vae = compiled()
    path = tmp_path / "best.keras"
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=1e9)
    saving = keras.callbacks.ModelCheckpoint(path, monitor="val_loss", save_best_only=True)
    history = vae.fit(IMAGES, validation_split=0.25, epochs=5, callbacks=[stopping, saving], verbose=0).history
    assert len(history["val_loss"]) == 2
    loaded = keras.saving.load_model(path)
    assert loaded.predict(IMAGES, verbose=0).shape == IMAGES.shape


def test_weights_of_examples_multiply_their_terms():
    vae = compiled(reconstruction="gaussian", latent=keras_ae.Point(4))
    weights = RANDOM.uniform(0, 2, 96).astype("float32")
    squared = np.square(IMAGES - vae.predict(IMAGES, verbose=0)).sum(axis=(1, 2, 3))
    nats = squared / 2 + 32 * np.log(2 * np.pi)
    for data in ({"x": IMAGES}, {"x": IMAGES, "y": IMAGES}, {"x": DICTS}):
        weighted = vae.evaluate(**data, sample_weight=weights, verbose=0, return_dict=True)
        assert weighted["loss"] == pytest.approx(float(np.mean(weights * nats)), rel=1e-5)
    before = [variable.numpy() for variable in vae.trainable_variables]
    vae.fit(IMAGES, sample_weight=np.zeros(96), epochs=1, verbose=0)
    for old, new in zip(before, vae.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_pairs_train_from_inputs_to_targets():
    vae = compiled(reconstruction="gaussian", latent=keras_ae.Point(4))
    vae.compile(optimizer=keras.optimizers.Adam(5e-3))
    vae.fit(IMAGES, -IMAGES, epochs=60, verbose=0)
    assert np.mean(np.square(vae.predict(IMAGES, verbose=0) + IMAGES)) < 0.3 * np.var(IMAGES)


def test_a_saved_model_has_networks_numbers_and_optimizer_and_trains_on(tmp_path):
    vae = compiled(keras_ae.Point(4), reconstruction=keras_ae.Likelihood("laplace", scale=0.5), beta=2.0, warmup_steps=7)
    vae.fit(IMAGES, epochs=2, verbose=0)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    assert (loaded.beta, loaded.warmup_steps) == (2.0, 7)
    assert loaded.reconstruction.get_config() == {"name": "laplace", "scale": 0.5}
    pairs = zip([vae.get_weights(), vae.optimizer.variables], [loaded.get_weights(), loaded.optimizer.variables], strict=True)
    for ours, theirs in pairs:
        for first, second in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(first, second)
    for model in (vae, loaded):
        model.fit(IMAGES, epochs=1, shuffle=False, verbose=0)
    for first, second in zip(vae.trainable_variables, loaded.trainable_variables, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


def test_weights_of_held_out_examples_count_without_targets():
    vae, nothing = compiled(), np.zeros(len(IMAGES), "float32")
    history = vae.fit(IMAGES, validation_data=(IMAGES, None, nothing), verbose=0).history
    assert history["val_loss"] == [0]


@pytest.mark.parametrize("argument", ["loss", "metrics"])
def test_compile_refuses_what_it_would_ignore(argument):
    with pytest.raises(ValueError, match=f"compile takes no {argument}: the model has its own"):
        compiled().compile("adam", **{argument: "mse" if argument == "loss" else ["mae"]})


def test_regularization_losses_are_part_of_the_loss():
    z = keras.Input((4,))
    x = keras.layers.Dense(64, "tanh", kernel_regularizer=keras.regularizers.L2(100.0))(z)
    encoder = keras_ae.conv_encoder(SHAPE, keras_ae.Point(4), widths=[8])
    vae = keras_ae.VAE(encoder, keras.Model(z, keras.layers.Reshape(SHAPE)(x)))
    vae.compile("adam")
    terms = vae.evaluate(IMAGES, verbose=0, return_dict=True)
    assert terms["loss"] == pytest.approx(terms["neg_elbo"] + float(sum(vae.losses)), rel=1e-5)
    assert float(sum(vae.losses)) > 1


def test_weights_are_saved_and_loaded_after_fit(tmp_path):
    vae = compiled()
    vae.fit(IMAGES, epochs=1, verbose=0)
    vae.save_weights(tmp_path / "vae.weights.h5")
    again = compiled()
    again.load_weights(tmp_path / "vae.weights.h5")
    np.testing.assert_array_equal(again.predict(IMAGES, verbose=0), vae.predict(IMAGES, verbose=0))


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_a_saved_network_loads_on_its_own(tmp_path, name):
    network = getattr(compiled(), name)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    for first, second in zip(network.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def conditional():
    keras.utils.set_random_seed(0)
    encoder, decoder = keras_ae.on_label(
        lambda latent, planes: keras_ae.conv_encoder((8, 8, 1 + planes), latent, widths=[8]),
        lambda latent_dim: keras_ae.conv_decoder(SHAPE, latent_dim, widths=[8]),
        keras_ae.Gaussian(3),
        4,
    )
    vae = keras_ae.VAE(encoder, decoder)
    vae.compile(optimizer="adam")
    return vae


def test_a_keras_export_serves_reconstructions_and_those_of_conditional_models_take_labels(tmp_path):
    vae = compiled()
    vae.fit(IMAGES, epochs=1, verbose=0)
    vae.export(tmp_path / "vae", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "vae"))
    np.testing.assert_allclose(served.serve(IMAGES), vae.predict(IMAGES, verbose=0), atol=1e-5)
    vae = conditional()
    vae.fit(DICTS, epochs=1, verbose=0)
    vae.export(tmp_path / "conditional", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "conditional"))
    assert served.serve({"inputs": IMAGES, "label": DICTS["label"]}).shape == IMAGES.shape


def test_every_builder_and_latent_makes_a_model_that_saves(tmp_path):
    pairs = {
        "dense": (keras_ae.dense_encoder, keras_ae.dense_decoder, keras_ae.Point(4)),
        "residual": (keras_ae.residual_encoder, keras_ae.residual_decoder, keras_ae.Gaussian(4)),
        "spatial": (keras_ae.spatial_encoder, keras_ae.spatial_decoder, keras_ae.Features(64)),
    }
    for name, (encoder, decoder, latent) in pairs.items():
        vae = keras_ae.VAE(encoder(SHAPE, latent), decoder(SHAPE, latent.dim))
        vae.save(tmp_path / f"{name}.keras")
        loaded = keras.saving.load_model(tmp_path / f"{name}.keras")
        np.testing.assert_allclose(loaded(IMAGES[:4]), vae(IMAGES[:4]), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((4, 8, 8, 1)) + 255,), r"images must lie in \[-1, 1\]. Received: values from 255 to 255"),
        (
            (IMAGES, np.zeros(96)),
            r"the targets of an autoencoder are images of shape .* Received: \(96,\); leave class labels out",
        ),
        (({"picture": IMAGES},), "a batch needs \"images\". Received: a dict with 'picture'"),
    ],
    ids=["8-bit images", "labels as targets", "another name"],
)
def test_mistakes_say_what_was_received_and_what_works(arguments, message):
    with pytest.raises(ValueError, match=message):
        compiled().fit(*arguments, epochs=1, verbose=0)
    with pytest.raises(ValueError, match="a conditional model needs labels"):
        conditional().fit(IMAGES, epochs=1, verbose=0)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (IMAGES, np.zeros(96, "int64"), "the targets of an autoencoder are images of shape .* leave class labels out"),
        ((IMAGES * 100 + 100).astype("uint8"), None, "images must lie in .* Received: 8-bit ones"),
    ],
    ids=["labels as targets", "8-bit images"],
)
def test_batches_of_data_sets_are_images_too(x, y, message):
    stream = tf.data.Dataset.from_tensor_slices(x if y is None else (x, y)).batch(32)
    with pytest.raises(ValueError, match=message):
        compiled().fit(stream, epochs=1, verbose=0)
    with pytest.raises(ValueError, match=message):
        compiled().fit(IMAGES, validation_data=stream, epochs=1, verbose=0)
    if y is not None:
        with pytest.raises(ValueError, match=message):
            compiled().fit(IMAGES, validation_data=(x, y), epochs=1, verbose=0)


def test_a_conditional_model_is_saved_with_the_class_of_each_image(tmp_path):
    for labels, received in ((None, "none"), ([0, 1], "2")):
        with pytest.raises(UserError, match=f"needs the class number of each of 96 images as labels. Received: {received}"):
            keras_ae.save(conditional(), tmp_path / "made", IMAGES, labels)
    assert not (tmp_path / "made").exists()


def test_a_prior_fitted_to_the_codes_draws_new_ones():
    vae = compiled()
    vae.fit(IMAGES, epochs=1, verbose=0)
    prior = keras_ae.Mixture.fit(vae.encoder.predict(IMAGES, verbose=0)["z_mean"], components=[1, 2])
    assert vae.decoder.predict(prior.sample(5, seed=1), verbose=0).shape == (5, *SHAPE)


def test_importing_the_package_is_quick_and_names_are_found_late():
    program = (
        "import sys, keras_ae\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
        "assert {'VAE', 'Gaussian', 'load', 'load_data', 'read'} <= set(dir(keras_ae))\n"
        "keras_ae.VAE, keras_ae.read\n"
        "assert 'tensorflow' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_public_name_is_there_and_documented():
    for name in keras_ae.__all__:
        assert getattr(keras_ae, name)
        assert name.startswith("__") or getattr(keras_ae, name).__doc__
    with pytest.raises(AttributeError, match="module 'keras_ae' has no attribute 'VAEE'"):
        _ = keras_ae.VAEE
