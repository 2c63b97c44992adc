"""Take noise out of pictures: python -m keras_ae.denoise PICTURE..."""

import sys

from keras_ae import commandline
from keras_ae.exports import restoring as restore


def parser():
    parser = restore.parser("denoise", "Take noise out of pictures with a denoising autoencoder.", "exported/denoise_cats")
    parser.add_argument(
        "--noise",
        type=commandline.number(0, 2),
        default=0.0,
        help="add normal noise of this deviation first (pictures are in [-1, 1]), to see what a model can do",
    )
    return parser


def noisy(pictures, deviation, seed):
    """uint8 pictures with normal noise of a deviation in units of [-1, 1]."""
    import numpy as np

    from keras_ae.media import images

    noise = np.random.default_rng(seed).normal(0, deviation, pictures.shape)
    return images.to_uint8(images.to_float(pictures) + noise)


def denoise(arguments):
    from PIL import Image

    out, model, chosen, inputs = restore.opened(arguments, "add_noise")
    size = inputs.shape[1]
    other = [path for path in chosen if Image.open(path).size != (size, size)]
    if other:
        told = f"{len(other)} of {len(chosen)} pictures are not {size}x{size}: they were resized, and their noise with them"
        print(f"warning: {told}", file=sys.stderr)
    inputs = noisy(inputs, arguments.noise, arguments.seed) if arguments.noise else inputs
    outputs = restore.restored(model, inputs)
    restore.write(out, chosen, {"noisy": inputs, "denoised": outputs}, outputs)
    print(f"{len(chosen)} pictures denoised by {model.folder} -> {out} (and comparison.png)")


def main(argv=None):
    commandline.run(parser(), denoise, argv)


if __name__ == "__main__":
    main()
