"""Enlarge small pictures: python -m keras_ae.upscale PICTURE..."""

from keras_ae import commandline


def parser():
    parser = commandline.Parser("upscale", "Enlarge small pictures with a super-resolution model.")
    commandline.add_pictures(parser, most=10_000)
    commandline.add_common(parser, "upscaled", "folder to write: each picture, and comparison.png", "exported/upscale_cats_4x")
    commandline.add_label(parser)
    commandline.add_runtime(parser)
    return parser


def enlarged(inputs, shape, method):
    """uint8 images (n, h, w, C) resized to `shape` (H, W, C) by a method of Pillow's Resampling."""
    import numpy as np

    from keras_ae.images import pictures

    height, width, channels = shape
    resized = [pictures.to_pillow(pixels).resize((width, height), method) for pixels in inputs]
    return np.stack([np.asarray(image).reshape(height, width, channels) for image in resized])


def upscale(arguments):
    from PIL import Image

    from keras_ae.exports import restoring

    # pictures larger than the model's inputs are reduced first, so that the result can be compared with them
    model, paths, inputs, labels = restoring.opened(arguments, "downscale", commandline.warn)
    outputs = restoring.restored(model, inputs, labels)
    methods = {"input": Image.Resampling.NEAREST, "bicubic": Image.Resampling.BICUBIC}
    kinds = {label: enlarged(inputs, model.shape, method) for label, method in methods.items()}
    small, large = ("x".join(map(str, array.shape[1:3])) for array in (inputs, outputs))
    restoring.write(arguments.out, paths, kinds | {"upscaled": outputs}, outputs)
    print(f"{len(paths)} pictures enlarged from {small} to {large} by {model.folder} -> {arguments.out} (and comparison.png)")


def main(argv=None):
    commandline.run(parser(), upscale, argv)


if __name__ == "__main__":
    main()
