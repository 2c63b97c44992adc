"""Image autoencoders in Keras 3 on TensorFlow: train, export, generate.

Everything speaks one language: images are float32 (batch, height, width, channels) in [-1, 1], losses are nats per
example, summed over pixels and latent dimensions, so that ``beta = 1`` is the evidence lower bound.

Importing this package is cheap: TensorFlow is imported by the modules that need it.
"""

__version__ = "0.1.0"
