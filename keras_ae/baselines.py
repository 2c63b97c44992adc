"""What a model must beat: principal components of the same latent size."""

import numpy as np
from sklearn.decomposition import IncrementalPCA

# pictures per partial fit: the exact answer needs all at once, this many are within 0.01 dB of it and keep memory flat
CHUNK = 1024


def _chunks(batches, least):
    """Flattened pictures (n, pixels) in chunks of at least `CHUNK` and `least`, the rest in the last one."""
    held = []
    waiting = None
    for images in batches:
        held.append(np.reshape(images, (len(images), -1)))
        if sum(map(len, held)) >= max(CHUNK, least):
            if waiting is not None:
                yield waiting
            waiting, held = np.concatenate(held), []
    rest = np.concatenate([*([] if waiting is None else [waiting]), *held])
    yield rest


def fit_pca(batches, latent_dim):
    """Principal components of batches of images (batch, H, W, C), in one pass; returns `rebuild`: images -> images.

    There are fewer components where there are fewer pictures. scikit-learn's IncrementalPCA (Ross et al. 2008).
    """
    pca = None
    for chunk in _chunks(batches, latent_dim):
        if pca is None:
            pca = IncrementalPCA(min(latent_dim, *chunk.shape))
        pca.partial_fit(chunk)

    def rebuild(images):
        flat = np.reshape(images, (len(images), -1))
        rebuilt = pca.inverse_transform(pca.transform(flat))
        return np.reshape(rebuilt, images.shape).astype("float32")

    return rebuild
