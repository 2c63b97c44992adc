"""Codes of picture files as files: npz, csv, and a folder for TensorBoard's projector."""

import csv
import math

import numpy as np
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins import projector
from tqdm import tqdm

from keras_ae.media import images

# TensorBoard shows a sprite of at most 8,192 pixels a side
SPRITE = 8192


def encoded(model, paths, directory, report):
    """Codes of all picture files that can be read: their numbers in `paths`, uint8 images, codes (n, latent_dim).

    directory: the folder whose sub-folders name the classes for a conditional model. report: see `media.images.readable`.
    Raises UserError if no file can be read.
    """
    size, _, channels = model.input_shape
    labels = model.labels_of(paths, directory)
    files = tqdm(paths, "reading", unit="file", disable=None, leave=False)
    numbers, pixels = images.read_all(files, size, channels, report)
    z = model.encode(pixels, None if labels is None else labels[numbers], progress="encoding")
    return numbers, pixels, z


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
    small = np.stack([np.asarray(images.to_pillow(image).resize((side, side), Image.Resampling.BICUBIC)) for image in pixels])
    small = small.reshape(len(small), side, side, -1)
    # the projector needs as many rows as columns
    padding = np.full((columns**2 - len(small), *small.shape[1:]), 255, "uint8")
    return images.grid(np.concatenate([small, padding]), columns, gap=0), side


def write_projector(folder, names, classes, pixels, z):
    """What `tensorboard --logdir FOLDER` shows under Projector: codes, names and classes, and a sprite of thumbnails."""
    folder.mkdir()
    sprite, side = _sprite(pixels)
    images.write_png(folder / "sprite.png", sprite)
    np.savetxt(folder / "codes.tsv", z, fmt="%.6g", delimiter="\t")
    with open(folder / "metadata.tsv", "w", encoding="utf-8") as file:
        file.write("file\tlabel\n")
        for name, label in zip(names, classes, strict=True):
            file.write(" ".join(f"{name}\t{label}".splitlines()) + "\n")
    config = projector.ProjectorConfig()
    entry = config.embeddings.add(tensor_name="codes", tensor_path="codes.tsv", metadata_path="metadata.tsv")
    entry.sprite.image_path = "sprite.png"
    entry.sprite.single_image_dim.extend([side, side])
    (folder / "projector_config.pbtxt").write_text(text_format.MessageToString(config))
