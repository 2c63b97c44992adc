"""Figures of the README, of the results and of the guides against the files that commands wrote."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
START = (ROOT / "docs" / "index.md").read_text()
EXPLORING = (ROOT / "docs" / "guides" / "exploring.md").read_text()
PAGE = (ROOT / "docs" / "results.md").read_text()
RESULTS = ROOT / "docs" / "results"
METRICS = json.loads((RESULTS / "evaluate.json").read_text())
# the name of a row in the table of results, and of the export that it was measured on
ROWS = {"vae_best": "cats", "vae": "vae", "PCA with 128 components": "PCA-128"}


def cells_of(row):
    """The cells of the row of the results table that begins with this name, without emphasis."""
    table = PAGE[PAGE.index("| model | command | training |") :]
    line = next(line for line in table.splitlines() if line.strip("| ").split(" |")[0].strip("`") == row)
    return [cell.strip().replace("**", "") for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("row", ROWS)
def test_the_results_are_those_that_evaluate_wrote(row):
    model = METRICS["models"][ROWS[row]]
    rebuilt, samples = model["reconstruction"], model["samples"]
    share = samples["fd_gabor"] / METRICS["models"]["PCA-128"]["samples"]["fd_gabor"]
    expected = [f"{rebuilt['psnr']:.2f}", f"{rebuilt['ssim']:.3f}", f"{rebuilt['sharpness']:.2f}"]
    expected += ["1" if row.startswith("PCA") else f"{share:.2f}"]
    expected += [f"{samples[name]:.2f}" for name in ("precision", "recall", "nearest_training")]
    assert cells_of(row)[3:] == expected


def test_the_table_of_the_readme_repeats_the_results():
    for row in ROWS:
        line = next(line for line in README.splitlines() if re.match(rf"\| `?{row}`?[ :,]", line))
        _, training, *numbers = (cell.strip() for cell in line.strip("|").split("|"))
        assert [training, *numbers] == cells_of(row)[2:7]
    assert f"{cells_of('real images')[6]} is that of real images" in README


def test_the_row_of_real_images_is_the_floor():
    real = METRICS["real"]
    share = real["fd_gabor"] / METRICS["models"]["PCA-128"]["samples"]["fd_gabor"]
    assert cells_of("real images")[6:9] == [f"{share:.2f}", f"{real['precision']:.2f}", f"{real['recall']:.2f}"]


def test_the_shipped_model_is_described_by_its_card():
    card = json.loads((ROOT / "exported" / "cats" / "card.json").read_text())
    assert f"in {card['training_seconds'] / 60:.0f} minutes on 2 CPU cores" in " ".join(README.split())
    cells = cells_of("vae_best")
    assert cells[2] == f"{card['training_seconds'] / 60:.0f} min"
    assert cells[3] == f"{card['held_out']['psnr']:.2f}"
    assert f"{card['data']['n_train']:,} training images" in PAGE
    assert f"{card['data']['n_test']} images" in PAGE


def test_the_printed_run_says_what_the_table_says():
    run = START[START.index("$ make train-vae DATA=cat_faces") :]
    run = run[: run.index("```")]
    psnr, _, ssim, sharpness = re.search(r"^  vae +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)$", run, re.MULTILINE).groups()
    assert cells_of("vae")[3:6] == [psnr, ssim, sharpness]
    minutes = re.search(r"epoch \d+ of \d+, ([\d.]+) min", run).group(1)
    assert cells_of("vae")[2] == f"{minutes} min"
    assert f"{minutes} minutes of training on 2 cores" in START
    first, *_, last = re.findall(r"^epoch +(\d+)/(\d+)  negative ELBO", run, re.MULTILINE)
    assert (first[0], last[0]) == ("1", last[1])


def test_the_targets_are_compared_with_the_results():
    vae, best = cells_of("vae"), cells_of("vae_best")
    table = PAGE[PAGE.index("| | `vae`, at most 8 min") :]
    psnr, sharpness, distance = (line.split("|") for line in table.splitlines()[2:5])
    assert (psnr[3].strip(), psnr[5].strip()) == (f"{vae[3]} / {vae[4]}", f"{best[3]} / {best[4]}")
    assert (sharpness[3].strip(), sharpness[5].strip()) == (vae[5], best[5])
    assert (distance[3].strip(), distance[5].strip()) == (vae[6], best[6])


def test_the_table_of_priors_is_what_the_study_wrote():
    found = json.loads((RESULTS / "densities.json").read_text())["models"]["cats"]
    table = (ROOT / "docs" / "recipe.md").read_text()
    table = table[table.index("| prior | fd_gabor |") :]
    for prior, numbers in found.items():
        line = next(line for line in table.splitlines() if line.startswith(f"| {prior} |"))
        expected = [f"{numbers[key]:.2f}" for key in ("fd_gabor", "precision", "recall", "sharpness", "nearest_training")]
        expected.append(f"{numbers['seconds']:.1f}" if "seconds" in numbers else "-")
        assert [cell.strip() for cell in line.strip("|").split("|")][1:] == expected


def test_the_table_of_refined_codes_is_what_evaluate_wrote():
    found = json.loads((RESULTS / "refined.json").read_text())["models"]
    table = PAGE[PAGE.index("| | held out: PSNR dB |") :].splitlines()[2:5]
    for name, line in zip(("cats", "cats, 20 steps", "PCA-128"), table, strict=True):
        sides = (found[name]["reconstruction"], found[name]["others"])
        expected = [f"{side[key]:.{digits}f}" for side in sides for key, digits in (("psnr", 2), ("ssim", 3), ("sharpness", 2))]
        assert [cell.strip() for cell in line.strip("|").split("|")][1:] == expected


def test_the_movement_of_edited_properties_is_what_the_study_wrote():
    found = json.loads((RESULTS / "edits.json").read_text())
    own, others = found["edited_moves"].values(), found["others_move"].values()
    text = " ".join(EXPLORING.split())
    moves = f"moves its property by {min(own):.2f} to {max(own):.2f} standard deviations and each of the others by at most"
    assert f"{moves} {max(others):.3f} ({found['n']} held-out faces" in text
    assert f"they move by up to {max(found['single_directions']['others_move'].values()):.2f}" in text
