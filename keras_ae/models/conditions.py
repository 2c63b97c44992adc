"""Conditions: whether both networks of a model take a class label besides their input."""

from collections.abc import Callable

import keras
from keras import layers

from keras_ae.errors import UserError
from keras_ae.models.latents import Latent


def unconditional(make_encoder, make_decoder, latent, classes):
    """No condition: p(x | z)."""
    return make_encoder(latent, 0), make_decoder(latent.dim)


def on_label(
    make_encoder: Callable[[Latent, int], keras.Model],
    make_decoder: Callable[[int], keras.Model],
    latent: Latent,
    classes: int,
) -> tuple[keras.Model, keras.Model]:
    """Both networks take the class as a second input, `label` int32 (batch,): p(x | z, label).

    Sohn et al. 2015, Kingma et al. 2014 (arXiv:1406.5298). The encoder gets one more channel for each class, the decoder one
    more number in the code. Raises UserError where the images have no classes.
    """
    if classes < 2:
        raise UserError(
            "condition on_label needs images with labels: a folder with one sub-folder for each class, or a named data set"
        )
    label = keras.Input((), name="label", dtype="int32")
    one_hot = layers.CategoryEncoding(classes, output_mode="one_hot")(layers.Reshape((1,))(label))
    inner = make_encoder(latent, classes)
    height, width, channels = inner.input_shape[1:]
    images = keras.Input((height, width, channels - classes), name="images")
    planes = layers.Reshape((height, width, classes))(layers.RepeatVector(height * width)(one_hot))
    encoder = keras.Model([images, label], inner(layers.Concatenate()([images, planes])), name="encoder")
    z = keras.Input((latent.dim,), name="z")
    decoded = make_decoder(latent.dim + classes)(layers.Concatenate()([z, one_hot]))
    return encoder, keras.Model([z, label], decoded, name="decoder")


CONDITIONS = {"none": unconditional, "on_label": on_label}
