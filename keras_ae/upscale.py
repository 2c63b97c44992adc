"""Enlarge small pictures with a super-resolution model: python -m keras_ae.upscale PICTURE..."""

import numpy as np
from PIL.Image import Resampling

from keras_ae.commandline import EXPORT, check_out, command, open_model, option, out, picture_options, read_pictures
from keras_ae.denoise import write_restored
from keras_ae.images import pictures

DEFAULT = "exported/upscale_cats_4x"


@command(
    *picture_options(10_000),
    out("upscaled", "folder to write: each picture, and comparison.png"),
    option("--model", default=DEFAULT, metavar="DIR", help="export for super-resolution, of make train-upscale_cats_4x"),
    *EXPORT[1:],
)
def main(arguments):
    path = check_out(arguments)
    model = open_model(arguments, "downscale")
    # pictures larger than the model's inputs are reduced first, so that the result can be compared with them
    files, inputs, labels = read_pictures(model, arguments)
    kinds, size = {}, model.shape[1::-1]
    for name, method in (("input", Resampling.NEAREST), ("bicubic", Resampling.BICUBIC)):
        resized = [np.asarray(pictures.to_pillow(image).resize(size, method)) for image in inputs]
        kinds[name] = np.reshape(resized, (-1, *model.shape))
    kinds["upscaled"] = pictures.to_uint8(model.reconstruct(inputs, labels))
    write_restored(path, arguments.force, files, kinds)
    small, large = ("x".join(map(str, shape[:2])) for shape in (model.input_shape, model.shape))
    print(f"{len(files)} pictures enlarged from {small} to {large} by {model.folder} -> {path} (and comparison.png)")
