"""Loss curves of one device, two devices and two workers with the same batches. python benchmarks/devices.py

Each runs in processes of its own: two devices are halves of this machine's processor, two workers are two processes. Draws the
loss of each step of both stages, and how far it is from that of one device, and writes the numbers to a JSON file.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from keras_ae import commandline

# what `--devices` says on each line: its value, how many processes
KINDS = {"one device": ("one", 1), "two devices": ("all", 1), "two workers": ("workers", 2)}
LIMITS = {"first": 1e-4, "second": 1e-3}


def parser():
    parser = commandline.Parser("devices", "Draw the loss of the same training on one device, two devices and two workers.")
    parser.prog = "python benchmarks/devices.py"
    parser.add_argument("--experiment", default="experiments/vae.toml", metavar="FILE.toml", help="experiment to train")
    parser.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE", dest="overrides", help="as for train")
    parser.add_argument("--steps", type=commandline.whole_number(1, 100_000), default=50, help="steps of each stage")
    parser.add_argument("--out", default="devices.png", metavar="PATH", help="picture to write")
    parser.add_argument("--results", default="devices.json", metavar="PATH", help="file for the numbers")
    parser.add_argument(
        "--curves", metavar="PATH", help="train on the devices of --set training.devices, and write losses here"
    )
    return parser


def recorder(steps):
    """A callback that keeps the loss of each step, and ends training after so many."""
    import keras

    class Recorder(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.losses = []

        def on_train_batch_begin(self, batch, logs=None):
            # else it would be the mean since the epoch began
            self.model.reset_metrics()

        def on_train_batch_end(self, batch, logs=None):
            self.losses.append(float(logs["loss"]))
            self.model.stop_training = len(self.losses) == steps

    return Recorder()


def curves(chosen, steps):
    """The losses of each step of both stages, in float32, {"first": [...], "second": [...]}; {} but for the chief."""
    from keras_ae.data import pipeline
    from keras_ae.training import devices, loop, runs

    used = devices.opened(chosen.training.devices)
    source, losses = chosen.data, {}
    with used.explained(), used.quiet(), tempfile.TemporaryDirectory() as folder:
        image_set = pipeline.load(source.name, source.directory, source.size, source.channels)
        loop.check_size(chosen, image_set, used)
        run = runs.Run(folder)
        run.write_json("config", runs.config_of(chosen, image_set))
        stage = loop.first_stage(chosen, image_set, run.position(), used)
        for name in LIMITS if chosen.second_stage.epochs else ("first",):
            recorded = recorder(steps)
            if name == "second":
                stage = loop.second_stage(run, chosen, image_set, run.position(), used)
            loop.fit_stage(run, chosen, image_set, stage, [recorded], used)
            losses[name] = recorded.losses
        used.wait()
    return losses if used.chief else {}


def measured(arguments, kind, folder):
    """The curves of one line of the picture, from new processes."""
    name, processes = KINDS[kind]
    path = folder / f"{name}.json"
    words = [sys.executable, __file__, "--experiment", arguments.experiment, "--steps", str(arguments.steps)]
    for override in (*arguments.overrides, "training.precision=float32", f"training.devices={name}"):
        words += ["--set", override]
    words += ["--curves", str(path)]
    if processes == 1:
        subprocess.run(words, check=True)
    else:
        from keras_ae.training import local_workers

        with local_workers.started(processes, words):
            # the first worker is a new process, too: this one has a runtime of its own
            subprocess.run(words, check=True)
    return json.loads(path.read_text())


def differences(found):
    """The largest relative difference of a loss from that on one device: {kind: {stage: number}}."""
    alone = found["one device"]
    return {
        kind: {stage: max(abs(b - a) / abs(a) for a, b in zip(alone[stage], losses[stage], strict=True)) for stage in losses}
        for kind, losses in found.items()
        if kind != "one device"
    }


def draw(found, path):
    """Losses above, relative differences from one device below, a column for each stage."""
    from matplotlib.figure import Figure

    from keras_ae.images import charts

    stages = list(found["one device"])
    figure = Figure(figsize=(4.8 * len(stages), 5.6), layout="constrained")
    axes = figure.subplots(2, len(stages), sharex=True, squeeze=False)
    styles = {"one device": ("-", 4.0, "0.75"), "two devices": ("-", 1.6, "tab:blue"), "two workers": (":", 1.6, "tab:red")}
    for column, stage in enumerate(stages):
        above, below = axes[:, column]
        alone = found["one device"][stage]
        steps = range(1, len(alone) + 1)
        for kind, (style, width, colour) in styles.items():
            losses = found[kind][stage]
            above.plot(steps, losses, style, linewidth=width, color=colour, label=kind)
            if kind != "one device":
                apart = [abs(b - a) / abs(a) for a, b in zip(alone, losses, strict=True)]
                below.semilogy(steps, [max(number, 1e-9) for number in apart], style, color=colour, label=kind)
        # charts.save leaves formulas as text
        below.yaxis.set_major_formatter(lambda number, _: f"{number:.0e}")
        below.axhline(LIMITS[stage], color="0.4", linewidth=0.8, linestyle="--", label="limit")
        above.set_title(f"{stage} stage", fontsize=10)
        above.set_ylabel("loss of the step (nats)")
        below.set_ylabel("difference from one device, relative")
        below.set_xlabel("step")
        for one in (above, below):
            one.grid(alpha=0.3)
            one.legend(fontsize=8)
    charts.save(figure, path)


def compare(arguments):
    from importlib.metadata import version

    from keras_ae.files import written_whole
    from keras_ae.training import experiment

    if arguments.curves:
        # before TensorFlow computes anything
        chosen = experiment.read(arguments.experiment, arguments.overrides)
        if chosen.training.devices == "all":
            import tensorflow as tf

            (processor,) = tf.config.list_physical_devices("CPU")
            tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
        if losses := curves(chosen, arguments.steps):
            Path(arguments.curves).write_text(json.dumps(losses))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = {kind: measured(arguments, kind, Path(folder)) for kind in KINDS}
    draw(found, Path(arguments.out))
    numbers = {
        "experiment": arguments.experiment,
        "overrides": arguments.overrides,
        "steps": arguments.steps,
        "cores": os.cpu_count(),
        "versions": {package: version(package) for package in ("tensorflow", "keras")},
        "differences": differences(found),
        "limits": LIMITS,
        "losses": found,
    }
    with written_whole(arguments.results) as partial:
        partial.write_text(json.dumps(numbers, indent=1) + "\n")
    for kind, stages in numbers["differences"].items():
        print(f"{kind}: " + ", ".join(f"{stage} stage {difference:.1e}" for stage, difference in stages.items()))


def main(argv=None):
    commandline.run(parser(), compare, argv)


if __name__ == "__main__":
    main()
