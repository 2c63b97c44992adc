"""How far edits move the property that they edit, and the others: what `attributes` and `edits` report."""

import numpy as np
from tqdm import tqdm


def slopes(model, z, ways, measure):
    """Change of each property (columns) for an edit of one standard deviation along each way (rows): the mean over codes.

    z (n, latent_dim): the codes that are edited. measure: images -> properties (n, k).
    """

    def at(side, way):
        return measure(model.decode((z + side * way).astype("float32"))).mean(axis=0)

    return np.stack([(at(1, way) - at(-1, way)) / 2 for way in tqdm(ways, "editing", disable=None, leave=False)])


def own_and_others(slopes):
    """Of movements, with edited properties in rows: the diagonal, and the mean absolute value of the rest of each row."""
    own = np.diag(slopes)
    return own, np.abs(slopes - np.diag(own)).sum(axis=1) / max(1, len(slopes) - 1)


def named(names, slopes):
    """`own_and_others` as {"edited_moves": {name: number}, "others_move": {name: number}}."""
    moves = zip(("edited_moves", "others_move"), own_and_others(slopes), strict=True)
    return {key: dict(zip(names, values.round(3).tolist(), strict=True)) for key, values in moves}
