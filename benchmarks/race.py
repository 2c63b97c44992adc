"""Seconds of training until held-out images are rebuilt as well as by PCA with as many numbers: a part of make bench-peers.

The contestants train on the same images with their own optimizers and schedules, and the held-out PSNR of reconstructions from
mean codes is measured after each epoch.
"""

import clock
import with_keras
import with_pythae
import with_pytorch

from keras_ae.data import pipeline
from keras_ae.training import experiment


def _vae(image_set, seed):
    """The experiment vae.toml, the stream of its first stage and the number of steps of an epoch."""
    vae = experiment.read("experiments/vae.toml", [f"training.seed={seed}"])
    batch, data = vae.training.batch, vae.data
    stream = pipeline.training(image_set, batch, seed, flip=data.flip, shift=data.shift)
    return vae, stream, image_set.n_train // batch


def ours(image_set, seed, limits):
    """The first stage of vae.toml, as `python -m keras_ae.train` trains it."""
    vae, stream, steps = _vae(image_set, seed)
    model, _ = vae.model(image_set.shape, steps)
    clock.fit(model, stream, steps, lambda images: model({"images": images}).numpy(), limits)


def twin(image_set, seed, limits):
    """The same networks, optimizer, schedule and images in PyTorch."""
    vae, stream, steps = _vae(image_set, seed)
    model = with_pytorch.Twin(vae, image_set.shape, steps * vae.training.epochs)
    limits.start()
    for step, batch in enumerate(stream, 1):
        model.step(with_pytorch.to_torch(batch["images"]))
        if step % steps == 0 and limits.done(lambda images: model.decode(model.codes(images)["z"])):
            return


CONTESTANTS = {
    "keras_ae vae": ours,
    "PyTorch twin of it": twin,
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
