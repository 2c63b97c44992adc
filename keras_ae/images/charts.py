"""Charts as PNG files, drawn with matplotlib: curves of training, and KL of each dimension."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from keras_ae.files import written_whole

# tags of TensorBoard's logs and what they are called
CURVES = {
    "epoch_loss": "loss (nats)",
    "epoch_neg_elbo": "negative ELBO (nats)",
    "epoch_reconstruction": "reconstruction (nats)",
    "epoch_kl": "KL (nats)",
    "epoch_mse": "mean squared error",
    "epoch_psnr": "PSNR (dB)",
    "epoch_adversarial": "adversarial loss (nats)",
    "epoch_critic": "loss of the critic (nats)",
    "epoch_discriminator": "loss of the discriminator (nats)",
    "epoch_learning_rate": "learning rate",
}


def save(figure, path):
    """Write a matplotlib figure as PNG; the same figure gives the same bytes. A dollar sign in its texts starts no formula."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with written_whole(path) as partial:
        figure.savefig(partial, format="png", dpi=120, bbox_inches="tight", metadata={"Software": "keras_ae"})


def logged_scalars(folder):
    """Scalars of TensorBoard's logs below `folder`: {tag: {side: (steps, values)}}, one value per step, the last written."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    scalars = {}
    for side in ("train", "validation"):
        if not (folder / side).is_dir():
            continue
        events = EventAccumulator(str(folder / side), size_guidance={"tensors": 0}).Reload()
        for tag in events.Tags()["tensors"]:
            values = {event.step: tensor_util.make_ndarray(event.tensor_proto) for event in events.Tensors(tag)}
            if all(np.ndim(value) == 0 and value.dtype.kind == "f" for value in values.values()):
                steps = sorted(values)
                scalars.setdefault(tag, {})[side] = (steps, [float(values[step]) for step in steps])
    return scalars


def shown_curves(scalars):
    """Those tags of `CURVES` that get a panel.

    A quantity that is always 0 is left out, such as the KL of a plain autoencoder, and then the negative ELBO and the loss,
    which equal the reconstruction. With a refinement stage the loss is left out: that of its second stage is another sum.
    """

    def is_zero(tag):
        return not any(np.any(values) for _, values in scalars.get(tag, {}).values())

    left_out = {tag for tag in CURVES if is_zero(tag)}
    if "epoch_kl" in left_out:
        left_out.add("epoch_neg_elbo")
        if is_zero("epoch_adversarial"):
            left_out.add("epoch_loss")
    if "epoch_critic" not in left_out:
        left_out.add("epoch_loss")
    return [tag for tag in CURVES if tag not in left_out]


def curves(folder, path):
    """Training and held-out curves of each logged quantity by epoch, from TensorBoard's logs in `folder`."""
    scalars = logged_scalars(folder)
    shown = shown_curves(scalars)
    columns = max(1, -(-len(shown) // 2))
    figure = Figure(figsize=(4 * columns, 6.4), layout="constrained")
    panels = list(figure.subplots(2, columns, squeeze=False).flat)
    for axes, tag in zip(panels, shown, strict=False):
        for side, label, style in (("train", "training", "-"), ("validation", "held out", "--")):
            if side in scalars[tag]:
                steps, values = scalars[tag][side]
                axes.plot(steps, values, style, label=label, marker="." if len(steps) < 3 else None)
        axes.set_title(CURVES[tag], fontsize=10)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
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
