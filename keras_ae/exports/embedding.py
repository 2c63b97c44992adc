"""Codes of picture files as files: npz, csv, and a folder for TensorBoard's projector."""

import csv
import itertools
import math

import numpy as np
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins import projector
from tqdm import tqdm

from keras_ae.images import pictures

# TensorBoard shows a sprite of at most 8,192 pixels a side
SPRITE = 8192
# bytes of images that are kept for the sprite and the map
SHOWN = 2**29
# files that are encoded together: whole batches
BLOCK = 1024


def encoded(model, paths, directory, report):
    """Codes of all picture files that can be read: their numbers (n,) in `paths`, and codes (n, latent_dim).

    Also the images to show, uint8 (m, H, W, C), and which of the n they are, (m,): all of them, or as many as SHOWN bytes hold,
    from the whole sequence. directory: the folder whose sub-folders name the classes for a conditional model. report: see
    `images.pictures.readable`. Raises UserError if no file can be read.
    """
    size, _, channels = model.input_shape
    labels = model.labels_of(paths, directory)
    every = -(-len(paths) * size * size * channels // SHOWN)
    files = tqdm(paths, "encoding", unit="file", disable=None, leave=False)
    readable = pictures.readable(files, size, channels, report)
    numbers, codes, pixels = [], [], []
    while block := list(itertools.islice(readable, BLOCK)):
        here, images_here = (list(values) for values in zip(*block, strict=True))
        codes.append(model.encode(np.stack(images_here), None if labels is None else labels[here]))
        pixels += [image for place, image in enumerate(images_here, len(numbers)) if place % every == 0]
        numbers += here
    return np.array(numbers), np.concatenate(codes), np.stack(pixels), np.arange(0, len(numbers), every)


def write_tables(folder, names, classes, z):
    """codes.npz and codes.csv in `folder`: the printable name, class and code of each file."""
    np.savez(folder / "codes.npz", files=np.array(names), labels=np.array(classes), z=z)
    with open(folder / "codes.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", *(f"z{index}" for index in range(z.shape[1]))])
        for name, label, row in zip(names, classes, z, strict=True):
            writer.writerow([name, label, *(f"{value:.6g}" for value in row)])


def _sprite(pixels):
    """Thumbnails of uint8 images (n, H, W, C) as one square image, and their side."""
    columns = math.ceil(math.sqrt(len(pixels)))
    side = max(1, min(pixels.shape[1], SPRITE // columns))
    small = np.stack([np.asarray(pictures.to_pillow(image).resize((side, side), Image.Resampling.BICUBIC)) for image in pixels])
    small = small.reshape(len(small), side, side, -1)
    # the projector needs as many rows as columns
    padding = np.full((columns**2 - len(small), *small.shape[1:]), 255, "uint8")
    return pictures.grid(np.concatenate([small, padding]), columns, gap=0), side


def write_projector(folder, names, classes, pixels, z):
    """What `tensorboard --logdir FOLDER` shows under Projector: codes, names and classes, and a sprite of thumbnails."""
    folder.mkdir()
    sprite, side = _sprite(pixels)
    pictures.write_png(folder / "sprite.png", sprite)
    np.savetxt(folder / "codes.tsv", z, fmt="%.6g", delimiter="\t")
    with open(folder / "metadata.tsv", "w", encoding="utf-8") as file:
        file.write("file\tlabel\n")
        for name, label in zip(names, classes, strict=True):
            file.write(" ".join(f"{name}\t{label}".splitlines()) + "\n")
    config = projector.ProjectorConfig()
    entry = config.embeddings.add(tensor_name="codes", tensor_path="codes.tsv", metadata_path="metadata.tsv")
    entry.sprite.image_path = "sprite.png"
    entry.sprite.single_image_dim.extend([side, side])
    (folder / "projector_config.pbtxt").write_text(text_format.MessageToString(config), encoding="utf-8")
