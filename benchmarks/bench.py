"""Speed and memory of keras_ae beside PyTorch, onnxruntime and a plain Keras loop, on one machine in one run: make bench.

The plain loop and the PyTorch twin train the same networks (`twins`). All train alternately, and medians are compared.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

EPOCHS, STEPS, ROUNDS = 4, 25, 3
PICTURES = 1000
# of an export: what computes, the file of its decoder
RUNTIMES = {"tensorflow": "decoder", "onnx": "onnx/decoder.onnx"}


def parser():
    parser = argparse.ArgumentParser(prog="python benchmarks/bench.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--experiment", default="experiments/vae.toml", metavar="FILE.toml", help="experiment to measure")
    parser.add_argument("--data", metavar="DIR", help="folder of picture files (default: the data set of the experiment)")
    parser.add_argument("--model", default="exported/cats", metavar="DIR", help="export that generates")
    return parser


def timed(function):
    """Seconds that one call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def wall_time(*arguments):
    """Seconds of a fresh Python process: the median of five after a first one."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, *arguments]

    def run():
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    run()
    return statistics.median(timed(run) for _ in range(5))


def machine():
    """One line: processor, cores, versions."""
    packages = ", ".join(f"{package} {version(package)}" for package in ("tensorflow", "keras", "numpy"))
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}"


def decoding_speeds(decode, latent_dim):
    """Decoded images a second in batches of 1, 16 and 64: medians of sixty calls."""
    for batch in (1, 16, 64):
        z = np.random.default_rng(0).normal(size=(batch, latent_dim)).astype("float32")
        decode(z)
        yield batch / statistics.median(timed(lambda z=z: decode(z)) for _ in range(60))


def runtime_table(folder):
    """In Markdown: MB of the decoder, seconds of `generate --n 16`, images a second, difference of 1,000 pictures (of 255)."""
    from keras_ae.exports.load import Exported

    lines = ["| | decoder, MB | generate --n 16, s | images/s one by one | by 16 | by 64 | difference |", "|---" * 7 + "|"]
    expected = None
    # one after the other: the threads of onnxruntime wait busily for its next call
    for runtime, file in RUNTIMES.items():
        path = Path(folder) / file
        if not path.exists():
            continue
        size = sum(part.stat().st_size for part in (path, *path.rglob("*")) if part.is_file()) / 1e6
        with tempfile.TemporaryDirectory() as place:
            words = ["-m", "keras_ae.generate", "--model", str(folder), "--runtime", runtime, "--out", f"{place}/a.png"]
            start = wall_time(*words)
        model = Exported(folder, runtime=runtime)
        pictures = model.generate(PICTURES)[0].astype(int)
        expected = pictures if expected is None else expected
        speeds = " | ".join(f"{speed:.0f}" for speed in decoding_speeds(model.decode, model.latent_dim))
        lines.append(f"| {runtime} | {size:.1f} | {start:.2f} | {speeds} | {np.abs(pictures - expected).max()} |")
    return "\n".join(lines)


def training_speed(measured, image_set):
    """Images per second of our training, of the plain loop and of the twin, alternately: medians, by name.

    The twin exists for networks of the name plain.
    """
    import keras
    import tensorflow as tf
    import twins

    from keras_ae.data import pipeline

    batch = measured.training.batch
    stream = pipeline.training(image_set, batch, 0, variation=measured.data.variation)
    in_memory = tf.data.Dataset.from_tensors(next(iter(stream))).repeat()
    ours, _ = measured.model(image_set.shape, 100)
    networks = measured.networks(image_set.shape, precision=measured.precision)
    optimizer = type(ours.optimizer).from_config(ours.optimizer.get_config())
    plain = twins.plain_model(*networks, measured.likelihood(), optimizer)

    class Stopwatch(keras.callbacks.Callback):
        """Appends the seconds of each epoch to a list. The first one, which opens the stream and traces, is not counted."""

        def __init__(self, seconds):
            super().__init__()
            self.seconds = seconds

        def on_epoch_begin(self, epoch, logs=None):
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            if epoch:
                self.seconds.append(time.perf_counter() - self.began)

    seconds = {"keras_ae": [], "plain Keras loop": []}
    twin = None
    if {measured.tables[table]["name"] for table in ("encoder", "decoder")} == {"plain"}:
        seconds["PyTorch twin"], twin = [], twins.speed(measured, image_set.shape, STEPS)
    for _ in range(ROUNDS):
        for name, model, source in (("keras_ae", ours, stream), ("plain Keras loop", plain, in_memory)):
            callbacks = [keras.callbacks.TerminateOnNaN(), Stopwatch(seconds[name])]
            model.fit(source, steps_per_epoch=STEPS, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=callbacks)
        if twin:
            seconds["PyTorch twin"] += [twin() for _ in range(EPOCHS - 1)]
    return {name: STEPS * batch / statistics.median(found) for name, found in seconds.items()}


def refining_speed(measured, image_set):
    """Images per second of the second stage and of its twin, alternately: medians, by name."""
    import tensorflow as tf
    import twins

    from keras_ae.data import pipeline
    from keras_ae.priors import mixture

    batch = measured.second_stage.batch
    images = next(iter(pipeline.training(image_set, batch, 0)))
    networks = measured.networks(image_set.shape, precision=measured.precision)
    model = measured.refined(*networks, mixture.Normal(measured.latent_dim), 100)
    in_memory = tf.data.Dataset.from_tensors(images).repeat()

    def train():
        model.fit(in_memory, steps_per_epoch=STEPS, shuffle=False, verbose=0)

    # the first one traces
    train()
    runs = {"keras_ae": lambda: timed(train), "PyTorch twin": twins.speed(measured, image_set.shape, STEPS, refining=True)}
    seconds = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            seconds[name].append(run())
    return {name: STEPS * batch / statistics.median(found) for name, found in seconds.items()}


def pipeline_speed(measured, image_set):
    """Images per second of the input pipeline alone."""
    from keras_ae.data import pipeline

    batch = measured.training.batch
    stream = iter(pipeline.training(image_set, batch, 0, variation=measured.data.variation))
    for _ in range(20):
        next(stream)
    return 200 * batch / timed(lambda: [next(stream) for _ in range(200)])


def bench(arguments):
    from keras_ae.data import pipeline
    from keras_ae.training import experiment

    print(f"machine           {machine()}")
    print(f"import tensorflow {wall_time('-c', 'import tensorflow'):.2f} s")
    print(runtime_table(arguments.model))
    measured = experiment.read(arguments.experiment)
    if arguments.data:
        name, directory = pipeline.resolve(measured.data.name, arguments.data)
        measured = measured.with_tables(data={"name": name, "directory": directory})
    source = measured.data
    image_set = pipeline.load(source.name, source.directory, source.size, source.channels, source.white, source.fit)
    speeds = training_speed(measured, image_set)
    first = speeds.pop("keras_ae")
    beside = "; ".join(f"{name} {speed:.0f}: {first / speed:.2f} times" for name, speed in speeds.items())
    print(f"training          {first:.0f} images/s ({measured.name}, {measured.precision}); {beside}")
    if measured.second_stage.epochs and "PyTorch twin" in speeds:
        ours, twin = refining_speed(measured, image_set).values()
        print(f"second stage      {ours:.0f} images/s; PyTorch twin {twin:.0f}: {ours / twin:.2f} times")
    delivered = pipeline_speed(measured, image_set)
    print(f"input pipeline    {delivered:.0f} images/s: {first / delivered:.1%} of a training step")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory       {peak:.0f} MiB of this process, with two models and their optimizers")


if __name__ == "__main__":
    bench(parser().parse_args())
