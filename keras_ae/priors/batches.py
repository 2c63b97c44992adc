"""Functions of many rows, applied to a limited number at a time."""

import numpy as np


def batched(function, arrays, batch=128, progress=None):
    """Apply `function` to `batch` rows of `arrays` at a time and join the results along the first axis.

    arrays: (n, ...). function: rows -> an array, or a dict of arrays, with as many rows. progress: the text of a progress bar
    on stderr; None shows none. Returns NumPy arrays.
    """
    starts = range(0, max(len(arrays), 1), batch)
    if progress:
        from tqdm import tqdm

        starts = tqdm(starts, progress, unit="batch", disable=None, leave=False)
    parts = [function(arrays[first : first + batch]) for first in starts]
    if isinstance(parts[0], dict):
        return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}
    return np.concatenate([np.asarray(part) for part in parts])
