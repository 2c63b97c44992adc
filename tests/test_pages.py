"""Pages against the files that commands wrote: figures, links, alternative texts, words."""

import ast
import json
import re
from pathlib import Path

import pytest

from keras_ae import outputs

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
COURSE = DOCS / "course"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
# words and phrases that make a reader stop
BANNED = (
    "endless-memory-free",
    "what stands where",
    "have it not",
    "goes round it",
    "even chances",
    "is no model of",
    "was told is",
    "are told",
    "is told",
    "learnt by heart",
    "as it is asked for",
    "comes out",
    "came out",
    "kept on",
    "are level",
)
TEXT = " ".join((DOCS / "course.md").read_text().split())
RECIPE = " ".join((DOCS / "recipe.md").read_text().split())
CARD = json.loads((ROOT / "exported" / "cats" / "card.json").read_text())


def result(folder, *keys):
    """A number of the JSON file of a study."""
    (path,) = (COURSE / folder).glob("[!.]*.json")
    value = json.loads(path.read_text())
    for key in keys:
        value = value[key]
    return value


def table(heading):
    """Rows of the course's table whose first line contains `heading`: {first cell: the other cells}, without emphasis."""
    lines = (DOCS / "course.md").read_text().splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("|") and heading in line)
    rows = {}
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        name, *cells = (cell.strip().replace("**", "").replace("`", "") for cell in line.strip("|").split("|"))
        # a name may have a row for each of several settings
        rows[name if name not in rows else f"{name} {cells[1]}"] = cells
    return rows


def pair(numbers):
    return f"{numbers['psnr']:.2f} / {numbers['ssim']:.3f}"


def header(experiment):
    """The comment at the top of an experiment file, as one line."""
    lines = (ROOT / "experiments" / f"{experiment}.toml").read_text().splitlines()
    return " ".join(" ".join(line.strip("# ") for line in lines[: lines.index("")]).split())


def test_noise_on_codes():
    rows = table("noise, in standard deviations")
    for name, errors in result("code_noise", "mse").items():
        assert rows[f"{name}, mean squared error"] == [f"{error:.3f}" for error in errors]


@pytest.mark.parametrize(("row", "folder"), [("MNIST", "denoising_mnist"), ("built-in cats", "denoising_cats")])
def test_denoising(row, folder):
    numbers = result(folder, "held_out")
    model = next(name for name in numbers if name.startswith("denoise"))
    columns = ("noisy", "total variation", "non local means", model)
    assert table("total variation")[row] == [pair(numbers[name]) for name in columns]


def test_super_resolution():
    rows = table("| bicubic | model |")
    measured = {
        "MNIST, 14 to 28": result("upscaling_mnist", "held_out", "upscale_mnist"),
        "built-in cats, 32 to 64": result("upscaling_cats", "held_out", "upscale_cats_2x"),
        "built-in cats, 16 to 64": result("upscaling_cats", "held_out", "upscale_cats_4x"),
    }
    for row, numbers in measured.items():
        assert rows[row] == [pair(numbers["bicubic"]), pair(numbers["model"])]


def test_likelihoods_of_codes_of_two_numbers():
    for name, numbers in result("plane", "likelihood").items():
        row = table("negative importance-weighted bound (k = 500)")[name]
        few, tight = (numbers["importance_weighted"][key] for key in ("neg_elbo", "neg_importance_weighted_500"))
        expected = [f"{numbers['neg_elbo']:.1f} ± {numbers['standard_error']:.1f}"]
        assert row == expected + [f"{value:.1f}" for value in (numbers["distortion"], numbers["rate"], few, tight)]
        assert f"negative ELBO {numbers['neg_elbo']:.1f} nats" in header(name)


def test_samples_by_their_prior():
    rows = table("| codes from |")
    for name, numbers in result("priors", "models").items():
        for prior in ("N(0, I)", "fitted prior"):
            cells = next(cells for key, cells in rows.items() if key.startswith(name) and cells[1] == prior)
            drawn = numbers.get(prior) or numbers["fitted density"]
            assert cells == [
                f"{numbers['psnr']:.2f}",
                prior,
                f"{drawn['fd_gabor']:.1f}",
                *(f"{drawn[key]:.2f}" for key in ("precision", "recall", "nearest_training")),
            ]
        assert f"PSNR {numbers['psnr']:.2f} dB, SSIM {numbers['ssim']:.3f}" in header(name)
    assert rows["real digits"][2] == f"{result('priors', 'real', 'fd_gabor'):.1f}"


def test_sizes_beside_pca():
    rows = table("numbers for each image")
    numbers = result("sizes_mnist", "psnr_mnist")
    for row, name in (("digits, autoencoder (2 epochs)", "autoencoder"), ("digits, PCA", "PCA")):
        assert rows[row] == [f"{numbers[size][name]:.2f}" for size in ("2", "8", "32", "128")]


def test_neighbours():
    rows = table("| | accuracy |")
    names = {
        "raw pixels": "raw pixels",
        "PCA-8": "PCA, 8",
        "vae_mnist": "codes of vae_mnist",
        "aae_mnist": "codes of aae_mnist",
    }
    for name, accuracy in result("neighbours", "accuracy").items():
        (cells,) = (cells for row, cells in rows.items() if row.startswith(names[name]))
        assert cells == [f"{accuracy:.3f}"]


def test_disentanglement():
    rows = table("| MIG | KL |")
    for name, numbers in result("disentanglement", "models").items():
        mig, kl, active, psnr, best = rows["beta " + name.rpartition("_")[2]]
        assert (mig, kl, psnr) == (f"{numbers['mig']:.3f}", f"{numbers['kl']:.0f} nats", f"{numbers['psnr']:.2f}")
        assert active == f"{numbers['active']} of 16"
        expected = [f"{factor.replace('_', ' ')} {gap:.2f}" for factor, gap in list(numbers["best"].items())[:3]]
        assert best == ", ".join(expected)
    assert f"PSNR {result('disentanglement', 'models', 'beta_cats_1', 'psnr'):.2f} dB" in header("beta_cats")


def test_disentanglement_of_fewer_factors():
    rows = table("beta-TCVAE of")
    for row, name in (("simple cats", "tc_cats"), ("all cats", "tc_cats_all")):
        numbers = result("factors", "models", name)
        best = ", ".join(f"{factor.replace('_', ' ')} {gap:.2f}" for factor, gap in list(numbers["best"].items())[:3])
        measured = [str(numbers["factors"]), *(f"{numbers[key]:.3f}" for key in ("mig", "dci")), f"{numbers['kl']:.0f} nats"]
        assert rows[row] == [*measured, f"{numbers['psnr']:.2f}", best]
    assert f"PSNR {result('factors', 'models', 'tc_cats', 'psnr'):.2f} dB" in header("tc_cats")
    shares = result("factors", "visibility", "synthetic_cats")
    for name in ("coat", "pattern", "x", "roll", "y", "yaw"):
        assert f"{name} ({shares[name]:.2f})" in TEXT
    assert f"The other {sum(share <= 0.105 for share in shares.values())} have 0.10 or less each" in TEXT
    assert f"{sum(share < 0.03 for share in shares.values())} of them less than 0.03" in TEXT


def test_the_shipped_model_and_its_baseline():
    held_out, pca = CARD["held_out"], CARD["held_out_baseline"]
    measured = f"PSNR {held_out['psnr']:.2f} dB, SSIM {held_out['ssim']:.3f}, sharpness {held_out['sharpness']:.2f}"
    baseline = f"({pca['name']}: {pca['psnr']:.2f} dB, "
    text = header("vae_best")
    assert f"{CARD['data']['n_train']:,} cat faces" in text and f"{CARD['data']['n_test']} held out" in text
    assert f"{CARD['training_seconds'] / 60:.1f} min of training" in text
    assert f"{measured} {baseline}{pca['ssim']:.3f}, {pca['sharpness']:.2f})" in text
    assert f"{baseline}{pca['l1']:.4f}, {pca['ssim']:.3f})" in header("ae")
    assert f"{baseline}{pca['ssim']:.3f})" in header("sizes")
    assert table("numbers for each image")["cat faces, PCA"][-1] == f"{pca['psnr']:.2f}"
    shipped = (
        f"| 26: shipped; codes from a mixture | {held_out['psnr']:.2f} | {held_out['ssim']:.3f} | {held_out['sharpness']:.2f} |"
    )
    assert shipped in RECIPE
    numbers = f"{pca['psnr']:.2f} dB, L1 {pca['l1']:.4f}, SSIM {pca['ssim']:.3f}, sharpness {pca['sharpness']:.3f}"
    assert f"PCA with 128 components reaches {numbers}." in RECIPE


def test_figures_that_follow_from_others():
    errors, likelihood = result("code_noise", "mse"), result("plane", "likelihood")
    rise = {name: f"{100 * (values[1] / values[0] - 1):.0f} %" for name, values in errors.items()}
    assert f"the error rises by {rise['vae_2d_conv']}, that of the autoencoder by {rise['ae_2d']}." in TEXT
    better = likelihood["vae_2d_dense"]["neg_elbo"] - likelihood["vae_2d_conv"]["neg_elbo"]
    assert f"The convolutional VAE is {better:.1f} nats better" in TEXT
    bounds = [one["importance_weighted"] for one in likelihood.values()]
    gaps = [bound["neg_elbo"] - bound["neg_importance_weighted_500"] for bound in bounds]
    assert f"the importance-weighted bound is {gaps[0]:.1f} and {gaps[1]:.1f} nats tighter than the negative ELBO." in TEXT
    models = result("priors", "models")
    assert models["aae_mnist"]["psnr"] >= models["vae_mnist"]["psnr"]
    assert models["aae_mnist"]["N(0, I)"]["fd_gabor"] < models["vae_mnist"]["N(0, I)"]["fd_gabor"]
    gain = max(numbers["autoencoder"] - numbers["PCA"] for numbers in result("sizes_mnist", "psnr_mnist").values())
    assert f"the autoencoder gains up to {gain:.0f} dB" in TEXT
    r2 = list(result("attributes", "reader_r2").values())
    assert f"can read {sum(value > 0.5 for value in r2)} of {len(r2)} number factors" in TEXT


@pytest.mark.parametrize(
    ("pattern", "values"),
    [
        (
            r"random codes ([\d.]+), fitted prior ([\d.]+); of the other 1,000 test digits it is ([\d.]+)\.",
            lambda: [
                f"{value:.{digits}f}" for value, digits in zip(result("sampling", "fd_gabor").values(), (1, 1, 2), strict=True)
            ],
        ),
        (
            r"to (\d+) % of 1,000 generated digits \((\d+) % of real test digits\)",
            lambda: [f"{100 * value:.0f}" for value in result("labels_mnist", "agreement").values()],
        ),
        (
            r"to (\d+) % of 1,000 generated cats \((\d+) % of real renderings",
            lambda: [f"{100 * value:.0f}" for value in result("labels_cats", "agreement").values()],
        ),
        (r"Their sharpness is ([\d.]+) of that of renderings", lambda: [f"{result('labels_cats', 'sharpness'):.2f}"]),
        (
            r"mutual information of its clusters and the classes is ([\d.]+)\.",
            lambda: [f"{result('clusters', 'normalized_mutual_information_with_labels'):.2f}"],
        ),
        (
            r"by ([\d.]+) of its standard deviation on average, and each other factor by ([\d.]+)\..* it moves its factor by "
            r"([\d.]+)\. So",
            lambda: [
                *(f"{result('attributes', 'mean', name):.2f}" for name in ("edited", "others")),
                f"{result('attributes', 'mean_before_calibration', 'edited'):.2f}",
            ],
        ),
        (
            r"have (\d+) % of the steps right.* and (\d+) % of the whole melodies\.",
            lambda: [f"{100 * result('melodies', name):.0f}" for name in ("steps_right", "melodies_right")],
        ),
        (
            r"(\d+) % of the notes of a sampled melody lie in one key \(composed melodies (\d+) %, random steps (\d+) %\)",
            lambda: [f"{100 * value:.0f}" for value in result("melodies", "notes_in_one_key").values()],
        ),
    ],
)
def test_figures_in_sentences(pattern, values):
    assert list(re.search(pattern, TEXT).groups()) == values()


@pytest.mark.parametrize("path", [*PAGES, *sorted((ROOT / "experiments").glob("*.toml"))], ids=lambda path: path.name)
def test_every_elbo_is_a_negative_one(path):
    text = " ".join(re.sub(r"^# ?", "", path.read_text(), flags=re.MULTILINE).split())
    # `elbo` is the name of an objective
    assert not re.findall(r"(?<!negative )(?<!`)\bELBO.{,30}", text, re.IGNORECASE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere_and_pictures_have_alternative_texts(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert not [link for link in links if not (page.parent / link).exists()]
    assert all(alternative.strip() for alternative in re.findall(r"!\[([^]]*)\]", text))


def test_pictures_of_the_course_are_light():
    # each pixel of an image is a whole number of pixels of the picture, which makes larger files than interpolation does
    # the largest shows fourteen factors of five cats each
    assert not [str(path) for path in COURSE.rglob("*.png") if path.stat().st_size > 410_000]


def test_every_picture_is_shown_on_a_page():
    shown = {
        (page.parent / link).resolve() for page in PAGES for link in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text())
    }
    assert not sorted({path.resolve() for path in DOCS.rglob("*.png")} - shown)


def docstrings():
    """Every docstring of the package: (where, text)."""
    for path in (ROOT / "keras_ae").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                yield str(path), ast.get_docstring(node) or ""


def test_priors_of_digits_and_built_in_cats():
    models = result("densities", "models")
    models |= json.loads((DOCS / "results" / "densities_vae_cats.json").read_text())["models"]
    page = (DOCS / "recipe.md").read_text()
    lines = page[page.index("| prior | digits, `vae_mnist` |") :].splitlines()[2:9]
    for line in lines:
        prior, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        for name, cell in zip(("vae_mnist", "ae_mnist", "vae_cats"), cells, strict=True):
            numbers = models[name][prior]
            found = "{fd_gabor:.2f}; {precision:.2f}, {recall:.2f}; {nearest_training:.2f}".format(**numbers)
            assert cell == found + (f"; {numbers['seconds']:.0f} s" if "seconds" in numbers else "")


def test_the_words_are_those_of_the_field():
    texts = [*docstrings(), *((str(path), path.read_text()) for path in [*PAGES, *(ROOT / "experiments").glob("*.toml")])]
    assert not [(where, words) for where, text in texts for words in BANNED if words in " ".join(text.lower().split())]


WRITTEN = [ROOT / "exported" / "cats", *sorted(path for path in COURSE.iterdir() if path.is_dir())]


@pytest.mark.parametrize("folder", WRITTEN, ids=lambda folder: folder.name)
def test_commands_may_replace_what_they_wrote_into_the_repository(folder):
    assert outputs.intact(folder)
    assert outputs.check_folder(folder) == folder
