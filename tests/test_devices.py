import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tensorflow as tf

from keras_ae import train
from keras_ae.data import pipeline
from keras_ae.errors import UserError
from keras_ae.training import devices, experiment, local_workers
from keras_ae.training.runs import Run

ROOT = Path(__file__).parents[1]
SMALL = """
[data]
name = "digits"
[encoder]
name = "plain"
widths = [8, 16]
[decoder]
name = "plain"
widths = [8, 16]
[latent]
dim = 4
[condition]
name = "on_label"
[optimizer]
name = "muon"
clip_norm = 1.0
[schedule]
learning_rate = 0.003
[training]
batch = 32
epochs = 1
precision = "float32"
[prior]
components = [1]
[refinement]
epochs = 1
batch = 32
"""
# relative differences of losses between one device and two
FIRST, SECOND = 2e-2, 2e-2


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("experiment") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small):
    """The folder of runs that devices_process.py trained on one and on two devices."""
    out = tmp_path_factory.mktemp("devices")
    words = [sys.executable, str(ROOT / "tests" / "devices_process.py"), str(out), str(small)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr[-3000:]
    (out / "stderr").write_text(done.stderr)
    return out


def assert_same_losses(first, second, limits):
    rows = [Run(folder).history() for folder in (first, second)]
    assert len(rows[0]) == len(rows[1]) == len(limits)
    for one, other, limit in zip(*rows, limits, strict=True):
        for name in set(one) - {"seconds", "epoch"}:
            assert other[name] == pytest.approx(one[name], rel=limit, abs=1e-6), name


def test_two_devices_train_both_stages_as_one_does_and_resume_after_ctrl_c(trained):
    assert json.loads((trained / "interrupted.json").read_text()) == 130
    assert_same_losses(trained / "one", trained / "all", (FIRST, SECOND))
    assert any((trained / "all" / "tensorboard" / "pictures").iterdir())
    assert Run(trained / "all").complete


def test_two_devices_train_an_adversarial_autoencoder_as_one_does(trained):
    assert_same_losses(trained / "one_adversarial", trained / "all_adversarial", (SECOND,))


KERAS = """
from keras_ae import commandline
tf = commandline.import_tensorflow()
(processor,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras, keras_ae, numpy as np
keras.utils.set_random_seed(0)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    encoder = keras_ae.dense_encoder((8, 8, 1), keras_ae.Gaussian(2), widths=[8])
    vae = keras_ae.VAE(encoder, keras_ae.dense_decoder((8, 8, 1), 2, widths=[8]))
    vae.compile(keras.optimizers.Adam(0.01, clipnorm=1.0))
images = np.random.default_rng(0).uniform(-1, 1, (36, 8, 8, 1)).astype("float32")
print(vae.fit(images, batch_size=20, epochs=3, validation_data=(images[:33], images[:33]), verbose=0).history["val_loss"])
"""


def test_a_model_of_python_trains_in_the_scope_of_a_strategy_on_batches_that_do_not_divide():
    words = [sys.executable, "-c", KERAS]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr[-3000:]
    losses = json.loads(done.stdout)
    assert losses[2] < losses[1] < losses[0]


def test_two_devices_stop_early(trained):
    assert 1 < len(Run(trained / "stopped").history()) < 4


def test_a_loss_that_is_no_number_ends_a_run_on_two_devices_in_one_line(trained):
    assert json.loads((trained / "diverged.json").read_text()) == 2
    assert "training diverged" in (trained / "stderr").read_text().splitlines()[-1]
    assert not Run(trained / "diverged").complete


def test_a_worker_that_is_killed_ends_the_run_in_one_line_and_resume_goes_on(trained, tmp_path, small):
    command = [sys.executable, "-u", "-m", "keras_ae.train", str(small), "--out", str(tmp_path / "run"), "--workers", "2"]
    command += ["--set", "objective.total_correlation=0.5"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as chief:
        output = []
        for line in chief.stdout:
            output.append(line)
            if line.startswith("epoch   1/2"):
                break
        (worker,) = children(chief.pid)
        os.kill(worker, signal.SIGKILL)
        killed = time.monotonic()
        output.append(chief.stdout.read())
        assert chief.wait() == 2, "".join(output)
    assert time.monotonic() - killed < 60
    last = "".join(output).splitlines()[-1]
    assert "worker 1 of 2 ended with status -9" in last and "--resume goes on" in last
    assert "Traceback" not in "".join(output)
    again = subprocess.run([*command, "--resume"], capture_output=True, text=True, env=environment)
    assert again.returncode == 0, again.stderr[-3000:]
    # one progress display, and nothing of the other worker
    assert len(re.findall("^epoch ", again.stdout, re.MULTILINE)) == 1
    assert_same_losses(trained / "one", tmp_path / "run", (FIRST, SECOND))


def children(process):
    """Ids of the child processes of a process."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True).stdout
    return [int(line) for line in listed.split()]


@pytest.fixture(scope="module")
def digits():
    return pipeline.load("digits")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'])
def test_a_wrong_tf_config_is_one_line(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match="TF_CONFIG"):
        devices.opened("workers")


def test_devices_must_share_a_batch_evenly():
    class Two(devices.Devices):
        replicas = 2

    Two().check_batch("training", 64)
    with pytest.raises(UserError, match="training.batch must be a multiple of .*, such as 66. Received: 65"):
        Two().check_batch("training", 65)


def test_unknown_devices_are_one_line(small, fails):
    assert "unknown training.devices 'two'" in fails(train.main, small, "--set", "training.devices=two")
    assert "--workers 2 starts two" in fails(train.main, small, "--set", "training.devices=workers")


def test_one_device_has_no_strategy(digits):
    used = devices.opened("one")
    assert used.strategy is None and used.chief and used.replicas == 1
    # nor does one device that was asked for as all
    assert devices.opened("all").strategy is None
    assert used.stream(dataset := object()) is dataset


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
    monkeypatch.setattr(experiment, "has_bfloat16", lambda: precision == "float32")
    assert experiment.complete("any", {}).precision == precision


def test_xla_compiles_on_one_gpu_alone(monkeypatch):
    assert not devices.compiles()
    Stand(monkeypatch, (8, 0))
    assert devices.compiles()
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        assert not devices.compiles()


def test_gpus_give_memory_as_it_is_needed():
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


def test_the_last_line_of_a_worker_is_found(tmp_path):
    (tmp_path / "log").write_text("first\n\nerror: last\n\n")
    assert local_workers.last_line(tmp_path / "log") == "error: last"


def test_the_figures_of_the_page_are_those_that_were_measured():
    measured = json.loads((ROOT / "docs" / "results" / "devices.json").read_text())
    page = (ROOT / "docs" / "scale.md").read_text()
    for kind, stages in measured["differences"].items():
        assert stages["first"] < FIRST and stages["second"] < SECOND
        assert f"| {kind} | {stages['first']:.1e} | {stages['second']:.1e} |" in page
    assert measured["steps"] == 50 and all(f"--set {word}" in page for word in measured["overrides"])
