"""The space of codes: paths, directions, projections, distances. Codes are NumPy arrays (n, latent_dim)."""

import math

import numpy as np

from keras_ae.errors import UserError


def batched(function, arrays, batch=128, progress=None):
    """Apply `function` to `batch` rows of `arrays` (n, ...) at a time and join the results, arrays or dicts of arrays.

    progress: the text of a progress bar on stderr; None shows none.
    """
    starts = range(0, max(len(arrays), 1), batch)
    if progress:
        from tqdm import tqdm

        starts = tqdm(starts, progress, unit="batch", disable=None, leave=False)
    parts = [function(arrays[first : first + batch]) for first in starts]
    if isinstance(parts[0], dict):
        return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}
    return np.concatenate([np.asarray(part) for part in parts])


def kl(z_mean, z_log_var, exp=np.exp):
    """KL(N(z_mean, exp(z_log_var)) || N(0, 1)) of each number in nats: Kingma & Welling 2014 (arXiv:1312.6114), appendix B."""
    return 0.5 * (z_mean * z_mean + exp(z_log_var) - 1 - z_log_var)


def nats(squared, variance, log=np.log):
    """-log N(x | mean, variance) of each value in nats, from its squared distance (x - mean)^2. log: of the values' library."""
    return squared / (2 * variance) + 0.5 * (log(variance) + math.log(2 * math.pi))


def curve(keys, closed=False, points=24):
    """A smooth path through keys (k, latent_dim): so many `points` from each on to the next, and at last a key.

    Cubic, with the tangents of Catmull and Rom 1974. closed: back to the first key. Between keys the length of a code changes
    at a constant rate, as codes of normal noise have nearly the same, but is at most doubled: few numbers pass near zero.
    """
    around = np.concatenate([keys[-1:], keys, keys[:2]] if closed else [keys[:1], keys, keys[-1:]])
    before, start, end, after = (around[at : len(around) - 3 + at, None] for at in range(4))
    t = np.linspace(0, 1, points, endpoint=False)[:, None]
    bend = 2 * before - 5 * start + 4 * end - after + t * (3 * (start - end) + after - before)
    path = start + t / 2 * (end - before + t * bend)
    first, last, length = (np.linalg.norm(codes, axis=-1, keepdims=True) for codes in (start, end, path))
    wanted = (1 - t) * first + t * last
    path = path * (wanted / np.maximum(np.maximum(length, wanted / 2), 1e-12))
    return np.concatenate([path.reshape(-1, keys.shape[1]), end[-1]])


def even(path, images, steps):
    """`steps` codes on a path (n, latent_dim) whose images lie equal distances apart; images: (n, ...), those of the path."""
    lengths = np.linalg.norm(np.diff(images.reshape(len(images), -1), axis=0), axis=1)
    places = np.concatenate([[0], np.cumsum(lengths)])
    numbers = np.interp(np.linspace(0, places[-1], steps), places, np.arange(len(path)))
    begin = np.minimum(numbers.astype(int), len(path) - 2)
    alpha = (numbers - begin)[:, None]
    return ((1 - alpha) * path[begin] + alpha * path[begin + 1]).astype("float32")


def direction(codes, values):
    """The change of codes per standard deviation of a property, (latent_dim,): the regression of codes on values (n,).

    Of two groups of images, 0 and 1, it is parallel to the difference of the mean codes (Larsen et al. 2016, section 4.1).
    Raises UserError if all values are equal.
    """
    if np.ptp(values) == 0:
        raise UserError("all images have the same value of this property; images with and without it are needed")
    return separate(codes, np.reshape(values, (-1, 1)))[0]


def separate(codes, values):
    """For each of k properties, the change of codes per standard deviation of it while the others stay, (k, latent_dim).

    The regression of codes on all properties together, values (n, k). Zeros for a property without differences.
    """
    values = np.asarray(values, "float64")
    deviations = values.std(axis=0)
    standardised = (values - values.mean(axis=0)) / np.maximum(deviations, 1e-12)
    ways, *_ = np.linalg.lstsq(standardised, codes - codes.mean(axis=0), rcond=None)
    return np.where(deviations[:, None] > 0, ways, 0)


def move(z, way, strengths):
    """The codes z + strength * way, float32 (len(strengths), latent_dim), for one code z (latent_dim,)."""
    return (z + np.asarray(strengths, "float64")[:, None] * way).astype("float32")


def principal(z):
    """The first two principal components of codes, (n, 2); codes of one or two numbers keep their values."""
    places = z
    if z.shape[1] > 2:
        centred = z - z.mean(axis=0)
        _, _, directions = np.linalg.svd(centred, full_matrices=False)
        places = centred @ directions[:2].T
    # a single code has one component
    return np.pad(places, ((0, 0), (0, 2 - places.shape[1])))
