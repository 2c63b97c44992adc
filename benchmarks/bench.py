"""Speed and memory of keras_ae beside a plain Keras loop and a PyTorch twin, on one machine in one run: make bench.

The plain loop is a Keras model with the same networks and the shortest `train_step` that trains a VAE; the twin is the same
model in PyTorch (`with_pytorch`). Both are fed from memory. All train alternately, and medians are compared.
"""

import os
import platform
import resource
import statistics
import time
from pathlib import Path

from timing import timed, wall_time

from keras_ae import commandline

EPOCHS = 4
STEPS = 25
ROUNDS = 3


def parser():
    parser = commandline.Parser("bench", "Measure keras_ae beside a plain Keras loop and a PyTorch twin of the same networks.")
    parser.prog = "python benchmarks/bench.py"
    parser.add_argument("--experiment", default="experiments/vae.toml", metavar="FILE.toml", help="experiment to measure")
    parser.add_argument("--data", metavar="DIR", help="folder of picture files (default: the data set of the experiment)")
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


def training_speed(experiment, image_set):
    """Images per second of our training, of the plain loop and of the twin, alternately: medians, by name.

    The twin exists for networks of the name normalizer_free.
    """
    import keras
    import tensorflow as tf
    import with_keras
    import with_pytorch

    from keras_ae.data import pipeline
    from keras_ae.training import callbacks

    batch = experiment.training.batch
    stream = pipeline.training(image_set, batch, 0, variation=experiment.data.variation)
    in_memory = tf.data.Dataset.from_tensors(next(iter(stream))).repeat()
    ours, _ = experiment.model(image_set.shape, 100)
    networks = experiment.networks(image_set.shape, precision=experiment.precision)
    optimizer = type(ours.optimizer).from_config(ours.optimizer.get_config())
    plain = with_keras.plain_model(*networks, experiment.likelihood(), optimizer)

    class Clock(keras.callbacks.Callback):
        """Seconds of each epoch. The first one, which opens the stream and traces, is not counted."""

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

    seconds = {"keras_ae": [], "plain Keras loop": []}
    twin = None
    if {experiment.tables[table]["name"] for table in ("encoder", "decoder")} == {"plain"}:
        seconds["PyTorch twin"], twin = [], with_pytorch.speed(experiment, image_set.shape, STEPS)
    for _ in range(ROUNDS):
        for name, model, source in (("keras_ae", ours, stream), ("plain Keras loop", plain, in_memory)):
            clock = Clock()
            watching = [callbacks.StopOnNaN(), Silent([(0, EPOCHS, STEPS)])] if model is ours else []
            model.fit(source, steps_per_epoch=STEPS, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[*watching, clock])
            seconds[name] += clock.seconds[1:]
        if twin:
            seconds["PyTorch twin"] += [twin() for _ in range(EPOCHS - 1)]
    return {name: STEPS * batch / statistics.median(measured) for name, measured in seconds.items()}


def pipeline_speed(experiment, image_set):
    """Images per second of the input pipeline alone."""
    from keras_ae.data import pipeline

    batch = experiment.training.batch
    stream = iter(pipeline.training(image_set, batch, 0, variation=experiment.data.variation))
    for _ in range(20):
        next(stream)
    return 200 * batch / timed(lambda: [next(stream) for _ in range(200)])


def bench(arguments):
    import runtimes

    from keras_ae.data import pipeline
    from keras_ae.training import experiment

    print(f"machine           {machine()}")
    plain = wall_time("-c", "import tensorflow")
    print(f"import tensorflow {plain:.2f} s")
    print(runtimes.table(arguments.model))
    measured = experiment.read(arguments.experiment)
    if arguments.data:
        measured = measured.with_data(*pipeline.resolve(measured.data.name, arguments.data))
    source = measured.data
    image_set = pipeline.load(source.name, source.directory, source.size, source.channels)
    speeds = training_speed(measured, image_set)
    ours = speeds.pop("keras_ae")
    beside = "; ".join(f"{name} {speed:.0f}: {ours / speed:.2f} times" for name, speed in speeds.items())
    label = f"{measured.name}, {measured.precision}, batch {measured.training.batch}"
    print(f"training          {ours:.0f} images/s ({label}); {beside}")
    delivered = pipeline_speed(measured, image_set)
    print(f"input pipeline    {delivered:.0f} images/s: {ours / delivered:.1%} of a training step")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory       {peak:.0f} MiB of this process, with two models and their optimizers")


if __name__ == "__main__":
    commandline.run(parser(), bench)
