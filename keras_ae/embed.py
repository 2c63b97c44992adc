"""Write the codes of pictures as tables, for TensorBoard's projector, and as a map: python -m keras_ae.embed --data DIR"""

import csv
import math
import shlex
from importlib.util import find_spec

import numpy as np
from PIL import Image

from keras_ae.clusters import find_clusters
from keras_ae.commandline import EXPORT, check_out, command, open_model, out, picture_options, read_batches, warn
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
    """The picture files that can be read, their codes (n, latent_dim), and the mean squared error of each (n,).

    Also every k-th of their images, uint8, and k: 1, or so large that the images take `MOST_BYTES` at most. Errors are NaN for
    models that rebuild images of another size.
    """
    every = math.ceil(len(paths) * math.prod(model.input_shape) / MOST_BYTES)
    files, codes, errors, shown = [], [], [], []
    for here, images, labels in read_batches(model, paths, directory):
        shown.append(images[-len(files) % every :: every])
        z = model.encode(images, labels)
        missing = np.full(images.shape, np.nan, "float32")
        if model.input_shape == model.shape:
            missing = pictures.to_float(images) - model.decode(z, labels).clip(-1, 1)
        codes.append(z)
        errors.append(np.square(missing).reshape(len(here), -1).mean(axis=1))
        files += here
    return files, np.concatenate(codes), np.concatenate(errors), np.concatenate(shown), every


def find_originals(files, directory):
    """For each file the first that it is a copy or near-copy of, see `data.index`; None for the others."""
    from keras_ae.data import index

    named = [file for file in files if file.suffix.lower() in pictures.SUFFIXES]
    if not named:
        return [None] * len(files)
    paths, entries = index.read(named, directory, warn)
    originals = dict(zip(paths, (paths[leader] for leader in index.find_groups(entries)), strict=True))
    return [None if originals.get(file, file) == file else pictures.printable(originals[file]) for file in files]


def write_parquet(path, rows=10_000, **columns):
    """A table in groups of rows. columns: file, label, embedding (n, d), x, y, error, cluster, copy_of, of n values each."""
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {"embedding": pa.list_(pa.float32()), "cluster": pa.int32()}
    kinds |= dict.fromkeys(("file", "label", "copy_of"), pa.string())
    schema = pa.schema([(name, kinds.get(name, pa.float32())) for name in columns])
    with parquet.ParquetWriter(path, schema) as writer:
        for first in range(0, len(columns["file"]), rows):
            part = {name: list(values[first : first + rows]) for name, values in columns.items()}
            writer.write_table(pa.table(part, schema))


def write_tables(folder, names, classes, z):
    """codes.npy, codes.npz and codes.csv in `folder`: the printable name, class and code of each file."""
    np.save(folder / "codes.npy", z)
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
    files, z, errors, images, every = encode(model, pictures.choose(arguments.pictures, arguments.data), arguments.data)
    names = [pictures.printable(file) for file in files]
    classes = pictures.classes(files, arguments.data) if arguments.data else [""] * len(files)
    classes = [pictures.printable(name) for name in classes]
    with write_folder(path, arguments.force) as folder:
        write_tables(folder, names, classes, z)
        write_projector(folder / "projector", names[::every], classes[::every], images, z[::every])
        # more pictures would hide each other
        on_map = np.random.default_rng(arguments.seed).permutation(len(images))[:1500]
        places, method = space.project(z, arguments.seed)
        if parquet := find_spec("pyarrow") is not None:
            found = {"file": names, "label": classes, "embedding": z, "x": places[:, 0], "y": places[:, 1], "error": errors}
            clusters, _ = find_clusters(z, None, arguments.seed)
            copies = find_originals(files, arguments.data)
            write_parquet(folder / "codes.parquet", **found, cluster=clusters, copy_of=copies)
        title = f"{method} of the codes of {len(on_map)} pictures"
        figures.thumbnails(places[::every][on_map], pictures.to_float(images[on_map]), folder / "map.png", title, method)
    if every > 1:
        print(f"the projector and the map show {len(images):,} of {len(z):,} pictures, evenly spaced")
    written = ["codes.npy", "codes.npz", "codes.csv", "map.png", *["codes.parquet"] * parquet]
    print(f"codes of {len(z)} pictures, {z.shape[1]} numbers each -> {path}: {', '.join(written)}")
    if not parquet:
        print("codes.parquet needs pip install 'keras_ae[parquet]'")
    print(f"look    tensorboard --logdir {shlex.quote(str(path / 'projector'))}")


if __name__ == "__main__":
    main()
