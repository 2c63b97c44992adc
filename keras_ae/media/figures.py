"""Pictures of a run, as PNG with matplotlib and GIF with Pillow. Images are float32 (n, H, W, C) in [-1, 1]."""

import matplotlib
import numpy as np

from keras_ae.codes.projections import principal
from keras_ae.files import written_whole
from keras_ae.media.images import grid, to_uint8, write_there_and_back

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

CURVES = {
    "epoch_loss": "loss (nats)",
    "epoch_neg_elbo": "negative ELBO (nats)",
    "epoch_reconstruction": "reconstruction (nats)",
}
CURVES |= {"epoch_kl": "KL (nats)", "epoch_mse": "mean squared error", "epoch_learning_rate": "learning rate"}
ADVERSARIAL = {"epoch_adversarial": "decoder's adversarial loss (nats)", "epoch_critic": "critic's loss (nats)"}


def _save(figure, path):
    with written_whole(path) as partial:
        # no date and version inside: the same run draws the same bytes
        figure.savefig(partial, format="png", dpi=120, bbox_inches="tight", metadata={"Software": None})
    pyplot.close(figure)


def _show(images, columns, title, path, row_labels=()):
    picture = grid(to_uint8(images), columns)
    height, width = picture.shape[:2]
    # small pictures are enlarged by whole pixels, large grids stay readable on a page
    inches = max(4.0, min(12.0, width / 60))
    figure, axes = pyplot.subplots(figsize=(inches, inches * height / width + 0.4))
    axes.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    rows = height / max(1, -(-len(images) // columns))
    axes.set_yticks([(row + 0.5) * rows for row in range(len(row_labels))], row_labels)
    axes.tick_params(length=0)
    axes.set_frame_on(False)
    _save(figure, path)


def logged_scalars(folder):
    """Scalars of TensorBoard's logs below `folder`: {tag: {side: (steps, values)}}, one value per step, the last written."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    found = {}
    for side in ("train", "validation"):
        events = EventAccumulator(str(folder / side), size_guidance={"tensors": 0}).Reload()
        for tag in events.Tags()["tensors"]:
            values = {event.step: tensor_util.make_ndarray(event.tensor_proto) for event in events.Tensors(tag)}
            if all(np.ndim(value) == 0 and value.dtype.kind == "f" for value in values.values()):
                steps = sorted(values)
                found.setdefault(tag, {})[side] = (steps, [float(values[step]) for step in steps])
    return found


def curves(folder, path):
    """Train and held-out curves of each logged quantity per epoch, read back from TensorBoard's logs in `folder`."""
    scalars = logged_scalars(folder)
    titles = dict(CURVES)
    if "epoch_adversarial" in scalars:
        # the loss of the second stage is another sum, thousands of nats away
        del titles["epoch_loss"]
        titles |= ADVERSARIAL
    shown = [tag for tag in titles if tag in scalars]
    columns = -(-len(shown) // 2)
    figure, grid_of_axes = pyplot.subplots(2, columns, figsize=(4 * columns, 6.4), layout="constrained", squeeze=False)
    for axes, tag in zip(grid_of_axes.flat, shown, strict=False):
        for side, label, style in (("train", "train", "-"), ("validation", "held out", "--")):
            if side in scalars[tag]:
                steps, values = scalars[tag][side]
                axes.plot([step + 1 for step in steps], values, style, label=label, marker="." if len(steps) < 3 else None)
        axes.set_title(titles[tag], fontsize=10)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(pyplot.MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    for axes in list(grid_of_axes.flat)[len(shown) :]:
        axes.set_visible(False)
    _save(figure, path)


def reconstructions(kinds, path, title):
    """Kinds of the same pictures, such as original and rebuilt, below each other: {label: (n, H, W, C)}, eight a row."""
    n = len(next(iter(kinds.values())))
    columns = min(8, n)
    stacked = [images[first : first + columns] for first in range(0, n, columns) for images in kinds.values()]
    _show(np.concatenate(stacked), columns, title, path, list(kinds) * (len(stacked) // len(kinds)))


def samples(images, path, title):
    """A square of pictures."""
    _show(images, int(np.ceil(np.sqrt(len(images)))), title, path)


def interpolation(frames, path, title):
    """Ten pictures of the way from the first frame to the last, and the whole way as a GIF beside, there and back."""
    shown = frames[np.linspace(0, len(frames) - 1, 10).round().astype(int)]
    _show(shown, 10, title, path)
    write_there_and_back(path.with_suffix(".gif"), to_uint8(frames))


def rows(row_images, labels, path, title):
    """One row of pictures for each label, all rows equally long."""
    _show(np.concatenate(row_images), len(row_images[0]), title, path, labels)


def _axes(title, x_label, y_label):
    figure, axes = pyplot.subplots(figsize=(6.4, 4.2), layout="constrained")
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(alpha=0.3)
    return figure, axes


def kl_per_dimension(kls, path):
    """KL of each latent dimension in nats, largest first, one line for each model: {name: (latent_dim,)}."""
    figure, axes = _axes("KL per latent dimension", "dimension, sorted", "nats")
    for name, kl in kls.items():
        axes.plot(np.arange(1, len(kl) + 1), np.sort(kl)[::-1], label=name)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
    _save(figure, path)


def rate_distortion(points, path):
    """Rate against distortion of every held-out picture, in nats: {name: (rate (n,), distortion (n,))}; crosses: means."""
    figure, axes = _axes("Rate and distortion of each held-out picture", "rate: KL (nats)", "distortion: -log p(x | z) (nats)")
    for name, (rate, distortion) in points.items():
        dots = axes.scatter(rate, distortion, s=5, alpha=0.4, label=name)
        axes.plot(rate.mean(), distortion.mean(), "x", markersize=11, markeredgewidth=2.5, color=dots.get_facecolor()[0][:3])
    axes.legend(fontsize=8)
    _save(figure, path)


def thumbnails(places, images, path, title, method):
    """Pictures at their places (n, 2) on a plane that `method` made."""
    x, y = places.T
    figure, axes = pyplot.subplots(figsize=(8, 8), layout="constrained")
    axes.scatter(x, y, s=1, alpha=0)
    for place_x, place_y, picture in zip(x, y, to_uint8(images), strict=True):
        thumbnail = OffsetImage(picture.squeeze(), zoom=22 / len(picture), cmap="gray")
        axes.add_artist(AnnotationBbox(thumbnail, (place_x, place_y), frameon=False))
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(f"{method} of the codes, first axis")
    axes.set_ylabel("second")
    _save(figure, path)


def latent_map(z, images, path, title):
    """Held-out pictures at the first two principal components of their codes z (n, latent_dim)."""
    thumbnails(principal(z), images, path, title, "PCA")


def scatter(panels, labels, names, path, title):
    """Codes on a plane coloured by class: {name: places (n, 2)} side by side; labels (n,), names of the classes."""
    figure, axes = pyplot.subplots(1, len(panels), figsize=(5.2 * len(panels), 5), layout="constrained", squeeze=False)
    colours = matplotlib.colormaps["tab10" if len(names) <= 10 else "tab20"].colors
    for axis, (name, places) in zip(axes[0], panels.items(), strict=True):
        for index, label in enumerate(names):
            axis.scatter(*places[labels == index].T, s=3, color=colours[index % len(colours)], label=label)
        axis.set_title(name, fontsize=10)
        axis.grid(alpha=0.3)
    axes[0][-1].legend(markerscale=4, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.suptitle(title, fontsize=10)
    _save(figure, path)


def lines(curves, path, title, x_label, y_label, logarithmic=False):
    """One line for each name: {name: (x, y)}."""
    figure, axes = _axes(title, x_label, y_label)
    for name, (x, y) in curves.items():
        axes.plot(x, y, "--" if name.startswith("PCA") else "-", marker="o", markersize=4, label=name)
    if logarithmic:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
    axes.legend(fontsize=8)
    _save(figure, path)


def matrix(values, rows, columns, path, title):
    """Numbers around 0 as a coloured table."""
    figure, axes = pyplot.subplots(figsize=(1.8 + 0.62 * len(columns), 1.2 + 0.42 * len(rows)), layout="constrained")
    axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        axes.text(
            column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color="white" if abs(value) > 0.7 else "black"
        )
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_title(title, fontsize=10)
    _save(figure, path)


def bars(values, path, title, x_label):
    """One bar for each name: {name: number}."""
    figure, axes = pyplot.subplots(figsize=(6.4, 0.8 + 0.42 * len(values)), layout="constrained")
    drawn = axes.barh(list(values), list(values.values()))
    axes.bar_label(drawn, fmt="{:.3f}", padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel(x_label)
    axes.set_title(title, fontsize=10)
    _save(figure, path)


def squares(panels, path, title):
    """Square grids of pictures side by side: {name: (n, H, W, C)}."""
    figure, axes = pyplot.subplots(1, len(panels), figsize=(5.2 * len(panels), 5.4), layout="constrained", squeeze=False)
    for axis, (name, images) in zip(axes[0], panels.items(), strict=True):
        picture = grid(to_uint8(images), int(np.ceil(np.sqrt(len(images)))), gap=0)
        axis.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255)
        axis.set_title(name, fontsize=10)
        axis.set_axis_off()
    figure.suptitle(title, fontsize=10)
    _save(figure, path)


def rolls(melodies, path, title):
    """Melodies, {label: [(first step, steps, pitch), ...]}, as piano rolls below each other."""
    figure, axes = pyplot.subplots(len(melodies), figsize=(7, 0.95 * len(melodies) + 0.6), layout="constrained", squeeze=False)
    for axis, (label, notes) in zip(axes[:, 0], melodies.items(), strict=True):
        for first, steps, pitch in notes:
            axis.barh(pitch, steps - 0.15, left=first, height=1, color=matplotlib.colormaps["viridis"]((pitch - 55) / 30))
        axis.set_xlim(0, 32)
        axis.set_ylim(54, 85)
        axis.set_xticks(range(0, 33, 4), [])
        axis.set_yticks([60, 72], ["C4", "C5"], fontsize=7)
        axis.grid(alpha=0.3)
        axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
    figure.suptitle(title, fontsize=10)
    _save(figure, path)
