"""Fill a marked part of a picture as the rest of it suggests: python -m keras_ae.restore A.jpg --mask MASK.png

The mask is a picture of the same size, white where the picture is to be filled.
"""

import numpy as np

from keras_ae.commandline import FORCE, LABEL, MODEL, SEED, check_out, command, number, open_model, option, out
from keras_ae.errors import UserError
from keras_ae.files import write_folder
from keras_ae.images import pictures

DRAWN = 500  # pictures among which answers begin
# pixels: the deviation of the weights by which colours at the edge of the marked part are carried into it
REACH = 3.0
# neighbouring pixels err together: so many count as one observation
ALIKE = 16


def fill(model, image, hidden, n=3, seed=0, steps=200):
    """n different answers, uint8 (n, H, W, C), to what is hidden in a picture; what is visible stays as it is.

    image: uint8 (H, W, C). hidden: bool (H, W). Of pictures that the model draws, those begin that are most like what is
    visible; gradient descent on their codes fits it, and a Gaussian of the codes holds them near their beginning. With
    beginnings drawn at random this is randomized maximum likelihood, which samples the posterior of linear models (Oliver et
    al. 1996). Differences at the edge are then carried inwards. Raises UserError if all or nothing is hidden.
    """
    from scipy.ndimage import gaussian_filter
    from sklearn.covariance import LedoitWolf

    if hidden.all() or not hidden.any():
        raise UserError(f"the mask marks {'all' if hidden.all() else 'nothing'} of what the model sees of the picture")
    drawn, codes = model.generate(max(DRAWN, n), seed)
    visible, wanted = ~hidden[..., None], pictures.to_float(image)
    errors = (visible * np.square(pictures.to_float(drawn) - wanted)).sum(axis=(1, 2, 3))
    nearest = np.argsort(errors, kind="stable")[:n]
    variance = model.card.get("held_out", {}).get("mse", 0.02)
    pull = ALIKE * variance * LedoitWolf().fit(codes).precision_
    # a model with classes draws them in turn
    labels = nearest % len(model.labels) if model.labels and model.label is None else None
    z = model.refine(np.repeat(wanted[None], n, axis=0), codes[nearest], steps, labels, "filling", visible, pull)
    filled, blur = model.decode(z, labels), (0, REACH, REACH, 0)
    weights = gaussian_filter(visible[None].astype(float), blur)
    filled = filled + gaussian_filter(visible * (wanted - filled), blur) / np.maximum(weights, 0.05)
    return np.where(visible, image, pictures.to_uint8(filled))


@command(
    option("picture", metavar="PICTURE", help="picture file of any size and mode"),
    option("--mask", metavar="MASK", required=True, help="picture file of the same size, white where PICTURE is to be filled"),
    option("--n", type=number(1, 16, int), default=3, help="how many different answers"),
    out("restored", "folder to write: 1.png, 2.png ... and comparison.png"),
    *(MODEL, LABEL, SEED, FORCE),
    keras=False,
)
def main(arguments):
    path, arguments.runtime = check_out(arguments), "tensorflow"
    model = open_model(arguments)
    model.check_rebuilds()
    height, width, _ = model.shape
    image = pictures.read(arguments.picture, model.shape, model.white, model.fit)
    mask = pictures.read(arguments.mask, (height, width, 1), fit=model.fit)[..., 0] > 127
    files = arguments.picture, arguments.mask
    sides = [pictures.measure_sides(pictures.open_picture(pictures.read_bytes(file))[0]) for file in files]
    if sides[0] != sides[1]:
        wanted, received = ("x".join(map(str, side)) for side in sides)
        raise UserError(f"`mask` must have the size of the picture, {wanted}. Received: {received}")
    answers = fill(model, image, mask, arguments.n, arguments.seed)
    with write_folder(path, arguments.force) as folder:
        from keras_ae.images import figures

        for index, answer in enumerate(answers, 1):
            pictures.write_png(folder / f"{index}.png", answer)
        shown = np.stack([image, np.where(mask[..., None], np.uint8(255), image), *answers])
        headings = ["picture", "visible", *map(str, range(1, len(answers) + 1))]
        figures.rows([pictures.to_float(shown)], [""], folder / "comparison.png", "", headings)
    print(f"{arguments.picture} filled in {len(answers)} ways by {model.folder} -> {path} (and comparison.png)")
