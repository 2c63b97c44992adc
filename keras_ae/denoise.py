"""Remove noise from pictures with a denoising autoencoder: python -m keras_ae.denoise PICTURE..."""

import numpy as np

from keras_ae import commandline
from keras_ae.commandline import EXPORT, check_out, command, number, open_model, option, out, picture_options
from keras_ae.files import write_folder
from keras_ae.images import pictures


def write_restored(path, force, files, kinds):
    """Write the last of `kinds`, {label: uint8 images (n, H, W, C)}, as PNGs named as the files, and comparison.png."""
    from keras_ae.images import figures

    with write_folder(path, force) as folder:
        rows = {label: pictures.to_float(images[:16]) for label, images in kinds.items()}
        figures.reconstructions(rows, folder / "comparison.png", f"{min(16, len(files))} of {len(files)} images")
        for file, image in zip(files, list(kinds.values())[-1], strict=True):
            name, count = file.stem, 1
            while (folder / f"{name}.png").exists():
                count += 1
                name = f"{file.stem}-{count}"
            pictures.write_png(folder / f"{name}.png", image)


@command(
    *picture_options(10_000),
    out("denoised", "folder to write: each picture, and comparison.png"),
    option("--model", default="exported/denoise_cats", metavar="DIR", help="export for denoising, of make train-denoise_cats"),
    option("--noise", type=number(0, 2), default=0.0, help="first add noise of this standard deviation, in units of [-1, 1]"),
    *EXPORT[1:],
)
def main(arguments):
    path = check_out(arguments)
    model = open_model(arguments, "add_noise")
    files, inputs, labels = commandline.read_pictures(model, arguments)
    height, width = inputs.shape[1:3]
    if others := sum(pictures.open_image(file).size != (width, height) for file in files):
        text = f"{others} of {len(files)} pictures are not {width}x{height}: they were resized, and their noise with them"
        commandline.warn(text)
    if arguments.noise:
        noise = np.random.default_rng(arguments.seed).normal(0, arguments.noise, inputs.shape)
        inputs = pictures.to_uint8(pictures.to_float(inputs) + noise)
    denoised = pictures.to_uint8(model.reconstruct(inputs, labels))
    write_restored(path, arguments.force, files, {"noisy": inputs, "denoised": denoised})
    print(f"{len(files)} pictures denoised by {model.folder} -> {path} (and comparison.png)")
