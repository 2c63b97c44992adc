import json
import os
import socket
import subprocess
import sys

import pytest
import tensorflow as tf
from conftest import ROOT, sets

from keras_ae import train
from keras_ae.errors import UserError
from keras_ae.training import devices, experiment
from keras_ae.training.run import Run

SMALL = """
[data]
name = "digits"
[encoder]
widths = [4]
[decoder]
widths = [4]
[latent]
dim = 4
[training]
batch = 255
epochs = 1
precision = "float32"
[prior]
components = [1]
[refinement]
batch = 256
critic_widths = [4]
draws = 256
"""
# trains on as many logical devices of this processor as its first argument says, without pictures
PROGRAM = """
import sys
from keras_ae import commandline
tf = commandline.import_tensorflow()
count = int(sys.argv[1])
(processor,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * count)
from keras_ae import train
from keras_ae.training import results
results.draw = lambda *_: None
train.main(sys.argv[2:])
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("experiment") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="module")
def one(once, small, short):
    """The held-out loss of the first stage on one device."""
    with short():
        out = once("one", lambda out: train.main([str(small), "--out", str(out / "run")])) / "run"
    return Run(out).history()[0]["val_loss"]


def start(count, small, out, devices, *more, **environment):
    settings = sets(f"training.devices={devices}", *more)
    words = [sys.executable, "-c", PROGRAM, str(count), str(small), "--out", str(out), *settings]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def test_two_devices_train_both_stages_as_one_does(tmp_path, small, one):
    process = start(2, small, tmp_path / "run", "all", "refinement.epochs=1")
    output = process.communicate()[0]
    assert process.returncode == 0, output[-3000:]
    first, second = Run(tmp_path / "run").history()
    assert first["val_loss"] == pytest.approx(one, rel=0.01)
    assert second["stage"] == 2 and Run(tmp_path / "run").complete


def test_two_workers_train_as_one_device_does_and_share_a_folder(tmp_path, small, one):
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("localhost", 0))
        hosts = [f"localhost:{each.getsockname()[1]}" for each in (first, second)]
    clusters = [json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": n}}) for n in range(2)]
    workers = [start(1, small, tmp_path / "run", "workers", TF_CONFIG=cluster) for cluster in clusters]
    outputs = [worker.communicate()[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], outputs[0][-3000:] + outputs[1][-3000:]
    run = Run(tmp_path / "run")
    assert run.complete
    (row,) = run.history()
    assert row["val_loss"] == pytest.approx(one, rel=0.01)
    # the other worker says nothing
    assert "epoch   1/1" in outputs[0] and "epoch" not in outputs[1] and "PSNR" not in outputs[1]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'])
def test_a_wrong_tf_config_is_one_line(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match="TF_CONFIG"):
        devices.open_strategy("workers")


def test_one_device_has_the_default_strategy():
    for name in ("one", "all"):
        strategy = devices.open_strategy(name)
        assert strategy is tf.distribute.get_strategy() and devices.is_chief(strategy)


class Stand:
    """Stands in for the GPUs of a machine: their compute capabilities, None for another vendor's."""

    def __init__(self, monkeypatch, *capabilities):
        gpus = list(range(len(capabilities)))
        details = [{} if one is None else {"compute_capability": one} for one in capabilities]
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: gpus if kind == "GPU" else ["CPU"])
        monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details[gpu])


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ([(8, 0)], "mixed_bfloat16"),
        ([(9, 0), (8, 6)], "mixed_bfloat16"),
        ([(7, 5)], "float32"),
        ([(8, 0), (7, 0)], "float32"),
        ([None], "float32"),
    ],
)
def test_the_precision_is_that_of_the_gpus(monkeypatch, capabilities, precision):
    Stand(monkeypatch, *capabilities)
    assert experiment.complete("any", {}).precision == precision


def test_xla_compiles_on_one_gpu_alone(monkeypatch):
    assert not devices.compiles()
    Stand(monkeypatch, (8, 0))
    assert devices.compiles()
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        assert not devices.compiles()
