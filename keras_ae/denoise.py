"""Remove noise from pictures: python -m keras_ae.denoise PICTURE..."""

from keras_ae import commandline


def parser():
    parser = commandline.Parser("denoise", "Remove noise from pictures with a denoising autoencoder.")
    commandline.add_pictures(parser, most=10_000)
    commandline.add_common(parser, "denoised", "folder to write: each picture, and comparison.png", "exported/denoise_cats")
    commandline.add_label(parser)
    commandline.add_runtime(parser)
    parser.add_argument(
        "--noise",
        type=commandline.number(0, 2),
        default=0.0,
        help="first add normal noise with this standard deviation (images are in [-1, 1]), to see what a model can do",
    )
    return parser


def noisy(originals, deviation, seed):
    """uint8 images with normal noise of a standard deviation in units of [-1, 1]."""
    import numpy as np

    from keras_ae.images import pictures

    noise = np.random.default_rng(seed).normal(0, deviation, originals.shape)
    return pictures.to_uint8(pictures.to_float(originals) + noise)


def resized(paths, size):
    """How many picture files are not `size` pixels wide and high; MIDI files always fit."""
    from keras_ae.images import pictures

    return sum(pictures.open_image(path).size != (size, size) for path in paths if path.suffix.lower() not in pictures.READERS)


def denoise(arguments):
    from keras_ae.exports import restoring

    model, paths, inputs, labels = restoring.opened(arguments, "add_noise", commandline.warn)
    size = inputs.shape[1]
    if others := resized(paths, size):
        resizing = f"{size}x{size}: they were resized, and their noise with them"
        commandline.warn(f"{others} of {len(paths)} pictures are not {resizing}")
    inputs = noisy(inputs, arguments.noise, arguments.seed) if arguments.noise else inputs
    outputs = restoring.restored(model, inputs, labels)
    restoring.write(arguments.out, paths, {"noisy": inputs, "denoised": outputs}, outputs)
    print(f"{len(paths)} pictures denoised by {model.folder} -> {arguments.out} (and comparison.png)")


def main(argv=None):
    commandline.run(parser(), denoise, argv)


if __name__ == "__main__":
    main()
