import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT, TINY, rewrite, sets
from PIL import Image

from keras_ae import export, train
from keras_ae.data import pipeline
from keras_ae.data.tasks import Variation
from keras_ae.errors import UserError
from keras_ae.exports.load import Exported
from keras_ae.judge import judge
from keras_ae.models import refiner
from keras_ae.models.objectives import AdversarialAutoencoder
from keras_ae.models.optimizers import SCHEDULES
from keras_ae.priors import mixture
from keras_ae.training import budget, callbacks, devices, experiment, fit, results
from keras_ae.training.run import Run, Stage

# networks that are traced quickly, where only the order of things matters
QUICK = ["encoder.name=conv", "encoder.widths=[4]", "decoder.name=conv", "decoder.widths=[4]", "prior.components=[1]"]
# two epochs of a first stage, two of a second
TWO_STAGES = [*QUICK, "training.epochs=2", "refinement.epochs=2", "refinement.batch=64"]
# a learning rate of nearly nothing: no epoch improves on the first by much, patience 3 runs out
STILL = [*QUICK, "schedule.learning_rate=1e-9", "training.epochs=9", "latent.name=point"]


@pytest.fixture
def command(tiny, folder, tmp_path):
    """command(name, *overrides): the words that train the tiny experiment in tmp_path / name."""

    def words(name, *overrides):
        return [str(tiny), "--data", str(folder), "--out", str(tmp_path / name), *sets(*overrides)]

    return words


def assert_same(first, second):
    """Histories equal but for the clock, and weights that count, up to what another order of sums becomes in a game."""
    rows = [[{k: v for k, v in row.items() if k != "seconds"} for row in run.history()] for run in (first, second)]
    assert len(rows[0]) == len(rows[1])
    for left, right in zip(*rows, strict=True):
        assert left == pytest.approx(right, rel=1e-4, abs=1e-15)
    weights = [[array for network in run.best_networks() for array in network.get_weights()] for run in (first, second)]
    for left, right in zip(*weights, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-4)
    assert first.best()["epoch"] == second.best()["epoch"]


@contextlib.contextmanager
def killed(owner, name, call, after=True):
    """Inside the block, which must come there, the process dies at a call of `owner.name`, counted from 1; or before it."""
    real, calls = getattr(owner, name), []

    class Killed(BaseException):
        pass

    def dying(*arguments, **options):
        calls.append(name)
        if len(calls) == call and not after:
            raise Killed
        returned = real(*arguments, **options)
        if len(calls) == call:
            raise Killed
        return returned

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(owner, name, dying)
        yield


def test_a_run_leaves_everything_that_a_person_needs(run):
    kept = Run(run)
    assert kept.complete and kept.epochs == 4
    config, measured = kept.read_json("config"), kept.read_json("metrics")
    assert config["experiment"] == "tiny" and config["tables"]["training"]["epochs"] == 4
    assert config["data"]["shape"] == [16, 16, 3]
    assert {"keras_ae", "tensorflow", "keras"} <= set(config["versions"])
    assert measured["reconstruction"]["n"] == config["data"]["n_test"]
    assert measured["reconstruction"]["psnr"] > 5 and measured["baseline"]["psnr"] > 5
    names = {path.name for path in kept.pictures.glob("*.*")}
    assert {"curves.png", "reconstructions.png", "samples_fitted.png", "samples_normal.png"} <= names
    assert {"interpolation.gif", "interpolation.png"} <= names
    for path in (*kept.pictures.glob("*.png"), kept.preview):
        assert min(Image.open(path).size) > 40
    assert Image.open(kept.pictures / "interpolation.gif").n_frames > 40
    assert all(any((kept.tensorboard / side).iterdir()) for side in ("train", "validation", "pictures"))


def test_the_history_has_every_epoch_its_terms_and_a_held_out_loss_that_falls(run):
    rows = Run(run).history()
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["val_loss"] < rows[0]["val_loss"]
    for row in rows:
        assert row["val_neg_elbo"] == pytest.approx(row["val_reconstruction"] + row["val_kl"], rel=1e-5)
        assert row["val_psnr"] == pytest.approx(10 * np.log10(4 / row["val_mse"]), rel=1e-5)
        assert {"loss", "kl", "mse", "seconds", "learning_rate"} <= set(row)
    best = min(rows, key=lambda row: row["val_loss"])
    assert Run(run).best() == best


@pytest.fixture(scope="module")
def refined(once, tiny, folder, short):
    """A run of two stages that nothing interrupts; what it printed is in `printed` beside its folder."""

    def make(out):
        with short(), open(out / "printed", "w") as printed, contextlib.redirect_stdout(printed):
            train.main([str(tiny), "--data", str(folder), "--out", str(out / "run"), *sets(*TWO_STAGES)])

    return Run(once("refined", make) / "run")


def test_a_run_that_is_killed_anywhere_resumes_to_the_same_end(tmp_path, command, refined, undrawn, monkeypatch, capfd):
    words, run = command("run {a} [1] \u00fc", *TWO_STAGES), Run(tmp_path / "run {a} [1] \u00fc")
    # what Keras is set to elsewhere does not matter to a command
    settings = {"floatx": "float16", "epsilon": 1e-7, "backend": "jax", "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    limits = {"KERAS_BACKEND": "torch", "KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "1"}
    environment = os.environ | {"KERAS_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)} | limits
    begun, streams = [sys.executable, "-u", "-m", "keras_ae.train", *words], {"stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(begun, stdout=subprocess.PIPE, env=environment, **streams) as process:
        next(line for line in process.stdout if "epoch   1/4" in line)
        process.kill()
    assert process.returncode == -signal.SIGKILL and 1 <= run.epochs < 4
    words.append("--resume")
    with killed(mixture, "save_prior", 1, after=False):
        # between the stages
        train.main(words)
    assert (run.epochs, run.second.epochs) == (2, 0)
    with killed(keras.callbacks.CSVLogger, "on_epoch_end", 1):
        # the line of the epoch is written, its weights are not
        train.main(words)
    assert run.second.epochs == 0

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    # Ctrl-C in the middle of an epoch
    capfd.readouterr()
    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="130"):
        patch.setattr(callbacks.Progress, "on_train_batch_end", interrupt)
        train.main(words)
    errors = capfd.readouterr().err
    assert "Traceback" not in errors and "2 whole epochs are saved" in errors
    continues = shlex.split(errors.splitlines()[-1].partition("continue with")[2])
    assert continues[:4] == ["python", "-m", "keras_ae.train", words[0]] and sorted(continues[3:]) == sorted(words)
    with killed(results, "measure", 1):
        train.main(words)
    assert run.epochs == 4 and not run.complete
    train.main(words)
    assert_same(refined, run)
    assert [row["stage"] for row in run.history()] == [1, 1, 2, 2]
    # the last epoch of the second stage counts, though the likelihood may like an earlier one better
    assert run.best()["epoch"] == 4
    assert len(list(run.folder.glob("*.weights.h5"))) == 3


def test_both_stages_are_reported_and_counted_as_one(refined):
    lines = [line for line in refined.folder.with_name("printed").read_text().splitlines() if line.startswith("epoch")]
    assert [line.split()[1] for line in lines] == ["1/4", "2/4", "3/4", "4/4"]
    left = [float(re.search(r"([\d.]+) min left", line).group(1)) for line in lines]
    assert left[-1] == 0 and left[0] >= left[1]
    assert all(re.search(r"negative ELBO +-?[\d.]+ nats  held out +-?[\d.]+  KL +[\d.]+  PSNR", line) for line in lines)
    # the critic has columns of its own
    first, second = refined.history()[0], refined.history()[-1]
    scores = {f"score_{name}" for name in ("training", "held_out", "drawn")}
    assert set(second) - set(first) == {"adversarial", "critic", *scores}


def test_more_epochs_of_a_finished_run(tmp_path, folder, undrawn, fails, capfd):
    file, run = tmp_path / "cosine.toml", Run(tmp_path / "run")
    table = '[schedule]\nname = "cosine"\nlearning_rate = 0.01\nwarmup_steps = 0\n'
    file.write_text(TINY.replace('[schedule]\nname = "halve_on_plateau"\npatience = 1\n', table))
    words = [str(file), "--data", str(folder), "--out", str(run), *sets(*TWO_STAGES), "--set", "training.epochs=1"]
    train.main(words)
    before = run.history()
    words.append("--resume")
    assert "is complete with 1 epochs; more epochs continue it, such as --set training.epochs=2" in fails(train.main, *words)
    assert "is complete with 1 epochs" in fails(train.main, *words, "--set", "training.epochs=1")
    words += ["--set", "training.epochs=3"]
    assert "latent.dim was 6, now 7" in fails(train.main, *words, "--set", "latent.dim=7")
    assert run.complete
    with killed(keras.callbacks.CSVLogger, "on_epoch_end", 1):
        train.main(words)
    printed = capfd.readouterr().out
    assert "after epoch 1, the cosine schedule spans 3 epochs instead of 1, and the second stage begins anew" in printed
    assert not run.complete and run.epochs == 1 and not run.second.rows()
    train.main(words)
    assert run.complete and [row["stage"] for row in run.history()] == [1, 1, 1, 2, 2]
    assert run.history()[0] == before[0]
    steps = run.read_json("config")["data"]["n_train"] // 32
    schedule, _ = SCHEDULES["cosine"](steps, 3, learning_rate=0.01, warmup_steps=0)
    rates = [row["learning_rate"] for row in run.history()[1:3]]
    np.testing.assert_allclose(rates, [schedule(2 * steps), schedule(3 * steps)], rtol=1e-4)
    # the command that the advice names
    assert shlex.split(run.command("--set", "training.epochs=6"))[3:] == [
        *(str(file), "--data", str(folder), *sets(*TWO_STAGES, "training.epochs=1", "training.epochs=3")),
        *("--out", str(run), "--resume", "--set", "training.epochs=6"),
    ]


# of an epoch of each stage, and of everything else
SECONDS = (20, 50, 70)


@pytest.mark.parametrize(
    ("epochs", "minutes", "chosen"),
    [
        ((24, 6), 100, (24, 6)),
        # 600 - 70 = 530 seconds: 12 x 20 + 3 x 50 = 390, 16 x 20 + 4 x 50 = 520
        ((24, 6), 10, (16, 4)),
        ((24, 0), 3, (5, 0)),
        # a second stage does not fit
        ((24, 6), 2.5, (2, 0)),
        ((1, 6), 1.6, (1, 0)),
    ],
)
def test_epochs_follow_from_measured_speeds(epochs, minutes, chosen):
    *found, taken = budget.choose(*epochs, SECONDS, minutes)
    assert tuple(found) == chosen and 1.5 <= taken <= minutes
    with pytest.raises(ValueError, match="takes about 1.5 minutes here, more than `minutes`, 1.2"):
        budget.choose(*epochs, SECONDS, 1.2)


def test_a_budget_in_minutes_becomes_epochs_that_repeat(tmp_path, command, undrawn, monkeypatch, capfd, fails):
    monkeypatch.setattr(budget, "measure", lambda *_: SECONDS)
    words = command("run", *QUICK, "training.epochs=4", "refinement.epochs=2", "refinement.batch=64")
    assert "more than --minutes, 1" in fails(train.main, *words, "--minutes", 1)
    assert not (tmp_path / "run").exists()
    with killed(keras.callbacks.CSVLogger, "on_epoch_end", 2):
        train.main([*words, "--minutes", "2.7"])
    line = "2.7 minutes on this machine: 2 of 4 epochs, 1 of 2 of the second stage; about 2.7 minutes"
    assert line in capfd.readouterr().out
    # an interrupted run keeps what was chosen, whatever the speed is now
    monkeypatch.setattr(budget, "measure", None)
    train.main([*words, "--minutes", "2.7", "--resume"])
    run, printed = Run(tmp_path / "run"), capfd.readouterr().out
    assert [row["stage"] for row in run.history()] == [1, 1, 2]
    (repeats,) = (line for line in printed.splitlines() if line.startswith("repeat"))
    experiment_file, data, folder, *settings = shlex.split(repeats)[4:]
    again = experiment.read(experiment_file, settings[1::2]).with_tables(data={"name": "folder", "directory": folder})
    assert data == "--data" and again.tables == run.experiment().tables


def test_the_speed_of_both_stages_is_measured(folder, tiny, undrawn, monkeypatch):
    monkeypatch.setattr(budget, "STEPS", 3)
    asked = experiment.read(tiny, [*TWO_STAGES, "training.epochs=5"])
    image_set = pipeline.load("folder", str(folder), 16, 3)
    first, second, rest = budget.measure(asked, image_set, devices.open_strategy("one"))
    assert 0 < first < 60 and 0 < second < 60 and 0 < rest < 900


def test_patience_ends_a_stage_and_its_counters_survive_an_interruption(tmp_path, command, undrawn, capfd):
    train.main(command("whole", *STILL))
    epochs = Run(tmp_path / "whole").epochs
    assert 3 < epochs < 9
    assert f"stopped after epoch {epochs} of 9: val_loss has not improved for 3 epochs" in capfd.readouterr().out
    with killed(callbacks.Progress, "on_epoch_end", 2):
        train.main(command("killed", *STILL))
    train.main([*command("killed", *STILL), "--resume"])
    assert_same(Run(tmp_path / "whole"), Run(tmp_path / "killed"))
    rates = [row["learning_rate"] for row in Run(tmp_path / "killed").history()]
    np.testing.assert_allclose(rates[1:], 1e-9 * 0.5 ** np.arange(epochs - 1), rtol=1e-5)
    # after the last epoch, and before the prior
    (tmp_path / "whole" / "metrics.json").unlink()
    train.main([*command("whole", *STILL), "--resume"])
    assert Run(tmp_path / "whole").epochs == epochs


def test_the_last_epoch_of_an_adversarial_autoencoder_counts(tmp_path, command, undrawn):
    train.main(command("run", *QUICK, "objective.name=adversarial", "training.epochs=2"))
    run = Run(tmp_path / "run")
    assert not run.best_weights.exists() and run.best()["epoch"] == 2
    assert {"adversarial", "discriminator"} <= set(run.history()[0])
    model, _ = run.experiment().model((16, 16, 3), 4)
    assert isinstance(model, AdversarialAutoencoder)
    model.load_weights(run.first.weights(2))
    for counted, last in zip(run.best_networks(), (model.encoder, model.decoder), strict=True):
        for left, right in zip(counted.get_weights(), last.get_weights(), strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("name", ["flow", "mixture"])
def test_a_prior_is_chosen_by_name_and_fitted_once(tmp_path, tiny, folder, run, name, monkeypatch):
    chosen = Run(shutil.copytree(run, tmp_path / "run"))
    chosen.prior.unlink()
    quick = ["prior.steps=20", "prior.width=16"] if name == "flow" else []
    config = chosen.read_json("config")
    config["tables"]["prior"] = experiment.read(tiny, [f"prior.name={name}", *quick]).tables["prior"]
    chosen.write_json("config", config)
    image_set = pipeline.load("folder", str(folder), 16, 3)
    results.fit_prior(chosen, image_set)
    assert type(mixture.load_prior(chosen.prior)) is mixture.PRIORS[name]
    monkeypatch.setattr(mixture, "save_prior", None)
    results.fit_prior(chosen, image_set)


def test_priors_are_fitted_to_a_sample(run, folder, monkeypatch, capsys, tmp_path):
    image_set = pipeline.load("folder", str(folder), 16, 3)
    monkeypatch.setattr(pipeline, "SAMPLED", 100)
    monkeypatch.setattr(results, "BATCH", 50)
    means = []

    def encode(batch):
        means.append(np.mean(batch["images"], axis=(1, 2)))
        return means[-1]

    codes, labels = results.training_codes(encode, image_set, 2, Variation(flip=True))
    assert codes.shape == (2, 100, 3)
    assert labels.shape == (100,)
    first = pipeline.examples(image_set, "train", 100)
    np.testing.assert_allclose(codes[0], first.mean(axis=(1, 2)), atol=1e-5)
    again = Run(run)
    again.prior = tmp_path / "prior.npz"
    results.fit_prior(again, image_set)
    assert f"fitted to 100 of {image_set.n_train} training images" in capsys.readouterr().out


def test_export_exports_the_run_that_was_trained(tmp_path, command, undrawn, not_portable, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    few = ["small_data.images=1000", "small_data.batch=16", "small_data.dim=3"]
    words = [*command("runs/other", *QUICK, "training.epochs=1", *few)]
    train.main([*words, "--export"])
    printed = capfd.readouterr().out
    assert "training images are few: latent.dim=3, data.shift=3" in printed
    assert f"{tmp_path}/runs/other -> exported/tiny" in printed
    assert Exported("exported/tiny").latent_dim == 3
    assert Image.open("exported/tiny/samples.png").size[0] > 60
    # a complete run is exported without training
    monkeypatch.setattr(fit, "train", None)
    train.main([*words, "--resume", "--export", "second"])
    card = json.loads(Path("second/card.json").read_text())
    measured = Run("runs/other").read_json("metrics")
    assert (card["experiment"], card["held_out"]["psnr"]) == ("tiny", measured["reconstruction"]["psnr"])
    assert str(tmp_path) not in json.dumps(card)


def test_runs_are_numbered_and_one_that_never_began_leaves_nothing(tmp_path, tiny, folder, monkeypatch):
    def begin(chosen, run, *_):
        run.write_json("config", {"experiment": "tiny"})
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fit, "train", begin)
    for _ in range(2):
        with pytest.raises(SystemExit, match="130"):
            train.main([str(tiny), "--data", str(folder)])
    assert sorted(path.name for path in (tmp_path / "runs" / "tiny").iterdir()) == ["001", "002"]
    monkeypatch.setattr(fit, "train", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(SystemExit, match="130"):
        train.main([str(tiny), "--data", str(folder)])
    assert not (tmp_path / "runs" / "tiny" / "003").exists()


# what is refused


def test_a_run_that_cannot_continue_says_why(tmp_path, command, folder, run, fails):
    copy = Run(shutil.copytree(run, tmp_path / "run"))
    words = command("run")
    assert "already holds a run" in fails(train.main, *words)
    assert "is complete" in fails(train.main, *words, "--resume")
    (copy.folder / "metrics.json").unlink()
    assert "latent.dim was 6, now 7" in fails(train.main, *words, "--resume", "--set", "latent.dim=7")
    with copy.lock():
        assert "another process trains in" in fails(train.main, *words, "--resume")
    fewer = shutil.copytree(folder, tmp_path / "fewer")
    for path in sorted(fewer.iterdir())[:20]:
        path.unlink()
    assert "the data set is not the same" in fails(train.main, words[0], "--data", fewer, *words[3:], "--resume")
    # four epochs are saved, so that training goes on with the prior: of a damaged epoch it cannot
    weights = copy.first.weights(4).rename(copy.first.weights(3))
    weights.write_bytes(weights.read_bytes()[:5000])
    line = fails(train.main, *words, "--resume")
    assert "first_stage-3.weights.h5 is damaged" in line
    copy.best_weights.write_bytes(b"")
    with pytest.raises(ValueError, match="does not fit the networks|is damaged"):
        copy.best_networks()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "training.batch=1000"], "fewer than a batch of 1000"),
        (["--set", "latent.name=gausian"], "unknown latent 'gausian'"),
        (["--seed", "-1"], "must be a whole number from 0"),
        (["--resume"], "no run in"),
        (["--set", "condition.name=on_label"], "needs images with labels"),
        (["--set", "latent.name=features"], "has latent.dim 6, but the encoder ends in"),
        (["--set", "training.devices=two"], "devices must be 'one', 'all' or 'workers'"),
        (["--export", "/"], "contains the current folder"),
    ],
)
def test_wrong_requests_leave_no_run_folder(tmp_path, command, fails, more, message):
    assert message in fails(train.main, *command("run"), *more)
    assert not (tmp_path / "run").exists()


def test_wrong_folders_are_explained_and_leave_nothing(tmp_path, tiny, command, fails):
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "words.jpg").write_text("words")
    Image.new("RGB", (1, 1)).save(tmp_path / "damaged" / "dot.png")
    for name, message in (("nowhere", "no such folder"), ("empty", "no picture files"), ("damaged", "2 of 2 files")):
        assert message in fails(train.main, tiny, "--data", tmp_path / name, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "weights.npz").write_text("theirs")
    assert "exists and is no run; choose another --out" in fails(train.main, *command("thesis"))
    assert (tmp_path / "thesis" / "weights.npz").read_text() == "theirs"


def test_a_loss_that_is_no_number_is_explained(tmp_path, command, fails):
    line = fails(train.main, *command("nan", *QUICK, "reconstruction.name=gaussian", "reconstruction.variance=1e-42"))
    assert "training diverged; a lower schedule.learning_rate, optimizer.clip_norm=1 or" in line and "NaN or Inf loss" in line
    assert Run(tmp_path / "nan").epochs == 0


def test_a_stage_has_whole_epochs_only(tmp_path):
    stage = Stage(tmp_path, "second_stage")
    assert (stage.epochs, stage.rows()) == (0, [])
    stage.history.write_text("epoch,loss,val_loss\n6,3.5,4.5\n7,3.25,4.25\n")
    assert stage.rows() == []
    for epoch in (7, 8):
        stage.weights(epoch).touch()
    assert stage.epochs == 8
    stage.weights(8).unlink()
    stage.forget_later_epochs()
    assert stage.history.read_text().split() == ["epoch,loss,val_loss", "6,3.5,4.5"]


# --start-from


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """An experiment file with other networks than the export has."""
    path = tmp_path_factory.mktemp("experiments") / "other.toml"
    path.write_text('[encoder]\nname = "dense"\n[latent]\ndim = 3\n[training]\nepochs = 1\nbatch = 32\nprecision = "float32"\n')
    return path


@pytest.mark.usefixtures("undrawn", "not_portable")
def test_a_run_has_the_networks_of_the_export_and_begins_with_its_weights(tmp_path, other, folder, exported, capfd):
    words = [other, "--data", folder, "--out", tmp_path / "run", "--start-from", exported]
    # steps so small that weights stay as they are
    train.main([*map(str, words), "--set", "schedule.learning_rate=1e-12"])
    assert f"6 numbers, 1 epochs of batches of 32, starting from {exported}" in capfd.readouterr().out
    run = Run(tmp_path / "run")
    assert run.experiment().tables["encoder"]["widths"] == [8, 16]
    encoder, decoder = run.best_networks()
    images = np.random.default_rng(0).uniform(-1, 1, (5, 16, 16, 3)).astype("float32")
    z = np.asarray(encoder(images)["z_mean"])
    np.testing.assert_allclose(z, Exported(exported).encode(images), atol=1e-4)
    np.testing.assert_allclose(decoder(z), Exported(exported).decode(z), atol=1e-4)
    # the card says what it started from, and keeps the path private
    export.main(["--model", str(run), "--out", str(tmp_path / "out")])
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["started_from"]["experiment"] == "tiny"
    assert str(exported) not in json.dumps(card)


def test_the_critic_of_an_export_goes_on(exported, tmp_path):
    known = rewrite(shutil.copytree(exported, tmp_path / "export"))["configuration"]
    refinement = {"critic_widths": [4, 8], "critic_blocks": [1], "epochs": 7}
    rewrite(tmp_path / "export", configuration=known | {"refinement": refinement})
    asked, origin = fit.adopt_networks(experiment.read("vae", [f"training.start_from={tmp_path / 'export'}"]))
    # the critic as it was, trained as the experiment says
    table = asked.tables["refinement"]
    assert (table["critic_widths"], table["critic_blocks"], table["epochs"]) == ([4, 8], [1], 6)
    one, other = (refiner.critic((16, 16, 3), critic_widths=[4, 8], critic_blocks=[1]) for _ in range(2))
    fit.load_critic(other, origin)
    assert not np.array_equal(one.get_weights()[0], other.get_weights()[0])
    np.savez(tmp_path / "export" / "critic.npz", *[weights.astype("float16") for weights in one.get_weights()])
    fit.load_critic(other, origin)
    for here, there in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-3, atol=1e-6)
    with pytest.raises(UserError, match="the weights of its critic do not fit"):
        fit.load_critic(refiner.critic((16, 16, 3)), origin)


def test_the_shipped_export_is_one_to_start_from():
    asked, origin = fit.adopt_networks(experiment.read("vae", ["training.start_from=exported/cats"]))
    assert (asked.latent_dim, asked.data.size) == (128, 64)
    model, _ = asked.model((64, 64, 3), 10)
    fit.load_weights(model, origin)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype("float32")
    z = origin.encode(images)
    np.testing.assert_allclose(model.encode({"inputs": images})["z_mean"], z, atol=0.1)


def test_exports_that_do_not_suit_are_refused_before_a_run_exists(tmp_path, other, folder, exported, fails):
    words = [other, "--data", folder, "--out", tmp_path / "run", "--start-from"]
    assert "no export at" in fails(train.main, *words, tmp_path / "nowhere")
    assert "with data.size=32: the export has 16" in fails(train.main, *words, exported, "--set", "data.size=32")
    assert "with task.name=add_noise: the export has identity" in fails(
        train.main, *words, exported, "--set", "task.name=add_noise"
    )
    line = fails(train.main, *words, exported, "--set", "latent.dim=5")
    assert "with latent.dim=5: the export has 6" in line
    plain = shutil.copytree(exported, tmp_path / "plain")
    known = rewrite(plain, configuration={})["configuration"]
    assert "its card does not describe its networks" in fails(train.main, *words, plain)
    rewrite(plain, configuration=known | {"encoder": known["encoder"] | {"widths": [8, 8]}})
    assert "the weights of its encoder do not fit: " in fails(train.main, *words, plain)
    assert not (tmp_path / "run").exists()


SPATIAL = ["encoder.name=spatial", "encoder.width=8", "encoder.blocks=0", "encoder.halvings=2", "decoder.name=spatial"]
SPATIAL += ["decoder.width=8", "decoder.blocks=0", "decoder.doublings=2", "data.name=digits"]


@pytest.fixture
def words(tmp_path):
    """words(*overrides): what trains an experiment of digits with a map of 2x2 cells in tmp_path / "run"."""
    (tmp_path / "maps.toml").write_text("[training]\nepochs = 1\nbatch = 256\nprecision = 'float32'\n")
    start = [str(tmp_path / "maps.toml"), "--out", str(tmp_path / "run")]
    return lambda *overrides: [*start, *sets(*SPATIAL, *overrides)]


def test_discrete_codes_are_counted_and_drawn_alike_by_both_runtimes(words, tmp_path, undrawn, portable_files, capsys):
    latent = ["latent.name=vq", "latent.dim=8", "latent.entries=6"]
    prior = ["prior.name=autoregressive", "prior.width=8", "prior.blocks=1", "prior.steps=2"]
    train.main(words(*latent, *prior))
    assert re.search(r"of 6 entries used, perplexity \d; 10 bits a picture, \d+ by the prior", capsys.readouterr().out)
    with portable_files("onnx"):
        export.main(["--model", str(tmp_path / "run"), "--out", str(tmp_path / "made")])
    tensorflow, onnx = (Exported(tmp_path / "made", runtime=runtime) for runtime in ("tensorflow", "onnx"))
    assert tensorflow.card["codebook"] == {"entries": 6, "channels": 2} and tensorflow.code_shape == (2, 2, 2)
    measured = tensorflow.card["held_out_codes"]
    assert measured["bits"] == pytest.approx(4 * np.log2(6)) and measured["prior_bits"] > 0
    for temperature in (0.0, 1.0):
        (pixels, codes), (others, drawn) = (model.generate(20, 3, temperature, first=5) for model in (tensorflow, onnx))
        np.testing.assert_allclose(drawn, codes, atol=1e-6)
        assert np.abs(pixels.astype(int) - others).max() <= 1
    assert len(np.unique(codes.reshape(-1, 2), axis=0)) == 6
    held_out = pipeline.examples(pipeline.load("digits"), "test", 10_000)
    cells = tensorflow.encode(held_out).reshape(-1, 1, 2)
    assert np.abs(cells - np.unique(codes.reshape(-1, 2), axis=0)).max(axis=2).min(axis=1).max() < 1e-5
    judging = types.SimpleNamespace(held_out=held_out)
    numbers = dict(judge.Judge.codes(judging, judge.export_candidate(tensorflow, "made")))
    assert numbers == pytest.approx({key: measured[key] for key in ("entries", "used", "perplexity", "bits")})


def test_a_prior_over_entries_needs_discrete_codes(words, fails):
    assert "needs a discrete code: latent.name = fsq or vq. Received: features" in fails(
        train.main, *words("latent.name=features", "latent.dim=8", "prior.name=autoregressive")
    )
