"""Formulas of diagonal normal distributions. Arithmetic alone, so that NumPy arrays and tensors of any library work."""

import math

import numpy as np


def kl(z_mean, z_log_var, exp=np.exp):
    """KL(N(z_mean, exp(z_log_var)) || N(0, 1)) of each latent dimension in nats, the shape of the arguments.

    Kingma & Welling 2014 (arXiv:1312.6114), appendix B. `exp` is the exponential of the arrays' library.
    """
    return 0.5 * (z_mean * z_mean + exp(z_log_var) - 1 - z_log_var)


def nats(squared, variance, log=np.log):
    """-log N(x | mean, variance) of each value in nats, from its squared distance (x - mean)^2."""
    return squared / (2 * variance) + 0.5 * (log(variance) + math.log(2 * math.pi))
