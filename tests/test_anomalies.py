"""The search for anomalies, on usual pictures of which nothing is known, and the data set of drawn defects."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import keras_ae
from keras_ae import score
from keras_ae.data import drawn_cats, drawn_defects
from keras_ae.files import find_foreign
from keras_ae.images import pictures
from keras_ae.judge import anomalies

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("kind", drawn_defects.KINDS)
def test_masks_mark_what_a_defect_changes(kind):
    for index in range(12):
        bad, mask = drawn_defects.draw_defect(5, index, kind, 32)
        difference = np.abs(bad.astype(int) - drawn_cats.draw(drawn_cats.sample_factors(5, index), 32)).max(axis=-1)
        assert 0 < mask.mean() < 0.3
        np.testing.assert_array_equal(mask, difference > 8)


def test_defects_count_the_same_whatever_their_size():
    masks = np.zeros((4, 20, 20), bool)
    masks[0, :10, :10] = masks[0, 15, 15] = True
    blind = RANDOM.uniform(size=masks.shape)
    # a curve from 0 to 0.3 of its diagonal; half of the regions at once, the other half by chance
    for maps, expected in ((masks, 1.0), (blind, 0.15), (blind + (np.arange(20) < 12) * masks, 0.5 + 0.15 / 2)):
        assert anomalies.pro(maps.astype(float), masks) == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize(("n", "rate"), [(99, 0.01), (999, 0.01), (200, 0.1), (30, 1 / 31)])
def test_new_usual_pictures_exceed_the_threshold_as_often_as_was_said(n, rate):
    rates = []
    for _ in range(400):
        threshold, expected = anomalies.choose_threshold(RANDOM.uniform(size=n), max(rate, 0.01) if n > 30 else 0.01)
        # of uniform scores, this share lies above it
        rates.append(1 - threshold)
    assert expected == pytest.approx(rate, abs=0.005)
    assert np.mean(rates) == pytest.approx(expected, abs=0.2 * expected)


def test_distances_are_those_of_what_is_missing_given_the_reconstruction():
    context = RANDOM.normal(size=(4000, 2))
    missing = context @ [[1.0, 2.0], [0.0, 1.0]] + RANDOM.normal(size=(4000, 2)) * [0.5, 2.0]
    means, factors = anomalies.fit_gaussians(np.concatenate([context, missing], axis=1)[:, None, None].astype("float32"))
    # from what is expected, two deviations of the first and three of the second
    far = np.linalg.norm((np.array([1.0, 1.0, 1.0 + 2 * 0.5, 3.0 + 3 * 2.0]) - means[0, 0]) @ factors[0, 0])
    assert far == pytest.approx(np.sqrt((2**2 + 3**2) / stats.chi2.ppf(0.99, 2)), rel=0.1)


@pytest.fixture(scope="session")
def scored(exported, once):
    """A copy of the export that has learned usual cats, the folder of drawn defects, and what `score` wrote of it."""

    def make(place):
        shutil.copytree(exported, place / "model")
        drawn_defects.write(place / "data", good=150, each=6, size=16)
        for path in pictures.find(place / "data" / "test" / "spot"):
            # a defect that a model of such pictures cannot miss
            pixels = pictures.read(path, (16, 16, 3)).copy()
            pixels[4:8, 4:8] = (255, 0, 255)
            pictures.write_png(path, pixels)
        paths = {"--model": "model", "--data": "data", "--heatmaps": "out"}
        words = [word for key, name in paths.items() for word in (key, str(place / name))]
        score.main([*words, "--false-alarms", "0.1", "--keep"])

    return once("scored", make)


def test_a_folder_as_that_of_mvtec_gives_heat_maps_decisions_and_one_page(scored):
    rows = list(csv.DictReader((scored / "out" / "scores.csv").open()))
    assert len(rows) == 4 * 6 and {"mse", "score", "anomalous", "heatmap"} < set(rows[0])
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert all((row["anomalous"] == "yes") == (float(row["score"]) > 1) for row in rows)
    assert sum(row["file"].split("/")[-2] == "spot" for row in rows[:6]) > 3
    assert {pictures.open_image(scored / "out" / row["heatmap"]).size for row in rows} == {(34, 16)}
    page = (scored / "out" / "scores.html").read_text()
    assert page.count("data:image/jpeg") == 24 and "image_auroc" in page and find_foreign(scored / "out") is None


def test_what_is_kept_finds_the_same_in_both_runtimes_and_where_it_is(scored, capsys):
    card = json.loads((scored / "model" / "card.json").read_text())["anomaly"]
    assert card["false_alarms"] == 0.1 and card["threshold"] > 0
    with (scored / "out" / "scores.csv").open() as file:
        path = Path(next(csv.DictReader(file))["file"])
    image = pictures.read(path, (16, 16, 3))[None]
    tensorflow, onnx = (keras_ae.load(scored / "model", runtime=name).find_anomalies(image) for name in ("tensorflow", "onnx"))
    np.testing.assert_allclose(onnx["map"], tensorflow["map"], atol=0.01 * tensorflow["map"].max())
    assert onnx["anomalous"][0] == (tensorflow["score"][0] > 1) and tensorflow["score"][0] == tensorflow["map"].max()
    row, column = np.unravel_index(tensorflow["map"][0].argmax(), (16, 16))
    assert 3 <= row <= 8 and 3 <= column <= 8
    score.main([str(path), "--model", str(scored / "model"), "--out", str(scored / "again")])
    assert "of 1 pictures are anomalous" in capsys.readouterr().out


def test_few_usual_pictures_are_refused_and_a_folder_without_any_is_only_ranked(exported, folder, tmp_path, fails):
    few = tmp_path / "few"
    few.mkdir()
    for path in pictures.find(folder)[:9]:
        shutil.copy(path, few)
    words = ["--model", exported, "--data", few, "--out", tmp_path / "out"]
    assert "are too few" in fails(score.main, *words, "--reference", few)
    score.main(list(map(str, words)))
    assert (tmp_path / "out" / "scores.csv").read_text().startswith("file,mse,neg_elbo\n")
    assert not (tmp_path / "out" / "heatmaps").exists()
