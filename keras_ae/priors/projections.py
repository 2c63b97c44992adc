"""Projections of codes (n, latent_dim) onto a plane, to look at."""

import numpy as np

# neighbours of a code that UMAP looks at by default; it needs more codes than that
NEIGHBOURS = 15


def principal(z):
    """The first two principal components of codes, (n, 2); codes of one or two numbers keep their values."""
    places = z
    if z.shape[1] > 2:
        centred = z - z.mean(axis=0)
        _, _, directions = np.linalg.svd(centred, full_matrices=False)
        places = centred @ directions[:2].T
    # a single code has one component
    return np.pad(places, ((0, 0), (0, 2 - places.shape[1])))


def project(z, seed):
    """Codes on a plane, (n, 2), and the name of the method: UMAP (McInnes et al. 2018) if it is installed, else PCA.

    PCA for at most 16 codes, too, which are too few for UMAP.
    """
    try:
        from umap import UMAP
    except ImportError:
        return principal(z), "PCA"
    if len(z) <= NEIGHBOURS + 1:
        return principal(z), "PCA"
    return UMAP(random_state=seed).fit_transform(z), "UMAP"
