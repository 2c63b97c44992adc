"""Enlarge small pictures: python -m keras_ae.upscale PICTURE..."""

from keras_ae import commandline
from keras_ae.exports import restoring as restore


def parser():
    return restore.parser("upscale", "Enlarge small pictures with a super-resolution model.", "exported/upscale_cats_4x")


def upscale(arguments):
    import numpy as np
    from PIL import Image

    # pictures larger than what the model takes are made small first, so that what it adds can be compared
    out, model, chosen, inputs = restore.opened(arguments, "downscale")
    outputs = restore.restored(model, inputs)
    small, (large, _, channels) = inputs.shape[1], model.shape

    def enlarged(picture, how):
        image = Image.fromarray(picture.squeeze()).resize((large, large), how)
        return np.asarray(image).reshape(large, large, channels)

    shown = {"input": Image.Resampling.NEAREST, "bicubic": Image.Resampling.BICUBIC}
    shown = {label: np.stack([enlarged(picture, how) for picture in inputs]) for label, how in shown.items()}
    restore.write(out, chosen, shown | {"upscaled": outputs}, outputs)
    sizes = f"from {small}x{small} to {large}x{large}"
    print(f"{len(chosen)} pictures enlarged {sizes} by {model.folder} -> {out} (and comparison.png)")


def main(argv=None):
    commandline.run(parser(), upscale, argv)


if __name__ == "__main__":
    main()
