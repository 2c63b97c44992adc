import contextlib
import io
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_ae import files, pictures, train
from keras_ae.data import pipeline
from keras_ae.images import charts
from keras_ae.priors import mixture
from keras_ae.training import callbacks, experiment, loop, results
from keras_ae.training.runs import Run

# networks that are traced quickly, where only the order of things matters
QUICK = ["encoder.name=conv", "encoder.widths=[4]", "decoder.widths=[4]", "prior.components=[1]"]
TWO_STAGES = ["training.epochs=1", "refinement.epochs=2", "refinement.batch=16"]
TWO_STAGES = [word for one in TWO_STAGES for word in ("--set", one)]
# a learning rate of nearly nothing: no epoch improves on the first by much, patience 3 runs out
STILL = [*QUICK, "schedule.learning_rate=1e-9", "training.epochs=9", "latent.name=point"]
STILL = [word for one in STILL for word in ("--set", one)]


def arguments(tiny, folder, out, *more):
    return [str(tiny), "--data", str(folder), "--out", str(out), *more]


def interrupted(command, sent, line):
    """Start a training process, send it a signal as soon as its output has `line`; its exit status and output."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "keras_ae.train", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # a shell that started the tests in the background has them ignore Ctrl-C, which children inherit
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    output = []
    for text in process.stdout:
        output.append(text)
        if line in text:
            process.send_signal(sent)
            break
    output.append(process.stdout.read())
    return process.wait(), "".join(output)


def same_history(first, second):
    """Histories equal but for the clock."""
    rows = [[{k: v for k, v in row.items() if k != "seconds"} for row in Run(run).history()] for run in (first, second)]
    assert len(rows[0]) == len(rows[1])
    for left, right in zip(*rows, strict=True):
        assert left == pytest.approx(right, rel=1e-4, abs=1e-15)


def test_a_run_leaves_everything_that_a_person_needs(run):
    kept = Run(run)
    assert kept.complete
    assert len(kept.history()) == 4
    config = kept.read_json("config")
    assert config["tables"]["training"]["epochs"] == 4
    assert config["data"]["shape"] == [16, 16, 3]
    assert {"keras_ae", "tensorflow", "keras"} <= set(config["versions"])
    measured = kept.read_json("metrics")
    assert measured["reconstruction"]["n"] == config["data"]["n_test"]
    assert measured["reconstruction"]["psnr"] > 5
    assert measured["baseline"]["psnr"] > 5
    names = {path.name for path in kept.pictures.glob("*.*") if path.suffix != ".json"}
    assert {"curves.png", "reconstructions.png", "samples_fitted.png", "samples_normal.png", "priors.png"} <= names
    assert {"interpolation_linear.gif", "interpolation_spherical.png"} <= names
    for path in sorted(kept.pictures.glob("*.png")):
        assert min(Image.open(path).size) > 40
    assert Image.open(kept.pictures / "interpolation_linear.gif").n_frames > 40


def test_training_lowers_the_held_out_loss(run):
    rows = Run(run).history()
    assert rows[-1]["val_loss"] < rows[0]["val_loss"]


def test_tensorboard_holds_each_epoch_once_from_1_on_with_psnr(run):
    kept = Run(run)
    scalars = charts.logged_scalars(kept.tensorboard)
    rows = kept.history()
    epochs = [row["epoch"] for row in rows]
    for tag, side, name in (("epoch_neg_elbo", "validation", "val_neg_elbo"), ("epoch_kl", "train", "kl")):
        assert scalars[tag][side][0] == epochs == [1, 2, 3, 4]
        np.testing.assert_allclose(scalars[tag][side][1], [row[name] for row in rows], rtol=1e-4)
    decibels = [10 * np.log10(4 / row["val_mse"]) for row in rows]
    np.testing.assert_allclose(scalars["epoch_psnr"]["validation"][1], decibels, rtol=1e-4)
    # nothing is written twice under another name
    assert not [tag for tag in scalars if tag.startswith("evaluation_")]
    assert any((kept.tensorboard / "pictures").iterdir())


def test_a_killed_run_resumes_to_the_same_end(tmp_path, tiny, folder, run, undrawn):
    command = arguments(tiny, folder, tmp_path / "killed")
    status, _ = interrupted(command, signal.SIGKILL, "epoch   2/4")
    assert status == -signal.SIGKILL
    done = len(Run(tmp_path / "killed").history())
    assert 1 <= done < 4
    train.main([*command, "--resume"])
    same_history(tmp_path / "killed", run)
    ends = [Run(folder).read_json("metrics")["reconstruction"] for folder in (tmp_path / "killed", run)]
    assert ends[0] == pytest.approx(ends[1], rel=1e-3)


@pytest.fixture(scope="module")
def refined(tmp_path_factory, tiny, folder):
    """A folder with a run of two stages in `whole`, what it printed in `printed`, how often it fitted its prior in `fits`.

    Beside them, what a kill before a file is replaced would leave: in the epoch of the first stage, `0.NAME`, and in the first
    epoch of the second, `1.NAME`.
    """
    out = tmp_path_factory.mktemp("refined")
    whole, real, fits, states = out / "whole", files.os.replace, [], []
    fit = mixture.Mixture.fit.__func__

    def copied(source, target):
        name = Path(target).name
        before = sum(state.suffix[1:] in name for state in states)
        if name in ("state.npz", "weights.npz", "history.csv") and before < 2:
            states.append(out / f"{before}.{name.partition('.')[0]}")
            shutil.copytree(whole, states[-1])
        real(source, target)

    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.setattr(files.os, "replace", copied)
        patch.setattr(mixture.Mixture, "fit", classmethod(lambda cls, *a, **k: fits.append(1) or fit(cls, *a, **k)))
        train.main(arguments(tiny, folder, whole, *TWO_STAGES))
    (out / "printed").write_text(printed.getvalue())
    (out / "fits").write_text(str(len(fits)))
    assert len(states) == 6
    return out


def test_a_run_killed_in_its_second_stage_resumes_to_the_same_end(tmp_path, tiny, folder, refined, undrawn):
    command = arguments(tiny, folder, tmp_path / "killed", *TWO_STAGES)
    status, _ = interrupted(command, signal.SIGKILL, "epoch   2/3")
    assert status == -signal.SIGKILL
    train.main([*command, "--resume"])
    same_history(refined / "whole", tmp_path / "killed")
    rows = Run(tmp_path / "killed").history()
    assert [row["stage"] for row in rows] == [1, 2, 2]
    # the last epoch of the second stage is the one that counts, though the likelihood may like an earlier one better
    assert Run(tmp_path / "killed").best()["epoch"] == 3


@pytest.mark.parametrize("state", [f"{before}.{name}" for before in (0, 1) for name in ("state", "weights", "history")])
def test_a_run_killed_between_two_files_of_an_epoch_resumes_to_the_same_end(tmp_path, tiny, folder, refined, undrawn, state):
    whole, killed = refined / "whole", tmp_path / "killed"
    shutil.copytree(refined / state, killed)
    assert not (killed / "metrics.json").exists()
    train.main(arguments(tiny, folder, killed, *TWO_STAGES, "--resume"))
    same_history(killed, whole)
    for file in ("weights", "first_stage", "prior"):
        one, other = (Run(path).read_arrays(file) for path in (killed, whole))
        assert set(one) == set(other)
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


def test_both_stages_may_log_columns_of_their_own(tmp_path, tiny, folder, undrawn):
    short = ["objective.name=adversarial", "training.epochs=1", "refinement.epochs=1", "refinement.batch=16"]
    train.main(arguments(tiny, folder, tmp_path / "run", *(word for one in [*QUICK, *short] for word in ("--set", one))))
    first, second = Run(tmp_path / "run").history()
    assert set(first) - set(second) == {"discriminator"}
    assert set(second) - set(first) == {"critic"}


def test_epochs_that_were_saved_but_not_logged_are_logged_when_a_run_is_resumed(tmp_path, run):
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "tensorboard")
    callbacks.log_missing(Run(tmp_path / "run"))
    again, before = (charts.logged_scalars(folder / "tensorboard") for folder in (tmp_path / "run", run))
    for tag in ("epoch_loss", "epoch_psnr", "epoch_kl"):
        assert again[tag]["train"][0] == before[tag]["train"][0]
        np.testing.assert_allclose(again[tag]["validation"][1], before[tag]["validation"][1], rtol=1e-5)


def test_a_damaged_state_is_one_line(tmp_path, tiny, folder, run, fails):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "metrics.json").unlink()
    state = tmp_path / "run" / "state.npz"
    whole = state.read_bytes()
    for data in (b"", whole[:1000], whole[: len(whole) // 2], bytes(len(whole))):
        state.write_bytes(data)
        line = fails(train.main, *arguments(tiny, folder, tmp_path / "run", "--resume"))
        assert "state.npz is damaged" in line


def test_a_folder_of_something_else_gets_no_run(tmp_path, tiny, folder, fails):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "weights.npz").write_text("theirs")
    line = fails(train.main, *arguments(tiny, folder, tmp_path / "thesis"))
    assert "contains weights.npz and is no run; choose another --out" in line
    assert (tmp_path / "thesis" / "weights.npz").read_text() == "theirs"


def test_ctrl_c_keeps_whole_epochs_and_says_how_to_go_on(tmp_path, tiny, folder, run, undrawn):
    command = arguments(tiny, folder, tmp_path / "stopped run")
    status, output = interrupted(command, signal.SIGINT, "epoch   1/4")
    assert status == 130, output
    assert "Traceback" not in output
    assert "whole epochs and the best weights are saved" in output
    assert output.splitlines()[-1].endswith("--resume")
    assert f"'{tmp_path}/stopped run'" in output
    assert Run(tmp_path / "stopped run").weights.exists()
    train.main([*command, "--resume"])
    same_history(tmp_path / "stopped run", run)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, tiny, folder, short):
    """A run that patience ended, and beside it what it printed."""
    out = tmp_path_factory.mktemp("stopped")
    with short(), contextlib.redirect_stdout(io.StringIO()) as printed:
        train.main(arguments(tiny, folder, out / "a run", *STILL))
    (out / "printed").write_text(printed.getvalue())
    return out / "a run"


def test_early_stopping_is_mentioned(stopped):
    epochs = len(Run(stopped).history())
    expected = f"stopped after epoch {epochs} of 9: val_loss has not improved for 3 epochs"
    assert expected in stopped.with_name("printed").read_text()


def test_the_commands_at_the_end_can_be_pasted_into_a_shell(stopped):
    lines = stopped.with_name("printed").read_text().splitlines()
    watch, export = (next(line for line in lines if line.startswith(name)) for name in ("watch", "export"))
    assert shlex.split(watch)[1:] == ["tensorboard", "--logdir", str(stopped / "tensorboard")]
    assert shlex.split(export)[4:6] == ["--model", str(stopped)]


def test_progress_counts_all_stages_from_the_start(refined):
    lines = [line for line in (refined / "printed").read_text().splitlines() if line.startswith("epoch")]
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]
    left = [float(re.search(r"([\d.]+) min left", line).group(1)) for line in lines]
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0
    # the same quantity in both stages
    assert all(re.search(r"negative ELBO +-?[\d.]+ nats  held out +-?[\d.]+  KL", line) for line in lines)
    rows = Run(refined / "whole").history()
    for row in rows:
        assert row["val_neg_elbo"] == pytest.approx(row["val_reconstruction"] + row["val_kl"], rel=1e-5)
    steps = charts.logged_scalars(refined / "whole" / "tensorboard")["epoch_loss"]["validation"][0]
    assert steps == [1, 2, 3]


def test_the_prior_is_fitted_once(refined):
    assert (refined / "fits").read_text() == "1"


@pytest.mark.parametrize("name", sorted(mixture.PRIORS))
def test_a_prior_is_chosen_by_name(tmp_path, tiny, folder, run, name):
    chosen = Run(shutil.copytree(run, tmp_path / "run"))
    chosen.prior.unlink()
    quick = ["prior.steps=20", "prior.width=16"] if name == "flow" else []
    asked = experiment.read(tiny, [f"prior.name={name}", *quick])
    config = chosen.read_json("config")
    config["tables"]["prior"] = asked.tables["prior"]
    chosen.write_json("config", config)
    results.fit_prior(chosen, pipeline.load("folder", str(folder), 16, 3))
    assert type(mixture.load_prior(chosen.prior)) is mixture.PRIORS[name]


def test_counters_of_early_stopping_survive_a_resumed_run(tmp_path, tiny, folder, stopped, undrawn):
    command = arguments(tiny, folder, tmp_path / "killed", *STILL)
    epochs = len(Run(stopped).history())
    assert epochs < 9
    status, _ = interrupted(command, signal.SIGKILL, "epoch   2/9")
    assert status == -signal.SIGKILL
    train.main([*command, "--resume"])
    same_history(stopped, tmp_path / "killed")
    rates = [row["learning_rate"] for row in Run(tmp_path / "killed").history()]
    np.testing.assert_allclose(rates, 1e-9 * 0.5 ** np.arange(epochs), rtol=1e-5)


def test_a_run_in_use_is_refused(tmp_path, tiny, folder, run, fails):
    shutil.copytree(run, tmp_path / "busy")
    (tmp_path / "busy" / "metrics.json").unlink()
    with Run(tmp_path / "busy").locked():
        line = fails(train.main, *arguments(tiny, folder, tmp_path / "busy", "--resume"))
    assert "another process trains in" in line


def test_resuming_with_another_configuration_is_refused(tmp_path, tiny, folder, run, fails):
    shutil.copytree(run, tmp_path / "changed")
    line = fails(train.main, *arguments(tiny, folder, tmp_path / "changed", "--resume", "--set", "latent.dim=7"))
    assert "latent.dim was 6, now 7" in line


def test_resuming_with_other_pictures_is_refused(tmp_path, tiny, folder, run, fails):
    shutil.copytree(folder, tmp_path / "fewer")
    for path in sorted((tmp_path / "fewer").iterdir())[:20]:
        path.unlink()
    shutil.copytree(run, tmp_path / "changed")
    line = fails(train.main, *arguments(tiny, tmp_path / "fewer", tmp_path / "changed", "--resume"))
    assert "the data set is not the same" in line


def test_a_finished_run_is_not_trained_over(tiny, folder, run, fails):
    before = (run / "metrics.json").read_bytes()
    assert "already holds a run" in fails(train.main, *arguments(tiny, folder, run))
    assert "is complete" in fails(train.main, *arguments(tiny, folder, run, "--resume"))
    assert (run / "metrics.json").read_bytes() == before


def test_a_loss_that_is_no_number_is_explained(tmp_path, tiny, folder, fails):
    more = ["--set", "reconstruction.name=gaussian", "--set", "reconstruction.variance=1e-42"]
    line = fails(train.main, *arguments(tiny, folder, tmp_path / "nan", *more))
    assert "training diverged. A lower schedule.learning_rate" in line
    assert not (tmp_path / "nan" / "metrics.json").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "training.batch=1000"], "fewer than a batch of 1000"),
        (["--set", "latent.name=gausian"], "unknown latent 'gausian'"),
        (["--set", "training.epochs=x"], "must be of type int"),
        (["--seed", "-1"], "must be a whole number from 0"),
        (["--resume"], "no run in"),
        (["--set", "condition.name=on_label"], "needs images with labels"),
        (["--set", "latent.name=features"], "has latent.dim 6, but the encoder ends in"),
    ],
)
def test_wrong_requests_leave_no_run_folder(tmp_path, tiny, folder, fails, more, message):
    assert message in fails(train.main, *arguments(tiny, folder, tmp_path / "run", *more))
    assert not (tmp_path / "run").exists()


def test_wrong_folders_are_explained_and_leave_nothing(tmp_path, tiny, fails):
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "words.jpg").write_text("words")
    Image.new("RGB", (1, 1)).save(tmp_path / "damaged" / "dot.png")
    for name, message in (("nowhere", "no such folder"), ("empty", "no picture files"), ("damaged", "2 of 2 files")):
        assert message in fails(train.main, *arguments(tiny, tmp_path / name, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_runs_are_numbered(tmp_path, tiny, folder, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loop, "fit", interrupt)
    for _ in range(2):
        with pytest.raises(SystemExit):
            train.main([str(tiny), "--data", str(folder)])
    assert sorted(path.name for path in (tmp_path / "runs" / "tiny").iterdir()) == ["001", "002"]


def test_pictures_can_be_drawn_again(tmp_path, run):
    pictures.main(["--model", str(run), "--out", str(tmp_path / "again")])
    before, after = (
        {path.name: path.read_bytes() for path in folder.iterdir()} for folder in (run / "pictures", tmp_path / "again")
    )
    assert before == after


def test_the_configuration_is_plain_json(run):
    assert json.loads((run / "config.json").read_text())["experiment"] == "tiny"
