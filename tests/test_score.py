import csv
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from keras_ae import score
from keras_ae.exports.reading import Exported
from keras_ae.images import pictures
from keras_ae.judge import features, texture


@pytest.fixture
def noise(tmp_path):
    """A folder of noise, which is more unusual than drawn cats."""
    for index in range(30):
        pixels = np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype="uint8")
        pictures.write_png(tmp_path / "noise" / f"{index}.png", pixels)
    return tmp_path / "noise"


def test_noise_is_more_unusual_than_cats_and_the_printed_lines_say_what_the_area_means(
    exported, folder, noise, tmp_path, capsys
):
    out = tmp_path / "scores.csv"
    score.main(["--model", str(exported), "--data", str(folder), "--against", str(noise), "--out", str(out)])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("ROC-AUC")]
    areas = [float(line.split(":")[0].rsplit(" ", 1)[1]) for line in lines]
    assert len(areas) == 2 and min(areas) > 0.95
    meaning = "the probability that a picture of B scores higher than one of A (0.5: no difference, 1: always)"
    assert all(line.endswith(meaning) for line in lines)
    rows = list(csv.DictReader(out.open()))
    assert len(rows) == 150
    nats = [float(row["neg_elbo"]) for row in rows]
    assert nats == sorted(nats, reverse=True)
    # eight originals over eight reconstructions, twice
    assert Image.open(out.with_suffix(".png")).size == (8 * 18 - 2, 4 * 18 - 2)


def test_with_a_reference_the_missing_texture_is_the_score(exported, folder, noise, tmp_path, capfd):
    out = tmp_path / "scores.csv"
    words = ["--model", str(exported), "--data", str(folder), "--reference", str(folder), "--against", str(noise)]
    score.main([*words, "--out", str(out)])
    (area,) = [line for line in capfd.readouterr().out.splitlines() if line.startswith("ROC-AUC of texture")]
    assert float(area.split()[3].rstrip(":")) > 0.95
    scores = [float(row["texture"]) for row in csv.DictReader(out.open())]
    assert scores == sorted(scores, reverse=True)


def test_few_usual_images_are_refused(exported, folder, tmp_path, fails):
    for path in pictures.find(folder)[:19]:
        shutil.copy(path, tmp_path)
    line = fails(score.main, "--model", exported, "--data", folder, "--reference", tmp_path, "--out", tmp_path / "t.csv")
    assert "19 usual images are too few; name a folder of at least 20 with --reference" in line


def test_texture_is_the_squared_mahalanobis_distance():
    random = np.random.default_rng(0)
    usual, rebuilt = random.uniform(-1, 1, (2, 60, 16, 16, 3)).astype("float32")
    measure = texture.Texture(usual, rebuilt)
    extract = features.extractor("gabor")
    missing = extract(usual) - extract(rebuilt)
    covariance = np.cov(missing.T)
    covariance += texture.SHRINKAGE * np.diag(covariance).mean() * np.eye(len(covariance))
    centred = missing[:5] - missing.mean(axis=0)
    expected = np.sum(centred * np.linalg.solve(covariance, centred.T).T, axis=1)
    np.testing.assert_allclose(measure(usual[:5], rebuilt[:5]), expected, rtol=1e-6)


def test_the_area_is_the_share_of_pairs_in_which_the_other_scores_higher():
    rows = [{"file": "a", "mse": value} for value in (1.0, 2.0, 3.0)]
    others = [{"file": "b", "mse": value} for value in (2.5, 0.5)]
    assert score.separation(rows, others) == {"mse": pytest.approx(2 / 6)}
    assert score.separation(rows, [{"file": "b", "mse": 9.0}]) == {"mse": 1.0}


def test_the_score_is_the_negative_elbo_at_the_mean_code(exported, folder):
    model = Exported(exported)
    original = pictures.read(pictures.find(folder)[0], 16)[None]
    scores, rebuilt = score.score(model, original)
    codes = model.codes(original)
    deviation = model.card["held_out"]["mse"] ** 0.5
    image = pictures.to_float(original)
    log_likelihood = stats.norm.logpdf(image.astype("float64"), rebuilt, deviation).sum()
    kl = 0.5 * np.sum(codes["z_mean"] ** 2 + np.exp(codes["z_log_var"]) - 1 - codes["z_log_var"])
    assert scores["neg_elbo"][0] == pytest.approx(kl - log_likelihood, rel=1e-4)
    assert scores["mse"][0] == pytest.approx(np.mean((image - rebuilt) ** 2), rel=1e-4)


def test_a_model_without_held_out_metrics_scores_by_the_error_alone(course, folder):
    model = Exported(course / "vae")
    del model.card["held_out"]
    scores, _ = score.score(model, np.stack([pictures.read(path, 8, 1) for path in pictures.find(folder)[:3]]))
    assert set(scores) == {"mse"}


def test_the_sub_folders_are_the_classes_of_a_conditional_model(course, folder, tmp_path, capsys):
    for index, path in enumerate(pictures.find(folder)[:4]):
        pictures.write_png(tmp_path / "in" / str(index) / "x.png", pictures.read(path, 8, 1))
    score.main(["--data", str(tmp_path / "in"), "--model", str(course / "cvae"), "--out", str(tmp_path / "s.csv")])
    rows = {row["file"]: float(row["mse"]) for row in csv.DictReader((tmp_path / "s.csv").open())}
    for index in range(4):
        file = tmp_path / "in" / str(index) / "x.png"
        scores, _ = score.score(Exported(course / "cvae", label=index), pictures.read(file, 8, 1)[None])
        assert rows[str(file)] == pytest.approx(scores["mse"][0], rel=1e-4)


def test_unreadable_files_are_reported_and_skipped(exported, folder, tmp_path, capfd):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    good = str(pictures.find(folder)[0])
    score.main([good, str(tmp_path / "broken.png"), "--model", str(exported), "--out", str(tmp_path / "s.csv")])
    assert "warning: cannot use the picture" in capfd.readouterr().err
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 2
    with pytest.raises(SystemExit):
        score.main([str(tmp_path / "broken.png"), "--model", str(exported), "--out", str(tmp_path / "t.csv")])
    (line,) = capfd.readouterr().err.splitlines()
    assert "error: none of these picture files can be read: cannot use the picture" in line and "broken.png" in line
    assert not (tmp_path / "t.csv").exists()


def test_file_names_that_are_not_unicode_are_written_with_escapes(exported, folder, tmp_path, capsys):
    picture = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    shutil.copy(pictures.find(folder)[0], picture)
    score.main([picture, "--model", str(exported), "--out", str(tmp_path / "s.csv")])
    (row,) = csv.DictReader((tmp_path / "s.csv").open(encoding="utf-8"))
    assert row["file"] == str(tmp_path / r"caf\xe9.png")
    assert row["file"] in capsys.readouterr().out


def test_a_table_is_csv_and_a_folder_or_files_are_needed(exported, folder, tmp_path, fails):
    good = pictures.find(folder)[0]
    for name in ("s.png", "rec.txt", "scores"):
        assert "--out must end in .csv" in fails(score.main, good, "--model", exported, "--out", tmp_path / name)
    assert "--data" in fails(score.main, "--model", exported)
