"""Write the codes of pictures as tables and as a map: python -m keras_ae.embed --data DIR"""

import csv

import numpy as np

from keras_ae.commandline import EXPORT, check_out, command, open_model, out, picture_options, read_batches
from keras_ae.files import write_folder
from keras_ae.images import pictures
from keras_ae.priors import space

ON_MAP = 1500  # more pictures would hide each other


def encode(model, paths, directory):
    """The picture files that can be read and their codes, (n, latent_dim); and every k-th of their images, uint8, and k.

    k is 1, or so large that the images are `ON_MAP` at most.
    """
    every = -(-len(paths) // ON_MAP)
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
        title = f"The codes of {len(images)} pictures"
        figures.thumbnails(space.principal(z[::every]), pictures.to_float(images), folder / "map.png", title)
    if every > 1:
        print(f"the map shows {len(images):,} of {len(z):,} pictures, evenly spaced")
    print(f"codes of {len(z)} pictures, {z.shape[1]} numbers each -> {path}: codes.npz, codes.csv, map.png")


if __name__ == "__main__":
    main()
