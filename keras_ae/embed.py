"""Write the codes of pictures as tables, for TensorBoard's projector, and as a map: python -m keras_ae.embed --data DIR"""

import csv
import math
import shlex

import numpy as np
from PIL import Image

from keras_ae.commandline import EXPORT, check_out, command, open_model, out, picture_options, read_batches
from keras_ae.files import write_folder
from keras_ae.images import pictures
from keras_ae.priors import space

# bytes of pictures that are kept for the projector and the map
MOST_BYTES = 2**29
PROJECTOR = """embeddings {
  tensor_name: "codes"
  tensor_path: "codes.tsv"
  metadata_path: "metadata.tsv"
  sprite { image_path: "sprite.png" single_image_dim: %(width)d single_image_dim: %(height)d }
}
"""


def encode(model, paths, directory):
    """The picture files that can be read and their codes, (n, latent_dim); and every k-th of their images, uint8, and k.

    k is 1, or so large that the images take `MOST_BYTES` at most.
    """
    every = math.ceil(len(paths) * math.prod(model.input_shape) / MOST_BYTES)
    files, codes, shown = [], [], []
    for here, images, labels in read_batches(model, paths, directory):
        shown.append(images[-len(files) % every :: every])
        codes.append(model.encode(images, labels))
        files += here
    return files, np.concatenate(codes), np.concatenate(shown), every


def write_tables(folder, names, classes, z):
    """codes.npz and codes.csv in `folder`: the printable name, class and code of each file."""
    np.savez(folder / "codes.npz", files=np.array(names), labels=np.array(classes), z=z)
    with open(folder / "codes.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", *(f"z{index}" for index in range(z.shape[1]))])
        for name, label, code in zip(names, classes, z, strict=True):
            writer.writerow([name, label, *(f"{value:.6g}" for value in code)])


def write_projector(folder, names, classes, images, z):
    """What `tensorboard --logdir FOLDER` shows under Projector: codes, names and classes, and a sprite of thumbnails."""
    folder.mkdir()
    columns = math.ceil(math.sqrt(len(images)))
    # TensorBoard shows a sprite of at most 8,192 pixels a side
    share = min(1, 8192 // columns / max(images.shape[1:3]))
    height, width = (max(1, round(share * side)) for side in images.shape[1:3])
    # the projector needs as many rows as columns
    sprite = Image.new("RGB", (columns * width, columns * height), "white")
    for index, image in enumerate(images):
        thumbnail = pictures.to_pillow(image).resize((width, height), Image.Resampling.BICUBIC)
        sprite.paste(thumbnail, (index % columns * width, index // columns * height))
    pictures.save_png(folder / "sprite.png", sprite)
    np.savetxt(folder / "codes.tsv", z, fmt="%.6g", delimiter="\t")
    lines = [" ".join(f"{name}\t{label}".splitlines()) for name, label in zip(names, classes, strict=True)]
    (folder / "metadata.tsv").write_text("\n".join(["file\tlabel", *lines, ""]), encoding="utf-8")
    (folder / "projector_config.pbtxt").write_text(PROJECTOR % {"width": width, "height": height}, encoding="utf-8")


@command(
    *picture_options(data="folder of picture files; the names of its sub-folders are their labels"),
    out("embedding", "folder to write"),
    *EXPORT,
)
def main(arguments):
    from keras_ae.images import figures

    path = check_out(arguments)
    model = open_model(arguments)
    files, z, images, every = encode(model, pictures.choose(arguments.pictures, arguments.data), arguments.data)
    names = [pictures.printable(file) for file in files]
    classes = pictures.classes(files, arguments.data) if arguments.data else [""] * len(files)
    classes = [pictures.printable(name) for name in classes]
    with write_folder(path, arguments.force) as folder:
        write_tables(folder, names, classes, z)
        write_projector(folder / "projector", names[::every], classes[::every], images, z[::every])
        # more pictures would hide each other
        on_map = np.random.default_rng(arguments.seed).permutation(len(images))[:1500]
        places, method = space.project(z[::every], arguments.seed)
        title = f"{method} of the codes of {len(on_map)} pictures"
        figures.thumbnails(places[on_map], pictures.to_float(images[on_map]), folder / "map.png", title, method)
    if every > 1:
        print(f"the projector and the map show {len(images):,} of {len(z):,} pictures, evenly spaced")
    print(f"codes of {len(z)} pictures, {z.shape[1]} numbers each -> {path}: codes.npz, codes.csv, map.png")
    print(f"look    tensorboard --logdir {shlex.quote(str(path / 'projector'))}")


if __name__ == "__main__":
    main()
