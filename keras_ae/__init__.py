"""Image autoencoders in Keras 3 on TensorFlow: train, export, generate.

Images are float32 (batch, height, width, channels) in [-1, 1]. Losses are nats per example, summed over pixels and latent
dimensions, so that `beta = 1` is the evidence lower bound.

    import keras_ae

    (images, _), (held_out, _) = keras_ae.load_data("digits")
    vae = keras_ae.VAE(keras_ae.conv_encoder((8, 8, 1), keras_ae.Gaussian(8)), keras_ae.conv_decoder((8, 8, 1), 8))
    vae.compile(optimizer="adam")
    vae.fit(images, epochs=5, validation_data=(held_out, held_out))

Importing the package is quick, and changes nothing in the process: TensorFlow is imported when a name of it is first used. The
names are those of `__init__.pyi`.
"""

import lazy_loader

__version__ = "0.2.0"

_find, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name):
    """A public name, imported when it is first used."""
    # exports and data sets need no Keras
    if name in __all__ and name not in ("load", "show", "load_data", "add_noise", "downscale"):
        from keras_ae.errors import check_backend

        check_backend()
    return _find(name)
