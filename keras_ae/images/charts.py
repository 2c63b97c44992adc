"""Charts as PNG files, drawn with matplotlib: curves of training, and KL of each dimension."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from keras_ae.files import write_file

# logged quantities and what they are called
CURVES = {
    "loss": "loss (nats)",
    "neg_elbo": "negative ELBO (nats)",
    "reconstruction": "reconstruction (nats)",
    "kl": "KL (nats)",
    "mse": "mean squared error",
    "psnr": "PSNR (dB)",
    "adversarial": "adversarial loss (nats)",
    "critic": "loss of the critic (nats)",
    "discriminator": "loss of the discriminator (nats)",
    "learning_rate": "learning rate",
}


def save(figure, path):
    """Write a matplotlib figure as PNG; the same figure gives the same bytes. A dollar sign in its texts starts no formula."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with write_file(path) as partial:
        figure.savefig(partial, format="png", dpi=120, bbox_inches="tight", metadata={"Software": "keras_ae"})


def shown_curves(rows):
    """Those keys of `CURVES` that get a panel: not what is always 0, nor the loss where a second stage has another one."""
    left_out = {key for key in CURVES if not any(row.get(key) for row in rows)}
    # without KL both equal the reconstruction
    if "kl" in left_out:
        left_out.add("neg_elbo")
    if {"kl", "adversarial"} <= left_out or "critic" not in left_out:
        left_out.add("loss")
    return [key for key in CURVES if key not in left_out]


def curves(rows, path):
    """Training and held-out curves of each logged quantity by epoch. rows: of `training.run.Run.history`."""
    shown = shown_curves(rows)
    columns = max(1, -(-len(shown) // 2))
    figure = Figure(figsize=(4 * columns, 6.4), layout="constrained")
    for place, key in enumerate(shown, 1):
        axes = figure.add_subplot(2, columns, place, title=CURVES[key], xlabel="epoch")
        for name, label, style in ((key, "training", "-"), (f"val_{key}", "held out", "--")):
            known = [(row["epoch"], row[name]) for row in rows if name in row]
            if known:
                axes.plot(*zip(*known, strict=True), style, label=label, marker="." if len(known) < 3 else None)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    save(figure, path)


def new_axes(title, x_label, y_label):
    """A matplotlib figure with one panel: (figure, axes)."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=10, wrap=True)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(alpha=0.3)
    return figure, axes


def kl_per_dimension(kls, path):
    """KL of each latent dimension in nats, largest first, one line for each model: {name: (latent_dim,)}."""
    figure, axes = new_axes("KL of each latent dimension", "dimension, sorted", "KL (nats)")
    for name, kl in kls.items():
        axes.plot(np.arange(1, len(kl) + 1), np.sort(kl)[::-1], label=name, marker="." if len(kl) < 3 else None)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=8)
    save(figure, path)
