"""Run by test_devices.py in a process of its own, whose processor is two devices: python devices_process.py FOLDER TINY."""

import json
import sys
from pathlib import Path

from keras_ae import commandline

tf = commandline.import_tensorflow()
(processor,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)

from keras_ae import train  # noqa: E402  the devices first
from keras_ae.training import callbacks, results  # noqa: E402

OUT, FILE = Path(sys.argv[1]), sys.argv[2]
# the posteriors of a whole batch matter to each of its codes
INDEPENDENT = "objective.total_correlation=0.5"
ADVERSARIAL = [
    "condition.name=none",
    "objective.name=adversarial",
    "latent.name=point",
    "training.epochs=1",
    "refinement.epochs=0",
    "prior.components=[1]",
]


def trained(name, devices, *more, resume=False):
    settings = [word for setting in (f"training.devices={devices}", *more) for word in ("--set", setting)]
    train.main([FILE, *settings, "--out", str(OUT / name), *(["--resume"] if resume else [])])


def interrupted(name, after):
    """Train on all devices until Ctrl-C after so many epochs."""
    real = callbacks.Progress.on_epoch_end

    def stop(self, epoch, logs=None):
        real(self, epoch, logs)
        if epoch + 1 == after:
            raise KeyboardInterrupt

    callbacks.Progress.on_epoch_end = stop
    try:
        trained(name, "all", INDEPENDENT)
    except SystemExit as error:
        (OUT / "interrupted.json").write_text(json.dumps(error.code))
    callbacks.Progress.on_epoch_end = real


def failing(name, *more):
    """Train on all devices what ends in an error, and note its exit status."""
    try:
        trained(name, "all", *more)
    except SystemExit as error:
        (OUT / f"{name}.json").write_text(json.dumps(error.code))


interrupted("all", 1)
trained("all", "all", INDEPENDENT, resume=True)
# the other runs end without pictures
results.draw = lambda *_: None
trained("one", "one", INDEPENDENT)
trained("one_adversarial", "one", *ADVERSARIAL)
trained("all_adversarial", "all", *ADVERSARIAL)
short = ["training.epochs=4", "refinement.epochs=0", "latent.name=point"]
short += ["encoder.name=conv", "decoder.name=conv", "optimizer.name=adam"]
trained("stopped", "all", "training.patience=1", "schedule.learning_rate=1e-9", *short)
failing("diverged", "reconstruction.name=gaussian", "reconstruction.variance=1e-42", *short)
