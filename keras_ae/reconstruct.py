"""Draw pictures above their reconstructions: python -m keras_ae.reconstruct --data DIR, or picture files"""

import numpy as np

from keras_ae import commandline
from keras_ae.commandline import EXPORT, check_out, command, number, open_model, option, out, picture_options, read_pictures
from keras_ae.images import pictures


@command(
    *picture_options(1000, data="folder of picture files; its sub-folders are the classes for a conditional model"),
    out("reconstructions.png", "picture to write"),
    option("--refine", type=number(0, 10_000, int), default=0, help="steps of gradient descent on each code, such as 20"),
    *EXPORT,
)
def main(arguments):
    path = check_out(arguments, tuple(pictures.WRITERS))
    model = open_model(arguments)
    model.check_rebuilds()
    if arguments.refine:
        # without the lines of its start
        commandline.import_tensorflow()
    _, originals, labels = read_pictures(model, arguments)
    z = model.refine(originals, model.encode(originals, labels), arguments.refine, labels, progress="refining codes")
    rebuilt = pictures.to_uint8(model.decode(z, labels))
    # in other files each picture comes before its reconstruction
    columns = min(8, len(originals)) if path.suffix.lower() == ".png" else 1
    pictures.write(path, pictures.stack([originals, rebuilt], columns), columns)
    psnr = pictures.psnr(np.mean(np.square(pictures.to_float(originals) - pictures.to_float(rebuilt))))
    how = f" in {arguments.refine} steps" if arguments.refine else ""
    print(f"{len(originals)} pictures reconstructed by {model.folder}{how}, PSNR {psnr:.2f} dB -> {path}")
