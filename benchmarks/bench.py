"""Speed and memory of keras_ae, each beside something plain on the same machine in the same run: make bench.

The plain loop is a Keras model with the same networks and the shortest `train_step` that trains a VAE, fed from memory. Both
train in turns, and medians are compared.
"""

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from keras_ae import commandline

EPOCHS = 4
STEPS = 25


def parser():
    parser = commandline.Parser("bench", "Measure keras_ae beside a plain Keras loop of the same network.")
    parser.prog = "python benchmarks/bench.py"
    parser.add_argument("--experiment", default="experiments/vae.toml", metavar="FILE.toml", help="experiment to measure")
    parser.add_argument("--data", metavar="DIR", help="folder of pictures (default: the experiment's data set)")
    parser.add_argument("--model", default=commandline.SHIPPED, metavar="DIR", help="export that generates")
    return parser


def machine():
    """One line: processor, cores, versions."""
    from importlib.metadata import version

    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        pass
    packages = ", ".join(f"{package} {version(package)}" for package in ("tensorflow", "keras", "numpy"))
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}"


def plain_model(asked, shape):
    """The same networks in the shortest custom Keras model."""
    import keras
    import tensorflow as tf

    encoder, decoder = asked.networks(shape, precision=asked.precision)
    likelihood = asked.likelihood()

    class Plain(keras.Model):
        def train_step(self, batch):
            with tf.GradientTape() as tape:
                codes = encoder(batch["image"], training=True)
                nats = likelihood(batch["image"], decoder(codes["z"], training=True))
                loss = tf.reduce_mean(nats + tf.reduce_sum(codes["kl"], axis=1))
            weights = encoder.trainable_variables + decoder.trainable_variables
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            return {"loss": loss}

    model = Plain()
    model.encoder, model.decoder = encoder, decoder
    ours, _ = asked.model(shape, 100)
    model.compile(optimizer=type(ours.optimizer).from_config(ours.optimizer.get_config()), jit_compile=False)
    return model


def timed(function):
    """Seconds that one call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def training_speed(asked, pictures):
    """Images per second of our training and of the plain loop, in turns: medians."""
    import keras
    import tensorflow as tf

    from keras_ae.data import pipeline as data
    from keras_ae.training import callbacks

    batch = asked.training.batch
    stream = data.training(pictures, batch, 0, flip=asked.data.flip, shift=asked.data.shift)
    in_memory = tf.data.Dataset.from_tensors(next(iter(stream))).repeat()
    ours, _ = asked.model(pictures.shape, 100)
    plain = plain_model(asked, pictures.shape)

    class Clock(keras.callbacks.Callback):
        """Seconds of each epoch; the first, which opens the stream and traces, does not count."""

        def __init__(self):
            super().__init__()
            self.seconds = []

        def on_epoch_begin(self, epoch, logs=None):
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.seconds.append(time.perf_counter() - self.began)

    class Silent(callbacks.Progress):
        def on_epoch_end(self, epoch, logs=None):
            pass

    clocks = {model: Clock() for model in (ours, plain)}
    for _ in range(2):
        for model, source in ((ours, stream), (plain, in_memory)):
            clock = Clock()
            watching = [callbacks.StopOnNaN(), Silent(EPOCHS, STEPS, 0)] if model is ours else []
            model.fit(source, steps_per_epoch=STEPS, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[*watching, clock])
            clocks[model].seconds += clock.seconds[1:]
    return tuple(STEPS * batch / statistics.median(clocks[model].seconds) for model in (ours, plain))


def pipeline_speed(asked, pictures):
    """Images per second that the input pipeline delivers to nobody."""
    from keras_ae.data import pipeline as data

    batch = asked.training.batch
    stream = iter(data.training(pictures, batch, 0, flip=asked.data.flip, shift=asked.data.shift))
    for _ in range(20):
        next(stream)
    return 200 * batch / timed(lambda: [next(stream) for _ in range(200)])


def decoding_speed(folder):
    """Images per second of the exported decoder at batch 64."""
    import numpy as np

    from keras_ae.exports.reading import Exported

    model = Exported(folder)
    z = np.random.default_rng(0).normal(size=(64, model.latent_dim)).astype("float32")
    model.decode(z)
    return 64 / statistics.median(timed(lambda: model.decode(z)) for _ in range(30))


def wall_time(*arguments):
    """Seconds of a fresh Python process: the median of five."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, *arguments]

    def run():
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    run()
    return statistics.median(timed(run) for _ in range(5))


def bench(arguments):
    from keras_ae.data import pipeline as data
    from keras_ae.training import experiment

    print(f"machine           {machine()}")
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "a.png")
        ours = wall_time("-m", "keras_ae.generate", "--n", "16", "--model", arguments.model, "--out", out)
        plain = wall_time("-c", "import tensorflow")
    print(f"generate --n 16   {ours:.2f} s, bare import tensorflow {plain:.2f} s: {ours / plain:.2f} times")
    asked = experiment.read(arguments.experiment)
    if arguments.data:
        asked = asked.with_data(*data.resolve(asked.data.name, arguments.data))
    source = asked.data
    pictures = data.load(source.name, source.directory, source.size, source.channels)
    ours, plain = training_speed(asked, pictures)
    label = f"{asked.name}, {asked.precision}, batch {asked.training.batch}"
    print(f"training          {ours:.0f} images/s ({label}), plain Keras loop {plain:.0f}: {ours / plain:.3f} times")
    delivered = pipeline_speed(asked, pictures)
    print(f"input pipeline    {delivered:.0f} images/s: {ours / delivered:.1%} of a training step")
    print(f"decoding          {decoding_speed(arguments.model):.0f} images/s, batch 64")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory       {peak:.0f} MiB of this process, two models and their optimizers included")


if __name__ == "__main__":
    commandline.run(parser(), bench)
