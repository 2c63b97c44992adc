"""Measure a GPU in one command of ten minutes: make bench-gpu. Without a GPU, the rows are those of the processor.

Each row is a process of its own, which trains one stage of an experiment in epochs of a few steps. Images a second are the
median of the epochs after the first one, which compiles; the loss is that of the second one, and must be that of the processor
within one percent; memory is the peak of all GPUs, or of the process without one. The input pipeline and decoding follow.
"""

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import time

import bench

STEPS, EPOCHS = 50, 4
LARGE = 512
# what a row changes: (name, options of `train`); "processor" hides all GPUs
ROWS = [
    ("XLA, bfloat16", {}),
    ("processor", {"hidden": True, "xla": False, "epochs": 2}),
    ("PyTorch twin", {"twin": True}),
    ("without XLA", {"xla": False}),
    ("XLA, float32", {"precision": "float32"}),
    (f"XLA, bfloat16, batches of {LARGE}", {"batch": LARGE}),
    ("all devices", {"devices": "all", "xla": False}),
]
CHILD = "--child"


def parser():
    parser = argparse.ArgumentParser(prog="python benchmarks/gpu.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--experiment", default="experiments/vae.toml", metavar="FILE.toml", help="experiment with two stages")
    parser.add_argument("--data", metavar="DIR", help="folder of picture files (default: the data set of the experiment)")
    parser.add_argument("--model", default="exported/cats", metavar="DIR", help="export that decodes")
    parser.add_argument("--minutes", type=float, default=10.0, help="no row begins later")
    parser.add_argument("--steps", type=int, default=STEPS, help="of an epoch")
    parser.add_argument(
        "--logical", type=int, default=1, metavar="N", help="try the rows on N logical devices of the processor"
    )
    parser.add_argument(CHILD, help=argparse.SUPPRESS)
    return parser


def open_devices(logical):
    """TensorFlow with so many logical devices of the processor where there is no GPU, and with GPUs whose memory grows."""
    from keras_ae import commandline

    tf = commandline.import_tensorflow()
    if logical > 1 and not tf.config.list_physical_devices("GPU"):
        (processor,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * logical)
    return tf


def describe(arguments):
    """The GPUs and libraries of this machine, and how many devices a strategy finds; the images are prepared for the rows."""
    tf = open_devices(arguments.logical)
    read(arguments)
    gpus = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    names = [f"{one.get('device_name', 'GPU')}, compute capability {one.get('compute_capability')}" for one in gpus]
    built = {key: value for key, value in tf.sysconfig.get_build_info().items() if key in ("cuda_version", "cudnn_version")}
    kind = "GPU" if gpus else "CPU"
    lines = [bench.machine(), *(names or ["no GPU"]), *(f"{key} {value}" for key, value in built.items())]
    return {"lines": lines, "devices": len(tf.config.list_logical_devices(kind))}


def read(arguments, precision="mixed_bfloat16", batch=None, devices="one"):
    """The experiment of a row, and its images."""
    from keras_ae.data import pipeline
    from keras_ae.training import experiment

    measured = experiment.read(arguments.experiment)
    changed = {"batch": batch} if batch else {}
    measured = measured.with_tables(training={"precision": precision, "devices": devices, **changed}, refinement=changed)
    if arguments.data:
        name, directory = pipeline.resolve(measured.data.name, arguments.data)
        measured = measured.with_tables(data={"name": name, "directory": directory})
    source = measured.data
    return measured, pipeline.load(source.name, source.directory, source.size, source.channels, source.white, source.fit)


def train(arguments, stage, xla=True, epochs=EPOCHS, twin=False, **changes):
    """Train a stage from its first weights: images a second, MiB, and the loss, which compares with the same batches alone."""
    tf = open_devices(arguments.logical)

    import keras

    from keras_ae.priors import mixture
    from keras_ae.training import devices

    measured, image_set = read(arguments, **changes)
    batch, steps = (measured.training if stage == 1 else measured.second_stage).batch, arguments.steps
    if twin:
        import torch
        import twins

        run = twins.speed(measured, image_set.shape, steps, refining=stage == 2)
        seconds, losses = [run() for _ in range(epochs - 1)], [None, None]
        memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    else:
        strategy = devices.open_strategy(measured.training.devices)
        with strategy.scope():
            model, _ = measured.model(image_set.shape, 100)
            if stage == 2:
                prior = mixture.Normal(measured.latent_dim)
                model = measured.refined(model.encoder, model.decoder, prior, 100)
        model.jit_compile, variation = xla, measured.data.variation
        stream, *_ = devices.datasets(strategy, image_set, measured, batch, 0, variation if stage == 1 else variation.sharp)
        seconds, losses = [], []

        class Stopwatch(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                self.began = time.perf_counter()

            def on_epoch_end(self, epoch, logs=None):
                losses.append(float(logs["loss"]))
                seconds.append(time.perf_counter() - self.began)

        model.fit(stream, steps_per_epoch=steps, epochs=epochs, shuffle=False, verbose=0, callbacks=[Stopwatch()])
        seconds = seconds[1:]
        gpus = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices("GPU")]
        memory = sum(tf.config.experimental.get_memory_info(gpu)["peak"] for gpu in gpus)
    memory = memory or 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loss = None if "batch" in changes else losses[1]
    return {"speed": steps * batch / statistics.median(seconds), "memory": memory / 2**20, "loss": loss}


def pipeline_speed(arguments):
    """Images a second that the input pipeline delivers to the first stage."""
    open_devices(1)
    return {"speeds": [bench.pipeline_speed(*read(arguments))]}


def decode(arguments, runtime):
    """Images a second of an export's decoder in batches of 1, 16 and 64."""
    open_devices(1)
    from keras_ae.exports.load import Exported

    model = Exported(arguments.model, runtime=runtime)
    return {"speeds": list(bench.decoding_speeds(model.decode, model.latent_dim))}


def measure(arguments, function, hidden=False, **options):
    """What a function of this module returns in a process of its own, or {"error": a line}. hidden: all GPUs are."""
    words = [sys.executable, __file__, *sys.argv[1:], CHILD, json.dumps([function, options])]
    environment = os.environ | ({"CUDA_VISIBLE_DEVICES": "-1"} if hidden else {})
    try:
        ended = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=60 * arguments.minutes)
    except subprocess.TimeoutExpired:
        return {"error": f"more than {arguments.minutes:g} minutes"}
    if ended.returncode:
        return {"error": [f"status {ended.returncode}", *ended.stderr.strip().splitlines()][-1][:200]}
    return json.loads(ended.stdout.splitlines()[-1])


def training_row(name, stage, found):
    """A line of the table of training."""
    if "error" in found:
        return f"| {name} | {stage} | {found['error']} | | |"
    loss = "" if found["loss"] is None else f"{found['loss']:.1f}"
    return f"| {name} | {stage} | {found['speed']:,.0f} | {found['memory']:,.0f} | {loss} |"


def speeds_of(found):
    """Speeds as text."""
    return found.get("error") or ", ".join(f"{speed:,.0f}" for speed in found["speeds"])


def report(arguments):
    """Measure and print everything, as long as there is time."""
    began, left = time.perf_counter(), []
    found = measure(arguments, "describe")
    if "error" in found:
        sys.exit(found["error"])
    print(*found["lines"], "", "| | stage | images/s | MiB | loss |", "|---" * 5 + "|", sep="\n", flush=True)
    rows = [row for row in ROWS if found["devices"] > 1 or row[1].get("devices") != "all"]
    for (name, options), stage in itertools.product(rows, (1, 2)):
        if time.perf_counter() - began < 60 * arguments.minutes:
            print(training_row(name, stage, measure(arguments, "train", stage=stage, **options)), flush=True)
        else:
            left.append(f"{name}, stage {stage}")
    print("", f"input pipeline    {speeds_of(measure(arguments, 'pipeline_speed'))} images/s", sep="\n", flush=True)
    for runtime in bench.RUNTIMES:
        speeds = speeds_of(measure(arguments, "decode", runtime=runtime))
        print(f"decoding          {speeds} images/s by 1, 16 and 64 ({runtime})", flush=True)
    if left:
        print(f"no time was left for {'; '.join(left)} (--minutes)")


if __name__ == "__main__":
    given = parser().parse_args()
    if given.child:
        function, options = json.loads(given.child)
        print(json.dumps(globals()[function](given, **options)))
    else:
        report(given)
