import errno
import fcntl
import os
import shutil
import threading
import time

import numpy as np
import pytest
from PIL import Image

from keras_ae import outputs, train, watch
from keras_ae.errors import UserError
from keras_ae.training import folders, preview, runs


def lines(capfd):
    return capfd.readouterr().out.splitlines()


def test_a_finished_run_is_summarised(run, capfd):
    capfd.readouterr()
    watch.main([str(run)])
    printed = lines(capfd)
    epochs = [line for line in printed if line.startswith("epoch ")]
    assert len(epochs) == len(runs.Run(run).history())
    assert epochs[0].startswith("epoch   1/4  negative ELBO")
    assert any(str(runs.Run(run).preview) in line for line in printed)
    assert printed[-1].startswith("export ")


def test_a_run_that_nobody_continues_ends_the_watching(tmp_path, run, capfd):
    begun = runs.Run(tmp_path / "just begun")
    begun.write_json("config", runs.Run(run).read_json("config"))
    watch.main([str(begun)])
    (last,) = lines(capfd)[-1:]
    assert last.startswith("no process trains in")
    assert last.endswith(f" --out '{begun}' --resume")
    with pytest.raises(UserError, match="--out '.*just begun' --resume"):
        folders.find_complete(begun.folder)


def test_once_prints_and_ends_while_a_run_is_trained(tmp_path, run, capfd):
    begun = runs.Run(tmp_path / "begun")
    begun.write_json("config", runs.Run(run).read_json("config"))
    with begun.locked():
        watch.main([str(begun), "--once"])
    assert not any("no process trains" in line for line in lines(capfd))


def test_a_look_between_the_state_and_the_history_of_the_first_epoch_finds_no_epoch(tmp_path, run, capfd):
    begun = runs.Run(tmp_path / "begun")
    begun.write_json("config", runs.Run(run).read_json("config"))
    shutil.copy(run / "state.npz", begun.folder)
    watch.main([str(begun)])
    assert not any(line.startswith("epoch ") for line in lines(capfd))


def test_a_run_in_a_folder_that_may_only_be_read_is_watched(tmp_path, run, capfd, monkeypatch):
    begun = runs.Run(tmp_path / "begun")
    begun.write_json("config", runs.Run(run).read_json("config"))
    opened = os.open

    def read_only(path, flags, *arguments, **options):
        if str(path).endswith(runs.LOCK):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return opened(path, flags, *arguments, **options)

    # root may write where the mode of a folder forbids it
    with begun.locked(), monkeypatch.context() as patched:
        patched.setattr(os, "open", read_only)
        assert begun.in_use()
    monkeypatch.setattr(os, "open", read_only)
    watch.main([str(begun)])
    assert lines(capfd)[-1].startswith("no process trains in")


def test_a_look_at_a_run_does_not_keep_training_from_going_on(tmp_path):
    begun, done = runs.Run(tmp_path), threading.Event()

    def look():
        with open(tmp_path / runs.LOCK, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            done.set()
            time.sleep(0.3)

    looking = threading.Thread(target=look)
    looking.start()
    assert done.wait(30)
    with begun.locked():
        looking.join()


def test_no_run_is_one_line(tmp_path, fails):
    assert "no run in" in fails(watch.main, tmp_path)


def test_the_preview_shows_originals_reconstructions_and_samples(run):
    picture = Image.open(runs.Run(run).preview)
    scale = preview.SIDE // 16
    assert picture.size == (8 * (16 * scale + 2) - 2, 3 * (16 * scale + 2) - 2)


def test_a_preview_changes_nothing_of_training(tmp_path, tiny, folder, run, monkeypatch, undrawn):
    # nor do those of TensorBoard
    monkeypatch.setattr(preview.Preview, "write", lambda drawing: None)
    train.main([str(tiny), "--data", str(folder), "--out", str(tmp_path / "run"), "--set", "training.pictures_every=0"])
    losses = [[row["loss"] for row in runs.Run(out).history()] for out in (tmp_path / "run", run)]
    np.testing.assert_array_equal(*losses)


def test_the_preview_is_opened_once(tmp_path, tiny, folder, monkeypatch, undrawn):
    opened = []
    monkeypatch.setattr(outputs, "show", opened.append)
    train.main([str(tiny), "--data", str(folder), "--out", str(tmp_path / "run"), "--open"])
    assert opened == [tmp_path / "run" / "preview.png"]


@pytest.mark.parametrize("psnr", [10.0, 30.0])
def test_a_run_below_pca_says_what_to_try(run, psnr):
    from keras_ae.training import results

    measured = runs.Run(run).read_json("metrics")
    measured["reconstruction"]["psnr"] = psnr
    measured["baseline"]["psnr"] = 20.0
    advice = [line for line in results.summary(runs.Run(run), measured).splitlines() if line.startswith("below PCA-6")]
    assert len(advice) == (psnr < 20)
    assert all("by 10.00 dB; try --start-from exported/cats, or more pictures than" in line for line in advice)


@pytest.mark.parametrize(("epochs", "psnr", "sharpness"), [(6, 19.5, 0.4), (6, 19.0, 0.7), (0, 19.5, 0.7)])
def test_the_price_of_a_second_stage_needs_no_advice(epochs, psnr, sharpness):
    from keras_ae.training import experiment, results

    class Run:
        def experiment(self):
            return experiment.read("vae", [f"refinement.epochs={epochs}"])

        def read_json(self, name):
            return {"data": {"n_train": 100}}

    baseline = {"name": "PCA-128", "psnr": 20.0, "sharpness": 0.5}
    assert results.advice(Run(), {"reconstruction": {"psnr": psnr, "sharpness": sharpness}, "baseline": baseline})
    if epochs:
        assert not results.advice(Run(), {"reconstruction": {"psnr": 19.5, "sharpness": 0.7}, "baseline": baseline})


class Same:
    """A model whose codes are the images, and whose images are the codes."""

    def encode(self, batch):
        return {"z_mean": batch["images"]}

    def decode(self, codes, batch):
        return codes


def test_samples_of_the_preview_come_from_where_the_codes_lie():
    codes = np.random.default_rng(0).normal([100, -100, 7], [1, 10, 0], (64, 3)).astype("float32")
    rows = preview.Rows({"images": codes}, 32, seed=0)
    originals, rebuilt, samples = rows.of(Same())
    assert originals.shape == rebuilt.shape == samples.shape == (32, 3)
    np.testing.assert_array_equal(rebuilt, codes[:32])
    np.testing.assert_allclose(samples.mean(axis=0), [100, -100, 7], atol=6)
    assert 0.6 < samples[:, 0].std() < 1.5 and 6 < samples[:, 1].std() < 15 and samples[:, 2].std() < 1e-4
    np.testing.assert_array_equal(rows.of(Same())[2], samples)
    (alone,) = preview.Rows({"images": codes[:1]}, 32, seed=0).of(Same())[2]
    np.testing.assert_allclose(alone, codes[0])
