"""Every study, on data that needs no download."""

import json

import pytest
from PIL import Image

from keras_ae import study
from keras_ae.studies import STUDIES, factors

# which exports a study of each kind looks at
COMPARED = {
    "sampling": ["ae"],
    "priors": ["ae", "vae"],
    "latent_map": ["ae", "vae"],
    "code_noise": ["ae", "vae"],
    "plane": ["vae"],
    "labels": ["cvae"],
    "neighbours": ["ae"],
    "clusters": ["vae"],
    "denoising": ["denoiser"],
    "upscaling": ["upscaler"],
    "sizes": ["ae", "vae"],
    "attributes": ["vae"],
    "disentanglement": ["vae"],
    "melodies": ["music"],
}


@pytest.fixture
def few(monkeypatch):
    """Studies that look at few pictures."""
    for name, value in (("TRAINED", 200), ("LEARNED", 100), ("EDITED", 4), ("SCORED", 200), ("READABLE", -1e9)):
        monkeypatch.setattr(factors, name, value)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_draws_and_measures(course, tmp_path, few, name):
    study.main([name, "--compare", *(str(course / model) for model in COMPARED[name]), "--out", str(tmp_path)])
    numbers = json.loads((tmp_path / f"{name}.json").read_text())
    assert numbers["n"] > 0 if "n" in numbers else numbers
    drawn = list(tmp_path.glob("*.png"))
    assert drawn
    assert all(min(Image.open(path).size) > 100 for path in drawn)


def test_studies_refuse_models_that_they_cannot_show(course, tmp_path, fails):
    out = ("--out", tmp_path)
    assert "codes of two numbers; cvae has 3" in fails(study.main, "plane", "--model", course / "cvae", *out)
    assert "not trained for the task 'add_noise'" in fails(study.main, "denoising", "--model", course / "vae", *out)
    assert "is not conditional" in fails(study.main, "labels", "--model", course / "vae", *out)
    assert "is no model of melodies" in fails(study.main, "melodies", "--model", course / "vae", *out)
    assert not list(tmp_path.iterdir())
