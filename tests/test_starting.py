import json
import re
import shutil

import numpy as np
import pytest

from keras_ae import export, train
from keras_ae.exports.load import Exported
from keras_ae.training import experiment, runs, starting


def started(file, folder, out, export, *more):
    """A finished run that started from an export."""
    train.main([str(file), "--data", str(folder), "--out", str(out), "--start-from", str(export), *more])
    return runs.Run(out)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """An experiment file with other networks than the export has."""
    path = tmp_path_factory.mktemp("experiments") / "other.toml"
    path.write_text(
        '[encoder]\nname = "conv"\nwidths = [4]\n[decoder]\nwidths = [4]\n'
        "[latent]\ndim = 3\n[training]\nepochs = 1\nbatch = 32\n"
    )
    return path


def test_a_run_has_the_networks_of_the_export_and_begins_with_its_weights(tmp_path, other, folder, exported, capfd, undrawn):
    # steps so small that weights stay as they are
    run = started(other, folder, tmp_path / "run", exported, "--set", "schedule.learning_rate=1e-12")
    out = capfd.readouterr().out
    assert re.search(
        r"^starting from .*encoder residual, decoder residual, 6 numbers\) replace those of the experiment file$", out, re.M
    )
    assert run.experiment().tables["encoder"]["widths"] == [8, 16]
    encoder, decoder = run.best_networks()
    images = np.random.default_rng(0).uniform(-1, 1, (5, 16, 16, 3)).astype("float32")
    z = np.asarray(encoder(images)["z_mean"])
    np.testing.assert_allclose(z, Exported(exported).encode(images), atol=1e-4)
    np.testing.assert_allclose(decoder(z), Exported(exported).decode(z), atol=1e-4)


def test_the_card_says_what_a_run_started_from_and_keeps_the_path_private(tmp_path, other, folder, exported, undrawn):
    run = started(other, folder, tmp_path / "run", exported)
    export.main(["--model", str(run), "--out", str(tmp_path / "out")])
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["started_from"]["experiment"] == "tiny"
    assert str(exported) not in json.dumps(card)
    assert "started from the weights of tiny (cats)" in (tmp_path / "out" / "README.md").read_text()


def test_a_run_that_started_from_an_export_resumes_to_the_same_end(tmp_path, other, folder, exported, monkeypatch, undrawn):
    whole = started(other, folder, tmp_path / "whole", exported, "--set", "training.epochs=2")
    write = runs.Run.write_state

    def interrupted(run, *state):
        write(run, *state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(runs.Run, "write_state", interrupted)
        started(other, folder, tmp_path / "run", exported, "--set", "training.epochs=2")
    resumed = started(other, folder, tmp_path / "run", exported, "--set", "training.epochs=2", "--resume")
    assert [row["val_loss"] for row in resumed.history()] == [row["val_loss"] for row in whole.history()]


def test_exports_that_do_not_suit_are_refused_before_a_run_exists(tmp_path, other, folder, exported, fails):
    words = [other, "--data", folder, "--out", tmp_path / "run", "--start-from"]
    assert "no export at" in fails(train.main, *words, tmp_path / "nowhere")
    assert "data.size is 32, the export has 16" in fails(train.main, *words, exported, "--set", "data.size=32")
    assert "trained for the task identity, not add_noise" in fails(train.main, *words, exported, "--set", "task.name=add_noise")
    line = fails(train.main, *words, exported, "--set", "latent.dim=5")
    assert "with --set latent.dim=5: its networks have 6; leave latent.dim out" in line
    plain = tmp_path / "plain"
    shutil.copytree(exported, plain)
    card = json.loads((plain / "card.json").read_text())
    (plain / "card.json").write_text(json.dumps(card | {"configuration": {}}))
    assert "its card does not describe its networks" in fails(train.main, *words, plain)
    tables = card["configuration"] | {"encoder": card["configuration"]["encoder"] | {"widths": [8, 8]}}
    (plain / "card.json").write_text(json.dumps(card | {"configuration": tables}))
    assert re.search(r"its encoder has [\d,]+ numbers in \d+ variables, the run's has", fails(train.main, *words, plain))
    assert not (tmp_path / "run").exists()


def test_without_an_export_nothing_changes(other):
    asked = experiment.read(other)
    assert starting.adopted(asked) is asked
