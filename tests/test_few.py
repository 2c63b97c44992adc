import json
from pathlib import Path

import pytest

from keras_ae import train
from keras_ae.training import experiment, few, runs

ROOT = Path(__file__).parents[1]
VAE = ROOT / "experiments" / "vae.toml"
# training images of the large cat set and of the built-in one
MANY = (7526, 9000)


@pytest.mark.parametrize("n_train", MANY)
def test_many_images_are_trained_with_the_values_of_the_file(n_train):
    asked = experiment.read(VAE)
    assert few.adapted(asked, n_train) == (asked, None)


def test_few_images_get_more_epochs_smaller_batches_and_a_smaller_code():
    asked = experiment.read(VAE)
    adapted, line = few.adapted(asked, 270)
    training = adapted.training
    assert training.batch < asked.training.batch
    assert training.epochs * (270 // training.batch) >= asked.few.steps
    assert adapted.data.rotation > 0
    assert adapted.latent_dim < asked.latent_dim
    for part in ("270 training images are few", f"training.batch={training.batch}", f"training.epochs={training.epochs}"):
        assert part in line
    assert "\n" not in line


def test_the_second_stage_needs_a_number_of_images():
    asked = experiment.read(VAE)
    least = asked.few.refined_from
    assert few.adapted(asked, least - 1)[0].second_stage.epochs == 0
    # and a number of steps where there are few
    for n_train in (least, asked.few.images - 1):
        second = few.adapted(asked, n_train)[0].second_stage
        assert second.epochs >= asked.second_stage.epochs
        assert asked.few.refined_steps <= second.epochs * (n_train // second.batch) < 1.2 * asked.few.refined_steps
    # a file without a second stage gets none
    assert few.adapted(experiment.read(VAE, ["refinement.epochs=0"]), least)[0].second_stage.epochs == 0


def test_what_the_user_sets_stays():
    given = ["training.batch=8", "training.epochs=3", "latent.dim=100", "data.rotation=0", "refinement.epochs=2"]
    asked = experiment.read(VAE, given)
    adapted, line = few.adapted(asked, 36)
    assert (adapted.training.batch, adapted.training.epochs, adapted.latent_dim) == (8, 3, 100)
    assert (adapted.data.rotation, adapted.second_stage.epochs) == (0, 2)
    assert not any(value.split("=")[0] in line for value in given)


@pytest.mark.parametrize("n_train", [36, 60, 270])
def test_batches_can_be_shared_by_the_devices(n_train):
    adapted, _ = few.adapted(experiment.read(VAE, ["few.refined_from=0"]), n_train, replicas=3)
    assert adapted.training.batch % 3 == adapted.second_stage.batch % 3 == 0


def test_a_file_without_the_table_keeps_what_is_written(tmp_path):
    (tmp_path / "mine.toml").write_text("[training]\nbatch = 64\n")
    asked = experiment.read(tmp_path / "mine.toml")
    assert few.adapted(asked, 36) == (asked, None)


def test_a_start_from_an_export_keeps_its_code_and_has_its_own_learning_rate():
    asked = experiment.read(VAE, ["training.start_from=exported/cats"])
    for n_train in (270, *MANY):
        adapted, line = few.adapted(asked, n_train)
        assert adapted.latent_dim == asked.latent_dim
        assert adapted.tables["schedule"]["learning_rate"] == asked.few.start_rate
        assert "training starts from exported/cats" in line


def test_a_run_on_a_handful_of_pictures_works_and_says_what_was_chosen(tmp_path, folder, tiny, capfd):
    small = tmp_path / "small"
    small.mkdir()
    for path in sorted(folder.iterdir())[:20]:
        (small / path.name).symlink_to(path)
    file = tmp_path / "small.toml"
    file.write_text(tiny.read_text() + "[few]\nimages = 100\nsteps = 6\nbatch = 8\ndim = 4\n")
    train.main([str(file), "--data", str(small), "--out", str(tmp_path / "run")])
    out = capfd.readouterr().out
    assert "training images are few: training.batch=2" in out
    run = runs.Run(tmp_path / "run")
    assert run.experiment().training.batch == 2
    assert run.experiment().latent_dim == 4
    assert run.complete


def test_the_page_has_the_numbers_that_were_measured():
    measured = json.loads((ROOT / "docs" / "results" / "small_folders.json").read_text())
    page = (ROOT / "docs" / "small_folders.md").read_text().replace("**", "")
    assert len(measured) == 8
    for name, ways in measured.items():
        number, kind = name.split()
        nothing, started = ways.values()
        baseline = nothing["baseline"]
        numbers = [baseline["psnr"], nothing["reconstruction"]["psnr"], started["reconstruction"]["psnr"]]
        cells = " | ".join(f"{value:.2f}" for value in numbers)
        kind = {"other": "photographs", "cats": "drawn cats"}[kind]
        assert f"| {int(number):,} {kind} | {baseline['n']} | {cells} |" in page
