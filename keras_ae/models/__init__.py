"""Networks, latent layers, likelihoods, optimizers, and the models that train them."""

from keras_ae.errors import check_backend

check_backend()
