"""Write the codes of pictures as tables and as a map: python -m keras_ae.embed --data DIR"""

import csv
from importlib.util import find_spec

import numpy as np

from keras_ae.clusters import find_clusters
from keras_ae.commandline import EXPORT, check_out, command, open_model, out, picture_options, read_batches, warn
from keras_ae.files import write_folder
from keras_ae.images import pictures
from keras_ae.priors import space

ON_MAP = 1500  # more pictures would hide each other


def encode(model, paths, directory):
    """The picture files that can be read, their codes (n, latent_dim), and the mean squared error of each (n,).

    Also every k-th of their images, uint8, `ON_MAP` at most, and k. Errors are NaN where images of another size are made.
    """
    every = -(-len(paths) // ON_MAP)
    files, codes, errors, shown = [], [], [], []
    for here, images, labels in read_batches(model, paths, directory):
        shown.append(images[-len(files) % every :: every])
        codes.append(model.encode(images, labels))
        rebuilt = model.decode(codes[-1], labels).clip(-1, 1) if model.input_shape == model.shape else np.nan
        errors.append(np.square(pictures.to_float(images) - rebuilt).reshape(len(here), -1).mean(axis=1))
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
    classes = pictures.classes(files, arguments.data)
    with write_folder(path, arguments.force) as folder:
        np.save(folder / "codes.npy", z)
        with open(folder / "codes.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "label", *(f"z{index}" for index in range(z.shape[1]))])
            for name, label, code in zip(names, classes, z, strict=True):
                writer.writerow([name, label, *(f"{value:.6g}" for value in code)])
        x, y = space.principal(z).T
        if parquet := find_spec("pyarrow") is not None:
            found = {"file": names, "label": classes, "embedding": z, "x": x, "y": y, "error": errors}
            numbers, _ = find_clusters(z, None, arguments.seed)
            originals = find_originals(files, arguments.data)
            write_parquet(folder / "codes.parquet", **found, cluster=numbers, copy_of=originals)
        title = f"The codes of {len(images)} pictures"
        figures.thumbnails(np.stack([x, y], axis=1)[::every], pictures.to_float(images), folder / "map.png", title)
    if every > 1:
        print(f"the map shows {len(images):,} of {len(z):,} pictures, evenly spaced")
    table = "codes.parquet" if parquet else "no codes.parquet without pip install 'keras_ae[parquet]'"
    print(f"codes of {len(z)} pictures, {z.shape[1]} numbers each -> {path}: codes.npy, codes.csv, map.png, {table}")
