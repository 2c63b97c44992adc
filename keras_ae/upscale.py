"""Enlarge small pictures: python -m keras_ae.upscale PICTURE..."""

from pathlib import Path

from keras_ae import commandline, restore


def parser():
    return restore.parser("upscale", "Enlarge small pictures with a super-resolution model.", "exported/upscale_cats_4x")


def upscale(arguments):
    import numpy as np
    from PIL import Image

    from keras_ae import images

    out = Path(arguments.out)
    restore.check_out(out)
    model = restore.opened(arguments, "downscale")
    chosen = images.chosen(arguments.pictures, arguments.data, arguments.n, arguments.seed)
    small, _, channels = model.input_shape
    large, _, _ = model.shape
    # pictures larger than what the model takes are made small first, so that what it adds can be compared
    inputs = np.stack([images.read(path, small, channels) for path in chosen])
    outputs = restore.restored(model, inputs)

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
