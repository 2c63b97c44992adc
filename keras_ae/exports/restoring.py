"""What `denoise` and `upscale` share: a model that was trained to give back more than it is shown."""

from pathlib import Path

from keras_ae import commandline

BATCH = 64
SHOWN = 16
OUT = {"denoise": "denoised", "upscale": "upscaled"}


def parser(verb, description, model):
    """Options of both commands."""
    parser = commandline.Parser(verb, description)
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help="picture files (any size and mode)")
    parser.add_argument("--data", metavar="DIR", help="folder to choose pictures from")
    parser.add_argument("--n", type=commandline.whole_number(1, 10_000), default=16, help="how many to choose from --data")
    commandline.add_common(parser, OUT[verb], "folder to write: each picture, and comparison.png", model)
    commandline.add_label(parser)
    return parser


def opened(arguments, task):
    """What the command line asks for: the folder to write, the export, picture files, and uint8 inputs (n, h, w, C).

    Raises UserError where the folder holds something that these commands did not write, or the export has another task.
    """
    import numpy as np

    from keras_ae.errors import UserError
    from keras_ae.exports.reading import Exported
    from keras_ae.media import images

    out = Path(arguments.out)
    if out.exists() and not (out / "comparison.png").exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and holds something else; choose another --out")
    model = Exported(arguments.model, arguments.label)
    trained = model.card.get("configuration", {}).get("task", {}).get("name", "identity")
    if trained != task:
        raise UserError(f"{model.folder} was trained for the task '{trained}', not '{task}'; name another --model")
    chosen = images.chosen(arguments.pictures, arguments.data, arguments.n, arguments.seed)
    size, _, channels = model.input_shape
    return out, model, chosen, np.stack([images.read(path, size, channels) for path in chosen])


def restored(model, inputs):
    """What the model makes of uint8 inputs (n, h, w, C), uint8 (n, H, W, C)."""
    import numpy as np

    from keras_ae.media import images

    parts = [inputs[first : first + BATCH] for first in range(0, len(inputs), BATCH)]
    return np.concatenate([images.to_uint8(model.decode(model.encode(images.to_float(part)))) for part in parts])


def names_of(paths):
    """A PNG file name for each path; repeated ones are numbered."""
    names, taken = [], {"comparison.png"}
    for path in paths:
        name, number = f"{Path(path).stem}.png", 1
        while name in taken:
            number += 1
            name = f"{Path(path).stem}-{number}.png"
        taken.add(name)
        names.append(name)
    return names


def write(out, paths, shown, outputs):
    """Each output under its picture's name, and comparison.png: rows of `shown`, {label: uint8 pictures}, and outputs."""
    from keras_ae.files import folder_written_whole
    from keras_ae.media import figures, images

    with folder_written_whole(out) as folder:
        for name, picture in zip(names_of(paths), outputs, strict=True):
            images.write_png(folder / name, picture)
        rows = {label: images.to_float(pictures[:SHOWN]) for label, pictures in shown.items()}
        figures.reconstructions(rows, folder / "comparison.png", f"{min(SHOWN, len(paths))} of {len(paths)} pictures")
