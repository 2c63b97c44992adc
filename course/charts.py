"""Charts of the studies as PNG files: coloured codes, lines, tables, bars, squares of images, and piano rolls."""

import math

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from keras_ae.images import pictures
from keras_ae.images.charts import new_axes, save


def images_in_row(side):
    """How many images of `side` pixels fit side by side on a page at twice their size: from 5 to 10."""
    return max(5, min(10, 360 // side))


def scatter(panels, labels, names, path, title):
    """Codes on a plane coloured by class: {name: places (n, 2)} side by side; labels (n,), names of the classes."""
    figure = Figure(figsize=(4.2 * len(panels) + 0.8, 4.4), layout="constrained")
    colours = matplotlib.colormaps["tab10" if len(names) <= 10 else "tab20"].colors
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, places) in zip(row, panels.items(), strict=True):
        for index, label in enumerate(names):
            axes.scatter(*places[labels == index].T, s=3, color=colours[index % len(colours)], label=label)
        axes.set_title(name, fontsize=10)
        axes.grid(alpha=0.3)
    row[-1].legend(markerscale=4, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.suptitle(title, fontsize=10)
    save(figure, path)


def lines(curves, path, title, x_label, y_label, logarithmic=False):
    """One line for each name: {name: (x, y)}; that of PCA is dashed."""
    figure, axes = new_axes(title, x_label, y_label)
    for name, (x, y) in curves.items():
        axes.plot(x, y, "--" if name.startswith("PCA") else "-", marker="o", markersize=4, label=name)
    if logarithmic:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
    axes.legend(fontsize=8)
    save(figure, path)


def matrix(values, rows, columns, path, title):
    """Numbers around 0 as a coloured table."""
    figure = Figure(figsize=(1.8 + 0.62 * len(columns), 1.2 + 0.42 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if abs(value) > 0.7 else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_title(title, fontsize=10, wrap=True)
    save(figure, path)


def bars(values, path, title, x_label):
    """One bar for each name: {name: number}."""
    figure = Figure(figsize=(6.4, 0.8 + 0.42 * len(values)), layout="constrained")
    axes = figure.subplots()
    drawn = axes.barh(list(values), list(values.values()))
    axes.bar_label(drawn, fmt="{:.3f}", padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel(x_label)
    axes.set_title(title, fontsize=10, wrap=True)
    save(figure, path)


def squares(panels, path, title):
    """Square grids of images without gaps side by side: {name: float images (n, H, W, C)}."""
    figure = Figure(figsize=(4.2 * len(panels), 4.6), layout="constrained")
    for axes, (name, images) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        columns = math.ceil(math.sqrt(len(images)))
        axes.imshow(pictures.to_pillow(pictures.grid(pictures.to_uint8(images), columns, gap=0)).convert("RGB"))
        axes.set_title(name, fontsize=10)
        axes.set_axis_off()
    figure.suptitle(title, fontsize=10)
    save(figure, path)


def rolls(melodies, path, title, steps=32, lowest=55, highest=84):
    """Melodies, {label: [(first step, steps, MIDI pitch), ...]}, as piano rolls below each other.

    steps: length of a melody. lowest, highest: MIDI pitches of the roll; lines are drawn at C4 and C5, and at each beat.
    """
    figure = Figure(figsize=(8, 0.6 + 1.3 * len(melodies)), layout="constrained")
    colours = matplotlib.colormaps["viridis"]
    panels = figure.subplots(len(melodies), 1, squeeze=False)[:, 0]
    for axes, (label, notes) in zip(panels, melodies.items(), strict=True):
        for first, length, pitch in notes:
            colour = colours(0.85 * (pitch - lowest) / (highest - lowest))
            axes.broken_barh([(first, length - 0.15)], (pitch - 0.5, 1), facecolors=[colour])
        axes.set_xlim(0, steps)
        axes.set_ylim(lowest - 1, highest + 1)
        axes.set_xticks(range(0, steps, 4), [""] * (steps // 4))
        axes.set_yticks([60, 72], ["C4", "C5"])
        axes.set_ylabel(label, rotation=0, ha="right", va="center")
        axes.grid(alpha=0.3)
    figure.suptitle(title, fontsize=10)
    save(figure, path)
