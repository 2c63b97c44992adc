"""Codes of a folder of pictures as files, for TensorBoard's projector, and as a map: python -m keras_ae.embed --data DIR"""

import csv
import sys
from pathlib import Path

from keras_ae import commandline

BATCH = 64
# TensorBoard shows a sprite of at most 8,192 pixels a side
SPRITE = 8192
MOST_SHOWN = 1500


def parser():
    parser = commandline.Parser(
        "embed", "Write the codes of pictures: npz, csv, TensorBoard projector, and a map of thumbnails."
    )
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help="picture files (any size and mode)")
    parser.add_argument(
        "--data", metavar="DIR", help="folder of pictures; where all lie in sub-folders, these are their labels"
    )
    commandline.add_common(parser, "embedding", "folder to write")
    commandline.add_label(parser)
    return parser


def paths_of(arguments):
    """Picture files, and a label for each: the sub-folder of --data that it lies in, or none."""
    from keras_ae.errors import UserError
    from keras_ae.media import images

    if bool(arguments.pictures) == bool(arguments.data):
        raise UserError("name picture files, or a folder of them with --data DIR" + (", not both" if arguments.data else ""))
    if arguments.pictures:
        return [Path(path) for path in arguments.pictures], [""] * len(arguments.pictures)
    found = images.find(arguments.data)
    tops = [path.relative_to(arguments.data).parts[:-1][:1] for path in found]
    return found, [top[0] if top else "" for top in tops]


def encoded(model, paths, labels):
    """Files, labels, uint8 pictures and codes of all pictures that can be read; the others are told on stderr."""
    import numpy as np
    from tqdm import tqdm

    from keras_ae.errors import UserError
    from keras_ae.media import images

    size, _, channels = model.input_shape
    kept, pictures = [], []
    for path, label in zip(tqdm(paths, "reading", unit="picture", disable=None, leave=False), labels, strict=True):
        try:
            pictures.append(images.read(path, size, channels))
        except UserError as error:
            tqdm.write(f"warning: {error}", file=sys.stderr)
            continue
        kept.append((str(path), label))
    if not kept:
        raise UserError("none of these pictures can be read")
    pictures = np.stack(pictures)
    z = np.concatenate(
        [model.encode(images.to_float(pictures[first : first + BATCH])) for first in range(0, len(pictures), BATCH)]
    )
    return [file for file, _ in kept], [label for _, label in kept], pictures, z


def write_projector(folder, files, labels, pictures, z):
    """What tensorboard --logdir FOLDER shows under Projector: codes, names and labels, and a sprite of thumbnails."""
    import math

    import numpy as np
    from google.protobuf import text_format
    from PIL import Image
    from tensorboard.plugins import projector

    from keras_ae.media import images

    folder.mkdir()
    columns = math.ceil(math.sqrt(len(pictures)))
    side = max(1, min(pictures.shape[1], SPRITE // columns))
    small = [np.asarray(Image.fromarray(picture.squeeze()).resize((side, side))) for picture in pictures]
    small = np.stack(small).reshape(len(small), side, side, -1)
    # the projector wants as many rows as columns
    padding = np.full((columns**2 - len(small), *small.shape[1:]), 255, "uint8")
    images.write_png(folder / "sprite.png", images.grid(np.concatenate([small, padding]), columns, gap=0))
    np.savetxt(folder / "codes.tsv", z, fmt="%.6g", delimiter="\t")
    with open(folder / "metadata.tsv", "w") as file:
        file.write("file\tlabel\n")
        file.writelines(
            f"{name}\t{label}\n".replace("\n", " ").rstrip(" ") + "\n" for name, label in zip(files, labels, strict=True)
        )
    config = projector.ProjectorConfig()
    entry = config.embeddings.add(tensor_name="codes", tensor_path="codes.tsv", metadata_path="metadata.tsv")
    entry.sprite.image_path = "sprite.png"
    entry.sprite.single_image_dim.extend([side, side])
    (folder / "projector_config.pbtxt").write_text(text_format.MessageToString(config))


def embed(arguments):
    import numpy as np

    from keras_ae.codes import projections
    from keras_ae.errors import UserError
    from keras_ae.exports.reading import Exported
    from keras_ae.files import folder_written_whole
    from keras_ae.media import figures, images

    out = Path(arguments.out)
    if out.exists() and not (out / "codes.npz").exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and holds something else; choose another --out")
    model = Exported(arguments.model, arguments.label)
    files, labels, pictures, z = encoded(model, *paths_of(arguments))
    with folder_written_whole(out) as folder:
        np.savez(folder / "codes.npz", files=np.array(files), labels=np.array(labels), z=z)
        with open(folder / "codes.csv", "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "label", *(f"z{index}" for index in range(z.shape[1]))])
            writer.writerows(
                [name, label, *(f"{value:.6g}" for value in row)] for name, label, row in zip(files, labels, z, strict=True)
            )
        write_projector(folder / "projector", files, labels, pictures, z)
        chosen = np.random.default_rng(arguments.seed).permutation(len(z))[:MOST_SHOWN]
        places, method = projections.project(z, arguments.seed)
        title = f"{len(chosen)} pictures where {method} puts their codes"
        figures.thumbnails(places[chosen], images.to_float(pictures[chosen]), folder / "map.png", title, method)
    print(f"codes of {len(z)} pictures, {z.shape[1]} numbers each -> {out}: codes.npz, codes.csv, map.png")
    print(f"look    tensorboard --logdir {out / 'projector'}")


def main(argv=None):
    commandline.run(parser(), embed, argv)


if __name__ == "__main__":
    main()
