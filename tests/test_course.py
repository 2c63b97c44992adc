"""Every study on hardly trained models and data that needs no download: its pictures, and its numbers."""

import dataclasses
import functools
import importlib
import json
import types

import numpy as np
import pytest
from PIL import Image

import keras_ae
from course import disentanglement, editing, variants
from course.__main__ import STUDIES, main
from course.codes import code_noise
from keras_ae.data import pipeline, tasks
from keras_ae.data.drawn_cats import RANGES
from keras_ae.images import properties
from keras_ae.images.pictures import write_png
from keras_ae.judge import features
from keras_ae.judge.judge import fit_pca, load_images
from keras_ae.models import latents, networks
from keras_ae.models.objectives import VampVAE
from keras_ae.models.vae import VAE

# the exports that a study looks at; others look at the VAE
COMPARED = {
    "sampling": ["ae"],
    "priors": ["ae", "vae"],
    "densities": ["ae", "cvae"],
    "latent_map": ["ae", "vae"],
    "code_noise": ["ae", "vae"],
    "labels": ["cvae"],
    "neighbours": ["ae"],
    "denoising": ["denoiser"],
    "upscaling": ["upscaler"],
    "sizes": ["ae", "vae"],
}
SIZES = {
    "sampling": {"drawn": 90},
    "priors": {"n": 100},
    "densities": {"n": 50, "components": (2,), "width": 16, "blocks": 1, "steps": 10},
    "plane": {"side": 4, "held_out": 100, "importance_images": 10, "importance_draws": 50},
    "labels": {"drawn": 200},
    "denoising": {"tuning": 16, "held_out": 50, "strengths": (0.1, 0.5)},
    "edits": {"learned": 40, "edited": 3},
    "attributes": {"trained": 64, "epochs": 1, "learned": 60, "edited": 2, "readable": -1e9, "rounds": 1},
    "disentanglement": {"scored": 150, "seen": 10},
}


def study(name):
    """The function of a study."""
    return getattr(importlib.import_module(f"course.{STUDIES[name][0]}"), name)


@pytest.fixture(scope="module")
def studied(course, tmp_path_factory, short):
    """A function name -> what the study returned, the folder of its pictures, the models and the data set; each runs once."""

    @functools.cache
    def run(name):
        models, folder = (
            {model: keras_ae.load(course / model) for model in COMPARED.get(name, ["vae"])},
            tmp_path_factory.mktemp(name),
        )
        with short():
            image_set = load_images(models, None)
            numbers = study(name)(models, image_set, 0, folder, **SIZES.get(name, {}))
        return types.SimpleNamespace(numbers=numbers, folder=folder, models=models, image_set=image_set)

    return run


@pytest.mark.parametrize("name", sorted(set(STUDIES) - {"melodies"}))
def test_every_study_draws_pictures_named_like_it_and_returns_numbers_for_json(studied, name):
    done = studied(name)
    pictures = list(done.folder.glob("*.png"))
    assert pictures
    assert all(path.name.startswith(name) for path in pictures)
    assert all(min(Image.open(path).size) > 50 for path in pictures)
    assert "NaN" not in json.dumps(done.numbers)


def test_the_command_writes_numbers_and_protocol_beside_the_pictures(course, few, tmp_path, fails, capfd):
    models = [str(course / "ae"), str(course / "vae")]
    main(["latent_map", "--compare", *models, "--out", str(tmp_path / "new")])
    found = json.loads((tmp_path / "new" / "latent_map.json").read_text())
    assert found["exports"] == ["ae", "vae"]
    assert found["data"] == "digits" and found["n"] == found["n_held_out"]
    assert (tmp_path / "new" / "latent_map.png").exists()
    assert "latent_map of ae, vae on digits" in capfd.readouterr().out
    # its own output is replaced, that of others is not
    main(["latent_map", "--model", models[0], "--data", str(few), "--out", str(tmp_path / "new")])
    assert "warning: ae was trained on other images" in capfd.readouterr().err
    (tmp_path / "new" / "notes.txt").write_text("mine")
    assert "notes.txt exists and is not from keras_ae" in fails(
        main, "latent_map", "--model", models[0], "--out", tmp_path / "new"
    )


def test_the_study_of_variants_trains_what_is_missing_and_writes_a_table(tmp_path, monkeypatch, fails):
    dense = [f"{network}.{key}" for network in ("encoder", "decoder") for key in ("name=dense", "widths=[8]")]
    monkeypatch.setitem(variants.DATA, "digits", ("vae_mnist", ["data.name=digits", *dense, "latent.dim=2"]))
    # tracing the real ones takes longer than all else
    monkeypatch.setattr(features, "extractor", lambda name: lambda images: np.float64(images[:, 2:5, 2, 0]))
    words = ["digits", "--variants", "RAE", "--n", "40", "--out", str(tmp_path), "--minutes"]
    variants.main([*words, "0.001"])
    table = (tmp_path / "variants.md").read_text()
    found = json.loads((tmp_path / "RAE-0.json").read_text())
    assert table.splitlines()[2].startswith(f"| RAE | {found['images']:,} |") and found["fitted_fd"] > 0
    # points have no likelihood, and no prior before one is fitted
    assert not {"own_fd", "bound"} & set(found)
    # what is there is not trained again, and is not mixed with what was trained otherwise
    monkeypatch.setattr(variants, "train", None)
    variants.main([*words, "0.001"])
    assert (tmp_path / "variants.md").read_text() == table
    assert "RAE-0.json is of" in fails(variants.main, *words, "0.002")


def test_the_bounds_of_the_study_are_those_of_the_models_own_prior():
    encoder = networks.dense_encoder((8, 8, 1), latents.Gaussian(2), widths=[4])
    model = VampVAE(encoder, networks.dense_decoder((8, 8, 1), 2, widths=[4]), "bernoulli", pseudo_inputs=3)
    images = np.sign(np.random.default_rng(0).normal(size=(40, 8, 8, 1))).astype("float32")
    found = variants.bounds(model, images, 50)
    terms, *_ = model.terms(model.named_batch(images))
    assert found[50].shape == (40,) and found[50].mean() < found[1].mean()
    assert found[1].mean() == pytest.approx(float(terms["neg_elbo"]), abs=0.5)


def test_means_in_bold_differ_by_more_than_the_spread_of_seeds():
    found = {
        "VAE": [{"psnr": 20.0}, {"psnr": 20.2}],
        "near": [{"psnr": 20.1}, {"psnr": 20.4}],
        "far": [{"psnr": 18.0}, {"psnr": 18.1}],
    }
    *_, near, far = variants.table(found, 10).splitlines()
    assert "| near | - | 20.25 ± 0.21 |" in near and "| far | - | **18.05 ± 0.07** |" in far


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A folder of five pictures in two classes: one is held out."""
    root = tmp_path_factory.mktemp("few") / "pictures"
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), "uint8")
    for index, image in enumerate(pixels):
        write_png(root / str(index % 2) / f"{index}.png", image)
    return root


WITHOUT_CLASSES = ("clusters", "code_noise", "disentanglement", "edits", "neighbours", "priors", "sampling")
REFUSED = [
    ("plane", "cvae", "codes of two numbers; cvae has 3"),
    ("plane", "ae", "has no Gaussian latent"),
    ("denoising", "vae", "not trained for the task 'add_noise'"),
    ("labels", "vae", "vae is not conditional"),
    ("melodies", "vae", "was not trained on melodies"),
    *((name, "cvae", "cvae is conditional, and this study has no classes for it") for name in WITHOUT_CLASSES),
]
CLASSES = "cvae has the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and the images of pictures have 0, 1"
REFUSED_ON_FEW = [
    ("clusters", "ae", "this study needs 10 held-out images; pictures has 1"),
    ("labels", "cvae", "this study needs 5 training images; pictures has 4"),
    ("neighbours", "ae", "this study needs 5 training images; pictures has 4"),
    ("sampling", "ae", "this study needs 4 held-out images; pictures has 1"),
    *((name, "cvae", CLASSES) for name in ("latent_map", "sizes")),
]
REFUSALS = [(*row, False) for row in REFUSED] + [(*row, True) for row in REFUSED_ON_FEW]


@pytest.mark.parametrize(("name", "model", "message", "on_few"), REFUSALS)
def test_what_a_study_cannot_show_is_one_line_and_writes_nothing(course, few, tmp_path, fails, name, model, message, on_few):
    data = ("--data", few) if on_few else ()
    assert message in fails(main, name, "--model", course / model, *data, "--out", tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_models_that_were_saved_in_python_are_measured_on_the_images(few, tmp_path, not_portable):
    encoder = networks.conv_encoder((8, 8, 1), latents.Gaussian(1), widths=[8])
    vae = VAE(encoder, networks.conv_decoder((8, 8, 1), 1, widths=[8]))
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), "uint8")
    saved = keras_ae.save(vae, tmp_path / "mine", pixels)
    image_set = load_images({"mine": saved}, str(few))
    numbers = study("sizes")({"mine": saved}, image_set, 0, tmp_path)
    images = pipeline.examples(image_set, "test", 10)
    assert numbers["n"] == len(images)
    expected = psnr(images, np.clip(saved.reconstruct(images), -1, 1))
    assert numbers["psnr_pictures"]["1"]["autoencoder"] == pytest.approx(expected, abs=1e-4)
    assert np.isfinite(numbers["psnr_pictures"]["1"]["PCA"])


def test_real_images_are_nearer_to_real_ones_than_samples_are(studied):
    distances, found = studied("sampling").numbers["fd_gabor"], studied("priors").numbers
    assert 0 < distances["real against real"] < min(distances["random codes"], distances["fitted prior"])
    for model in found["models"].values():
        for prior in ("N(0, I)", "fitted prior"):
            assert model[prior]["fd_gabor"] > found["real"]["fd_gabor"] > 0
            assert 0 <= model[prior]["precision"] <= 1 and 0 <= model[prior]["recall"] <= 1


def test_without_noise_the_error_is_that_of_the_reconstructions(studied):
    done = studied("code_noise")
    images = pipeline.examples(done.image_set, "test", 2000)
    for name, model in done.models.items():
        expected = np.mean((images - model.reconstruct(images)) ** 2)
        assert done.numbers["mse"][name][0] == pytest.approx(expected, rel=1e-5)


def test_errors_rise_with_the_square_of_the_noise_where_the_decoder_is_linear(studied, tmp_path):
    image_set = studied("code_noise").image_set
    images = pipeline.examples(image_set, "test", 2000)
    pca = fit_pca([images], 16)
    linear = types.SimpleNamespace(encode=lambda images: pca.encode(images)["z"], decode=pca.decode)
    numbers = code_noise({"PCA": linear}, image_set, 0, tmp_path, noises=(0, 0.5, 1, 2))
    # directions are orthonormal: the noise adds its own variance to the error
    added = linear.encode(images).var(axis=0).sum() / images[0].size
    expected = np.mean((images - pca.rebuild(images)) ** 2) + added * np.array([0, 0.25, 1, 4])
    np.testing.assert_allclose(numbers["mse"]["PCA"], expected, rtol=0.1)


def test_the_likelihood_on_the_plane_is_that_of_the_card(studied):
    done = studied("plane")
    found = done.numbers["likelihood"]["vae"]
    assert found["n"] == done.numbers["n"] == 100
    assert found["neg_elbo"] == pytest.approx(found["distortion"] + found["rate"])
    assert found["importance_weighted"]["n"] == 10
    assert found["importance_weighted"]["neg_importance_weighted_50"] < found["importance_weighted"]["neg_elbo"]
    # the Bernoulli cross-entropy by hand, from drawn codes there and mean codes here
    images = pipeline.examples(done.image_set, "test", 100)
    targets, rates = (images + 1) / 2, np.clip((done.models["vae"].reconstruct(images) + 1) / 2, 1e-6, 1 - 1e-6)
    by_hand = -np.sum(targets * np.log(rates) + (1 - targets) * np.log(1 - rates), axis=(1, 2, 3))
    assert found["distortion"] == pytest.approx(by_hand.mean(), rel=0.05)


def test_classifiers_and_clusters_see_digits(studied):
    accuracy = studied("neighbours").numbers["accuracy"]
    assert accuracy["raw pixels"] > 0.9
    assert 0.1 < accuracy["PCA-2"] < accuracy["raw pixels"]
    assert set(accuracy) == {"ae", "PCA-2", "raw pixels"}
    agreement = studied("labels").numbers["agreement"]
    assert agreement["real held-out"] > 0.85
    assert 0 <= agreement["generated"] < agreement["real held-out"]
    numbers = studied("clusters").numbers
    assert sum(numbers["sizes"]) == numbers["n"] and len(numbers["sizes"]) == 10
    assert 0 < numbers["normalized_mutual_information_with_labels"] < 1


def psnr(images, rebuilt):
    return 10 * np.log10(4 / np.mean(np.square(images.astype("float64") - rebuilt)))


def test_denoising_is_measured_on_the_noise_of_the_task(studied):
    numbers = studied("denoising").numbers
    image_set, (model,) = studied("denoising").image_set, studied("denoising").models.values()

    def noisy(images, seed):
        import tensorflow as tf

        return np.clip(images + tf.random.stateless_normal(images.shape, seed, 0.0, 0.5), -1, 1)

    batch = pipeline.first_batch(image_set, "test", 50)
    inputs = noisy(batch["images"], (pipeline.HELD_OUT_SEED, 0))
    held_out = numbers["held_out"]
    assert held_out["noisy"]["psnr"] == pytest.approx(psnr(batch["images"], inputs), abs=1e-3)
    assert held_out["denoiser"]["psnr"] == pytest.approx(psnr(batch["images"], model.reconstruct(inputs)), abs=1e-3)
    assert min(held_out["total variation"]["psnr"], held_out["non local means"]["psnr"]) > held_out["noisy"]["psnr"]


def test_super_resolution_is_measured_on_the_inputs_of_the_task_and_sizes_are_compared_by_cards(studied):
    done = studied("upscaling")
    images = pipeline.examples(done.image_set, "test", 500)
    small = np.asarray(tasks.downscale(images))
    large, held_out = np.asarray(tasks.enlarge(small, images.shape[1:])), done.numbers["held_out"]["upscaler"]
    assert held_out["bicubic"]["psnr"] == pytest.approx(psnr(images, large), abs=1e-3)
    assert held_out["model"]["psnr"] == pytest.approx(psnr(images, done.models["upscaler"].reconstruct(small)), abs=1e-2)
    # of two models with two numbers the later one is shown
    card, found = studied("sizes").models["vae"].card, studied("sizes").numbers["psnr_digits"]
    assert found == {"2": {"autoencoder": card["held_out"]["psnr"], "PCA": card["held_out_baseline"]["psnr"]}}


def test_numbers_of_the_code_are_shown_in_the_order_of_their_effect(studied):
    found = studied("disentanglement").numbers["models"]["vae"]
    changes = [row["change"] for row in found["shown"].values()]
    assert len(changes) == 2 and changes == sorted(changes, reverse=True) and 0 < changes[0] < 1
    assert 0 <= found["mig"] <= 1 and 0 <= found["dci"] <= 1 and found["factors"] == 24
    assert found["kl"] == pytest.approx(sum(row["kl"] for row in found["shown"].values()))


def test_a_traversal_moves_one_number_over_its_own_distribution_and_leaves_the_others():
    class Echo:
        """A model whose images are its codes."""

        def decode(self, z):
            return z.reshape(len(z), 1, -1, 1)

    codes = np.random.default_rng(0).normal([1, 2, 3], [0.1, 1, 10], (500, 3))
    z = np.array([5.0, 6.0, 7.0])
    images = disentanglement.traversals(Echo(), z, codes, steps=(-3, 0, 3))[..., 0, :, 0]
    for number in range(3):
        mean, deviation = codes[:, number].mean(), codes[:, number].std()
        np.testing.assert_allclose(images[number, :, number], mean + np.array([-3, 0, 3]) * deviation, rtol=1e-5)
        np.testing.assert_array_equal(np.delete(images[number], number, axis=1), [np.delete(z, number)] * 3)


def test_edits_are_measured_for_every_property_and_factor(studied):
    numbers = studied("edits").numbers
    assert numbers["n"] == 3
    for kind in (numbers, numbers["single_directions"]):
        for key in ("edited_moves", "others_move"):
            # digits are grey
            assert list(kind[key]) == [name for name in properties.PROPERTIES if name != "warmth"]
            assert np.isfinite(list(kind[key].values())).all()
    numbers = studied("attributes").numbers
    assert set(numbers["edited_moves"]) == set(numbers["others_move"]) == set(RANGES)
    assert max(numbers["reader_r2"].values()) < 1
    assert numbers["mean"]["edited"] == pytest.approx(np.mean(list(numbers["edited_moves"].values())), abs=1e-3)


def test_movements_are_read_off_a_linear_model():
    class Linear:
        """A model whose images are its codes."""

        def decode(self, z):
            return z

    ways = np.array([[1.0, 0, 0.5], [0, 2, 0]])
    moved = editing.slopes(Linear(), np.zeros((4, 3)), ways, lambda images: images[:, :2])
    np.testing.assert_allclose(moved, [[1, 0], [0, 2]])
    own, others = editing.own_and_others(np.array([[1, -0.5], [0.2, 2]]))
    np.testing.assert_allclose(own, [1, 2])
    np.testing.assert_allclose(others, [0.5, 0.2])


RANDOM = np.random.default_rng(0)
KNOWN = dict(zip("ab", RANDOM.integers(0, 10, (2, 20_000)), strict=True))
APART = np.stack([KNOWN["a"], KNOWN["b"], RANDOM.normal(size=20_000)], axis=1)
# both numbers have a half of each factor
TURNED = np.stack([KNOWN["a"] + KNOWN["b"], KNOWN["a"] - KNOWN["b"]], axis=1) + RANDOM.normal(size=(20_000, 2))


def test_the_gap_is_large_for_separate_codes_and_closes_when_two_codes_share_a_factor():
    mig, gaps = disentanglement.mutual_information_gap(APART, KNOWN)
    assert mig > 0.95
    assert set(gaps) == {"a", "b"}
    shared = np.stack([KNOWN["a"] + 0.01 * KNOWN["b"], KNOWN["a"] - 0.01 * KNOWN["b"]], axis=1)
    assert disentanglement.mutual_information_gap(shared, {"a": KNOWN["a"]})[0] < 0.1
    # of a code of one number, it is all that the number says
    assert disentanglement.mutual_information_gap(KNOWN["a"][:, None].astype(float), {"a": KNOWN["a"]})[0] == pytest.approx(1)


@pytest.mark.parametrize("classes", [(), ("a", "b")])
def test_numbers_of_one_factor_each_are_disentangled_and_turned_ones_are_not(classes):
    some = {name: values[:2000] for name, values in KNOWN.items()}
    importance = disentanglement.importances(APART[:2000], some, classes)
    np.testing.assert_allclose(importance.sum(axis=0), 1)
    assert importance[0, 0] > 0.9 < importance[1, 1]
    assert disentanglement.dci(importance) > 0.9
    assert disentanglement.dci(disentanglement.importances(TURNED[:2000], some, classes)) < 0.3
    # of known importances; a number that matters to nothing counts for nothing
    for known, expected in ((np.eye(3), 1), (np.ones((4, 3)) / 4, 0), (np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), 1)):
        assert disentanglement.dci(known) == pytest.approx(expected)


def test_calibrated_directions_move_their_own_property_by_one_deviation():
    # properties of a code are its products with the columns; the second is measured at a third of its size
    read = np.array([[1.0, 0.4], [0.0, 1.0], [0.2, 0.0]])
    ways = np.array([[0.5, 0.0, 0.0], [0.2, 0.3, 0.0]])
    np.testing.assert_allclose(editing.calibrate(ways, ways @ read, ridge=1e-3) @ read, np.eye(2), atol=1e-3)
    # what hardly moves is not amplified
    found = editing.calibrate(np.eye(2), np.diag([0.5, 0.001]))
    assert found[0, 0] == pytest.approx(2, rel=0.1)
    assert abs(found[1, 1]) < 0.5


def test_visibility_is_the_share_of_the_variance_that_a_factor_makes():
    @dataclasses.dataclass(frozen=True)
    class Two:
        bright: float
        hidden: float

    random = np.random.default_rng(1)
    cats = [Two(*random.normal(size=2)) for _ in range(3000)]

    def draw(one):
        return np.array([3 * one.bright, one.hidden])

    shares = disentanglement.visibility(draw, cats, ["bright", "hidden"])
    assert shares == pytest.approx({"bright": 0.9, "hidden": 0.1}, abs=0.02)
