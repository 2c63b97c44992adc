"""Projections of codes (n, latent_dim) onto a plane, to look at."""

import numpy as np


def principal(z):
    """The first two principal components of codes, (n, 2); codes of two numbers are returned unchanged."""
    if z.shape[1] == 2:
        return z
    if z.shape[1] == 1:
        return np.concatenate([z, np.zeros_like(z)], axis=1)
    centred = z - z.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    return centred @ directions[:2].T


def project(z, seed):
    """Codes on a plane, (n, 2), and the name of the method: UMAP (McInnes et al. 2018) if it is installed, else PCA."""
    try:
        from umap import UMAP
    except ImportError:
        return principal(z), "PCA"
    return UMAP(random_state=seed).fit_transform(z), "UMAP"
