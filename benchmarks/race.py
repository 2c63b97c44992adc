"""Seconds of training until held-out images are rebuilt as well as by PCA with as many numbers: a part of make bench-peers.

The contestants train on the same images with their own optimizers and schedules, and the held-out PSNR of reconstructions from
mean codes is measured after each epoch.
"""

import clock
import with_keras
import with_pythae
import with_pytorch


def ours(image_set, seed, limits):
    """The first stage of vae.toml, as `python -m keras_ae.train` trains it."""
    vae, stream, steps = clock.first_stage(image_set, seed)
    model, _ = vae.model(image_set.shape, steps)
    clock.fit(model, stream, steps, lambda images: model({"images": images}).numpy(), limits)


CONTESTANTS = {
    "keras_ae vae": ours,
    "PyTorch twin of it": with_pytorch.train,
    "pythae VAE": lambda *arguments: with_pythae.train("VAE", *arguments),
    "plain Keras VAE": with_keras.train,
}


def run(image_set, held_out, target, minutes, seed):
    """The table of all contestants in Markdown, each of which trains for at most so many minutes."""
    rows = ["| trained by | seconds until the PSNR of PCA | best PSNR dB |", "|---|---|---|"]
    for name, contestant in CONTESTANTS.items():
        limits = clock.Clock(60 * minutes, held_out, target)
        contestant(image_set, seed, limits)
        reached = f"{limits.seconds:.0f}" if limits.psnr >= target else f"not in {limits.seconds:.0f}"
        rows.append(f"| {name} | {reached} | {limits.psnr:.2f} |")
    return "\n".join([*rows, "", f"{target:.2f} dB: PCA with as many numbers, on the same {len(held_out)} held-out images."])
