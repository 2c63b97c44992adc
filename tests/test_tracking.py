"""Runs in trackers, and the search for better values."""

import csv
import re
import sys
import types

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from keras_ae import tune
from keras_ae.errors import UserError
from keras_ae.training import experiment, tracking
from keras_ae.training.run import Run


def test_tensorboard_has_a_row_of_values_and_numbers(tmp_path):
    tracking.write_hyperparameters(tmp_path, experiment.read("vae").values(), {"psnr": 21.5})
    events = EventAccumulator(str(tmp_path)).Reload()
    data = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    session = plugin_data_pb2.HParamsPluginData.FromString(data).session_start_info
    assert session.hparams["latent.dim"].number_value == 128
    assert session.hparams["encoder.widths"].string_value == "[32, 64, 128]"
    assert "held_out/psnr" in events.Tags()["tensors"]


def stand_in(name, calls):
    """A module like MLflow or Weights & Biases that keeps what it is called with."""
    module = types.ModuleType(name)
    if name == "mlflow":
        run = types.SimpleNamespace(info=types.SimpleNamespace(run_id="a1"))
        module.start_run = lambda run_id, run_name: calls.append(("start", run_id)) or run
        module.log_params = lambda parameters: calls.append(("parameters", parameters["latent.dim"]))
        module.log_metrics = lambda values, step: calls.append((step, values))
        module.end_run = lambda: calls.append("end")
    else:
        run = types.SimpleNamespace(id="a1", finish=lambda: calls.append("end"))
        run.log = lambda values, step: calls.append((step, values))

        def init(config, id, **_):
            calls.extend([("start", id), *([("parameters", config["latent.dim"])] if id is None else [])])
            return run

        module.init = init
    return module


@pytest.mark.parametrize("name", tracking.TRACKERS)
def test_both_stages_are_one_run_of_a_tracker(name, tmp_path, monkeypatch):
    calls, run = [], Run(tmp_path)
    monkeypatch.setitem(sys.modules, name, stand_in(name, calls))
    run.write_json("config", {"experiment": "vae", "tables": experiment.read("vae").tables})
    for epoch in (0, 1):
        callback = tracking.log_each_epoch(name, run)
        callback.on_train_begin()
        callback.on_epoch_end(epoch, {"loss": 2.5})
        callback.on_train_end()
    first = [("start", None), ("parameters", 128), (0, {"loss": 2.5}), "end"]
    assert calls == [*first, ("start", "a1"), (1, {"loss": 2.5}), "end"]


def test_a_tracker_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="training.track=wandb needs the package wandb: pip install"):
        tracking.check_installed("wandb")
    tracking.check_installed("none")


@pytest.fixture
def trained(monkeypatch):
    """Trials that take no time: the folders that were trained in. Larger codes give more PSNR and less sharpness."""
    folders = []

    def train(folder, words, minutes):
        folders.append(folder.name)
        dim = int(next(word for word in words if word.startswith("latent.dim=")).partition("=")[2])
        if dim == 33:
            return None
        return {"psnr": dim / 4, "sharpness": 40 / dim}

    monkeypatch.setattr(tune, "train", train)
    clock = iter(range(10**6))
    monkeypatch.setattr(tune, "time", types.SimpleNamespace(monotonic=lambda: 60.0 * next(clock)))
    return folders


def test_a_search_begins_with_the_experiment_and_ends_with_a_front(trained, tmp_path, capsys):
    argv = ["vae", "--set", "latent.dim=100..200", "--set", "training.epochs=3", "--minutes", "8", "--each", "1"]
    tune.main([*argv, "--out", str(tmp_path / "search")])
    with open(tmp_path / "search" / "trials.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert next(row for row in rows if row["trial"] == "0")["latent.dim"] == "128"
    assert len(rows) == len(trained) == 7
    assert all(100 <= int(row["latent.dim"]) <= 200 for row in rows)
    page = (tmp_path / "search" / "trials.html").read_text(encoding="utf-8")
    assert "--set training.epochs=3 --set latent.dim=" in page
    assert "7 trials, " in capsys.readouterr().out


def test_a_killed_trial_is_continued(trained, tmp_path, monkeypatch):
    argv = ["vae", "--set", "latent.dim=100..200", "--minutes", "3", "--each", "1", "--out", str(tmp_path)]
    whole = tune.train
    monkeypatch.setattr(tune, "train", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(SystemExit, match="130"):
        tune.main(argv)
    monkeypatch.setattr(tune, "train", whole)
    tune.main(argv)
    assert trained == ["000", "001", "002"]


@pytest.mark.parametrize(
    "values, message",
    [
        (["latent.dim=256..32"], "256 is not below 32"),
        (["latent.dim=64"], "nothing to search"),
        (["latent.dims=32..64"], "unknown key"),
        (["latent.dim=0..64"], "dim must be greater than or equal to 1"),
        (["decoder.name=plain|plane"], "plane"),
        (["latent.dim=33|33"], "no trial of .* was trained to its end"),
    ],
)
def test_what_cannot_be_searched_is_said_in_a_line(values, message, trained, tmp_path, capsys):
    sets = [word for value in values for word in ("--set", value)]
    with pytest.raises(SystemExit, match="2"):
        tune.main(["vae", *sets, "--minutes", "2", "--each", "1", "--out", str(tmp_path)])
    assert re.search(message, capsys.readouterr().err)
