"""Exports where they are used: layers of Keras, TensorFlow Serving, models that train on."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_ae
from keras_ae.errors import UserError
from keras_ae.exports.load import Exported

ROOT = Path(__file__).parents[1]
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(-1, 1, (4, 16, 16, 3)).astype("float32")


def layer(folder, name):
    return keras.layers.TFSMLayer(str(folder / name))


def numbers(**more):
    """The inputs of a generator."""
    return {"n": tf.constant(3), "seed": tf.constant(1), "temperature": tf.constant(1.0), **more}


def test_every_savedmodel_is_a_layer_of_keras(exported):
    model = Exported(exported)
    codes = layer(exported, "encoder")(IMAGES)
    np.testing.assert_allclose(codes["z"], model.encode(IMAGES), atol=1e-5)
    rebuilt = layer(exported, "decoder")(codes["z"])["images"]
    np.testing.assert_allclose(rebuilt, model.reconstruct(IMAGES), atol=1e-5)
    drawn = layer(exported, "generator")(numbers())
    np.testing.assert_array_equal(drawn["images"], model.generate(3, seed=1)[0])


def test_those_of_a_conditional_model_take_a_dict(course):
    folder, label = course / "cvae", tf.constant([3, 5])
    assert layer(folder, "encoder")({"images": tf.zeros((2, 8, 8, 1)), "label": label})["z"].shape == (2, 3)
    assert layer(folder, "decoder")({"z": tf.zeros((2, 3)), "label": label})["images"].shape == (2, 8, 8, 1)
    assert layer(folder, "generator")(numbers(label=tf.constant([3])))["images"].shape == (3, 8, 8, 1)


def test_a_layer_of_an_export_trains_on(exported):
    decoder = layer(exported, "decoder")
    assert decoder.trainable_variables
    z = keras.Input((6,))
    model = keras.Model(z, keras.layers.Lambda(lambda made: made["images"])(decoder(z)))
    model.compile(keras.optimizers.Adam(1e-2), loss="mse")
    # in eager mode: the names of the layer's variables, such as kernel:0, are no names of a graph's scopes
    model.optimizer.build(model.trainable_variables)
    codes = RANDOM.normal(size=(4, 6)).astype("float32")
    losses = model.fit(codes, IMAGES, epochs=15, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]


def test_the_layout_of_tensorflow_serving_loads_and_answers(exported, tmp_path):
    # the command of docs/guides/exporting.md, in Python: a folder of a number below the name of the model
    for name in ("encoder", "decoder", "generator"):
        shutil.copytree(exported / name, tmp_path / name / "1")
    served = tf.saved_model.load(str(tmp_path / "decoder" / "1"))
    answer = served.signatures["decode_uint8"](z=tf.zeros((2, 6)))
    assert answer["images"].shape == (2, 16, 16, 3)


def test_inputs_of_another_size_are_one_clear_line(exported):
    model = keras_ae.load(exported)
    with pytest.raises(UserError, match=r"takes images of shape \(n, 16, 16, 3\). Received: \(1, 8, 8, 3\)"):
        model.encode(np.zeros((1, 8, 8, 3)))
    for wrong in (np.zeros((1, 7)), np.zeros(6)):
        with pytest.raises(UserError, match=r"takes codes of shape \(n, 6\). Received: "):
            model.decode(wrong)
