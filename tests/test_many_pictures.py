"""What is fitted to images, or compared with them, takes a sample of many, and says so."""

import csv

import numpy as np

from keras_ae import embed
from keras_ae.data import pipeline
from keras_ae.data.tasks import Variation
from keras_ae.exports.load import Exported
from keras_ae.training import results
from keras_ae.training.run import Run


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


def test_embed_shows_a_sample_and_writes_the_codes_of_all(exported, folder, monkeypatch, tmp_path, capsys):
    words = ["--model", str(exported), "--data", str(folder), "--out"]
    embed.main([*words, str(tmp_path / "all")])
    assert "evenly spaced" not in capsys.readouterr().out
    # 20 images at most, encoded in blocks of 32
    monkeypatch.setattr(embed, "MOST_BYTES", 20 * int(np.prod(Exported(exported).input_shape)))
    embed.main([*words, str(tmp_path / "some")])
    assert "show 19 of 150 pictures, evenly spaced" in capsys.readouterr().out
    with np.load(tmp_path / "all" / "codes.npz") as whole, np.load(tmp_path / "some" / "codes.npz") as blocks:
        np.testing.assert_allclose(blocks["z"], whole["z"], atol=1e-5)
        assert blocks["files"].tolist() == whole["files"].tolist()
        files = whole["files"].tolist()
    with open(tmp_path / "some" / "projector" / "metadata.tsv") as file:
        shown = [row["file"] for row in csv.DictReader(file, delimiter="\t")]
    assert shown == files[::8]
