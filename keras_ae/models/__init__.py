"""Networks, latent layers, likelihoods, optimizers, and the models that train them."""
