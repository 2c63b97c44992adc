"""Enlarge small pictures with a super-resolution model: python -m keras_ae.upscale PICTURE..."""

from keras_ae.commandline import EXPORT, check_out, command, option, out, picture_options, read_pictures
from keras_ae.denoise import open_restoring, write_restored


def resize(images, shape, method):
    """uint8 images (n, h, w, C) resized to `shape` (H, W, C) by a method of Pillow's Resampling."""
    import numpy as np

    from keras_ae.images import pictures

    height, width, channels = shape
    resized = [pictures.to_pillow(image).resize((width, height), method) for image in images]
    return np.stack([np.asarray(image).reshape(height, width, channels) for image in resized])


@command(
    *picture_options(10_000),
    out("upscaled", "folder to write: each picture, and comparison.png"),
    option("--model", default="exported/upscale_cats_4x", metavar="DIR", help="folder of an export for super-resolution"),
    *EXPORT[1:],
)
def main(arguments):
    from PIL.Image import Resampling

    from keras_ae.images import pictures

    path = check_out(arguments)
    model = open_restoring(arguments, "downscale")
    # pictures larger than the model's inputs are reduced first, so that the result can be compared with them
    files, inputs, labels = read_pictures(model, arguments)
    upscaled = pictures.to_uint8(model.reconstruct(inputs, labels))
    methods = {"input": Resampling.NEAREST, "bicubic": Resampling.BICUBIC}
    kinds = {label: resize(inputs, model.shape, method) for label, method in methods.items()}
    write_restored(path, arguments.force, files, kinds | {"upscaled": upscaled})
    small, large = ("x".join(map(str, images.shape[1:3])) for images in (inputs, upscaled))
    print(f"{len(files)} pictures enlarged from {small} to {large} by {model.folder} -> {path} (and comparison.png)")


if __name__ == "__main__":
    main()
