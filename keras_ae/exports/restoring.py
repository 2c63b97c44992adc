"""Restored images: what denoising and super-resolution models make of picture files, and the folder it is written to."""

from pathlib import Path

from keras_ae import outputs
from keras_ae.errors import UserError
from keras_ae.exports.reading import Exported
from keras_ae.images import figures, pictures

SHOWN = 16
COMPARISON = "comparison.png"


def opened(arguments, task, report):
    """What `denoise` and `upscale` start with: the export, the picture files, uint8 inputs (n, h, w, C), class numbers or None.

    report: see `images.pictures.readable`. Raises UserError if --out contains something that these commands did not write, the
    export was trained for another task, or no file can be read.
    """
    outputs.check_folder(arguments.out)
    model = Exported(arguments.model, arguments.label, arguments.runtime)
    if model.task != task:
        raise UserError(f"{model.folder} was trained for the task '{model.task}', not '{task}'; choose another --model")
    paths = pictures.chosen(arguments.pictures, arguments.data, arguments.n, arguments.seed)
    size, _, channels = model.input_shape
    labels = model.labels_of(paths, arguments.data)
    numbers, inputs = pictures.read_all(paths, size, channels, report)
    return model, [paths[number] for number in numbers], inputs, None if labels is None else labels[numbers]


def restored(model, inputs, labels=None):
    """The images that the model makes of uint8 inputs (n, h, w, C), uint8 (n, H, W, C)."""
    return pictures.to_uint8(model.reconstruct(inputs, labels))


def names_of(paths):
    """A PNG file name for each path; repeated names are numbered."""
    names, taken = [], {COMPARISON}
    for path in paths:
        name, number = f"{Path(path).stem}.png", 1
        while name in taken:
            number += 1
            name = f"{Path(path).stem}-{number}.png"
        taken.add(name)
        names.append(name)
    return names


def write(out, paths, kinds, made):
    """Write each output as PNG under the name of its file, and comparison.png with rows of each of `kinds`.

    kinds: {label: uint8 images (n, H, W, C)}, for example inputs and outputs. made: uint8 (n, H, W, C).
    """
    with outputs.folder(out) as folder:
        for name, image in zip(names_of(paths), made, strict=True):
            pictures.write_png(folder / name, image)
        rows = {label: pictures.to_float(shown[:SHOWN]) for label, shown in kinds.items()}
        figures.reconstructions(rows, folder / COMPARISON, f"{min(SHOWN, len(paths))} of {len(paths)} images")
