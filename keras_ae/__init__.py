"""Image autoencoders in Keras 3 on TensorFlow: train, export, generate.

Images are float32 (batch, height, width, channels) in [-1, 1]. Losses are nats per example, summed over pixels and latent
dimensions, so that `beta = 1` is the evidence lower bound.

    import keras_ae

    (images, _), (held_out, _) = keras_ae.load_data("digits")
    vae = keras_ae.VAE(keras_ae.conv_encoder((8, 8, 1), keras_ae.Gaussian(8)), keras_ae.conv_decoder((8, 8, 1), 8))
    vae.compile(optimizer="adam")
    vae.fit(images, epochs=5, validation_data=(held_out, held_out))

Importing the package is quick: TensorFlow is imported when a name of it is first used.
"""

import importlib
import sys
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# the public names, and where they are defined: module, or module:name
_NAMES = {
    "VAE": "models.vae",
    "AdversarialAutoencoder": "models.adversarial_autoencoder",
    "conv_encoder": "models.networks",
    "conv_decoder": "models.networks",
    "residual_encoder": "models.networks",
    "residual_decoder": "models.networks",
    "normalizer_free_encoder": "models.normalizer_free",
    "normalizer_free_decoder": "models.normalizer_free",
    "dense_encoder": "models.networks",
    "dense_decoder": "models.networks",
    "sequence_encoder": "models.sequence",
    "sequence_decoder": "models.sequence",
    "spatial_encoder": "models.spatial",
    "spatial_decoder": "models.spatial",
    "on_label": "models.conditions",
    "Point": "models.latents",
    "Gaussian": "models.latents",
    "Features": "models.latents",
    "Likelihood": "models.losses",
    "Mixture": "priors.mixture",
    "Normal": "priors.mixture",
    "Flow": "priors.flow",
    "load_data": "data.pipeline",
    "add_noise": "data.tasks",
    "downscale": "data.tasks",
    "show": "images.figures",
    "read": "training.experiment",
    "load": "exports.reading:Exported",
    "save": "exports.writing:write_model",
}
__all__ = ["__version__", *_NAMES]

if TYPE_CHECKING:
    # type checkers and editors see no lazy names; a test compares these with _NAMES
    from keras_ae.data.pipeline import load_data as load_data
    from keras_ae.data.tasks import add_noise as add_noise
    from keras_ae.data.tasks import downscale as downscale
    from keras_ae.exports.reading import Exported
    from keras_ae.exports.writing import write_model
    from keras_ae.images.figures import show as show
    from keras_ae.models.adversarial_autoencoder import AdversarialAutoencoder as AdversarialAutoencoder
    from keras_ae.models.conditions import on_label as on_label
    from keras_ae.models.latents import Features as Features
    from keras_ae.models.latents import Gaussian as Gaussian
    from keras_ae.models.latents import Point as Point
    from keras_ae.models.losses import Likelihood as Likelihood
    from keras_ae.models.networks import conv_decoder as conv_decoder
    from keras_ae.models.networks import conv_encoder as conv_encoder
    from keras_ae.models.networks import dense_decoder as dense_decoder
    from keras_ae.models.networks import dense_encoder as dense_encoder
    from keras_ae.models.networks import residual_decoder as residual_decoder
    from keras_ae.models.networks import residual_encoder as residual_encoder
    from keras_ae.models.normalizer_free import normalizer_free_decoder as normalizer_free_decoder
    from keras_ae.models.normalizer_free import normalizer_free_encoder as normalizer_free_encoder
    from keras_ae.models.sequence import sequence_decoder as sequence_decoder
    from keras_ae.models.sequence import sequence_encoder as sequence_encoder
    from keras_ae.models.spatial import spatial_decoder as spatial_decoder
    from keras_ae.models.spatial import spatial_encoder as spatial_encoder
    from keras_ae.models.vae import VAE as VAE
    from keras_ae.priors.flow import Flow as Flow
    from keras_ae.priors.mixture import Mixture as Mixture
    from keras_ae.priors.mixture import Normal as Normal
    from keras_ae.training.experiment import read as read

    load = Exported
    save = write_model
else:

    def __getattr__(name):
        if name not in _NAMES:
            raise AttributeError(f"module 'keras_ae' has no attribute '{name}'")
        if "tensorflow" not in sys.modules:
            from keras_ae.commandline import import_tensorflow

            import_tensorflow()
        module, _, attribute = _NAMES[name].partition(":")
        value = getattr(importlib.import_module(f"keras_ae.{module}"), attribute or name)
        globals()[name] = value
        return value


def __dir__():
    return sorted({*globals(), *_NAMES})
