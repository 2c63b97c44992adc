import csv

import numpy as np
import pytest
from PIL import Image

from keras_ae import score
from keras_ae.exports.reading import Exported
from keras_ae.media import images


@pytest.fixture
def noise(tmp_path):
    """A folder of noise, beside which drawn cats are no strangers."""
    for index in range(30):
        pixels = np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype="uint8")
        images.write_png(tmp_path / "noise" / f"{index}.png", pixels)
    return tmp_path / "noise"


def test_noise_is_stranger_than_cats_and_the_table_says_so(exported, folder, noise, tmp_path, capsys):
    out = tmp_path / "scores.csv"
    score.main(["--model", str(exported), "--data", str(folder), "--against", str(noise), "--out", str(out)])
    printed = capsys.readouterr().out
    areas = [float(line.rsplit(" ", 1)[1]) for line in printed.splitlines() if line.startswith("ROC-AUC")]
    assert len(areas) == 2 and min(areas) > 0.95
    rows = list(csv.DictReader(out.open()))
    assert len(rows) == 150
    nats = [float(row["neg_elbo"]) for row in rows]
    assert nats == sorted(nats, reverse=True)
    # eight originals over eight reconstructions, twice
    assert Image.open(out.with_suffix(".png")).size == (8 * 18 - 2, 4 * 18 - 2)


def test_the_score_is_the_negative_bound_at_the_mean_code(exported, folder):
    model = Exported(exported)
    original = images.read(images.find(folder)[0], 16)[None]
    numbers, rebuilt = score.scored(model, original)
    codes = model.codes(images.to_float(original))
    variance = model.card["held_out"]["mse"]
    error = images.to_float(original) - rebuilt
    log_likelihood = -0.5 * np.sum(error**2 / variance + np.log(2 * np.pi * variance))
    kl = 0.5 * np.sum(codes["z_mean"] ** 2 + np.exp(codes["z_log_var"]) - 1 - codes["z_log_var"])
    assert numbers["neg_elbo"][0] == pytest.approx(kl - log_likelihood, rel=1e-4)
    assert numbers["mse"][0] == pytest.approx(np.mean(error**2), rel=1e-4)


def test_unreadable_pictures_are_told_and_passed_over(exported, folder, tmp_path, capfd, fails):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    good = str(images.find(folder)[0])
    score.main([good, str(tmp_path / "broken.png"), "--model", str(exported), "--out", str(tmp_path / "s.csv")])
    assert "warning: cannot use the picture" in capfd.readouterr().err
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 2
    assert "--data" in fails(score.main, "--model", exported)
    assert "names the table" in fails(score.main, good, "--model", exported, "--out", tmp_path / "s.png")
