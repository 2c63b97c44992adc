"""Exports: what is written, what is read, and what other programs can rely on."""

import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_ae import export, files
from keras_ae.errors import UserError
from keras_ae.exports import writing
from keras_ae.exports.card import FORMAT
from keras_ae.exports.reading import Exported
from keras_ae.exports.readme import readme
from keras_ae.images import pictures
from keras_ae.judge import side_by_side
from keras_ae.models import latents, networks
from keras_ae.models.vae import VAE
from keras_ae.training.runs import Run

ROOT = Path(__file__).parents[1]
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(-1, 1, (5, 16, 16, 3)).astype("float32")


def loaded(folder, name):
    # the object must outlive its signatures
    model = tf.saved_model.load(str(folder / name))
    return model, model.signatures


def changed(exported, folder, **values):
    """A copy of an export in `folder` whose card has other values; None removes a key."""
    shutil.copytree(exported, folder)
    card = json.loads((exported / "card.json").read_text()) | values
    (folder / "card.json").write_text(json.dumps({key: value for key, value in card.items() if value is not None}))
    return folder


def test_exported_networks_equal_those_in_memory(exported, run):
    encoder, decoder = Run(run).best_networks()
    model = Exported(exported)
    z = encoder(IMAGES)["z_mean"]
    np.testing.assert_allclose(model.encode(IMAGES), z, atol=1e-5)
    np.testing.assert_allclose(model.decode(z), decoder(z), atol=1e-5)


def test_the_signatures_are_those_of_the_contract(exported):
    model, signatures = loaded(exported, "encoder")
    assert set(signatures) == {"serving_default", "encode_uint8"}
    codes = signatures["serving_default"](images=tf.constant(IMAGES))
    assert set(codes) == {"z", "z_mean", "z_log_var"}
    assert codes["z"].shape == (5, 6)
    np.testing.assert_array_equal(codes["z"], codes["z_mean"])
    decoder, signatures = loaded(exported, "decoder")
    assert set(signatures) == {"serving_default", "decode_uint8"}
    rebuilt = signatures["serving_default"](z=codes["z"])["images"]
    assert (rebuilt.dtype, rebuilt.shape) == (tf.float32, (5, 16, 16, 3))
    pixels = signatures["decode_uint8"](z=codes["z"])["images"]
    assert pixels.dtype == tf.uint8
    np.testing.assert_array_equal(pixels, pictures.to_uint8(rebuilt))
    generator, signatures = loaded(exported, "generator")
    assert set(signatures) == {"serving_default", "fitted", "normal"}
    drawn = signatures["serving_default"](n=tf.constant(3), seed=tf.constant(1), temperature=tf.constant(1.0))
    assert (drawn["images"].dtype, drawn["images"].shape) == (tf.uint8, (3, 16, 16, 3))
    assert (drawn["z"].dtype, drawn["z"].shape) == (tf.float32, (3, 6))
    np.testing.assert_array_equal(drawn["images"], Exported(exported).generate(3, seed=1)[0])


def test_a_conditional_export_takes_labels_everywhere(course):
    label = tf.constant([3, 5])
    encoder, decoder, generator = (tf.saved_model.load(str(course / "cvae" / n)) for n in ("encoder", "decoder", "generator"))
    codes = encoder.signatures["serving_default"](images=tf.zeros((2, 8, 8, 1)), label=label)
    assert codes["z_mean"].shape == (2, 3)
    assert encoder.signatures["encode_uint8"](images=tf.zeros((2, 30, 20, 1), tf.uint8), label=label)["z"].shape == (2, 3)
    drawn = decoder.signatures["serving_default"](z=tf.zeros((2, 3)), label=label)["images"]
    assert drawn.shape == (2, 8, 8, 1)
    assert np.any(drawn[0] != drawn[1])
    arguments = {"n": tf.constant(2), "seed": tf.constant(0), "temperature": tf.constant(1.0)}
    both = generator.signatures["serving_default"](label=label, **arguments)
    one = generator.signatures["serving_default"](label=tf.constant([5]), **arguments)
    np.testing.assert_array_equal(both["z"], one["z"])
    np.testing.assert_array_equal(both["images"][1], one["images"][1])
    card = json.loads((course / "cvae" / "card.json").read_text())
    assert card["labels"] == [str(digit) for digit in range(10)]
    assert "label" in (course / "cvae" / "README.md").read_text()


def test_a_plain_autoencoder_exports_its_code_alone(course):
    codes = Exported(course / "ae").codes(np.zeros((2, 8, 8, 1), "uint8"))
    assert set(codes) == {"z"}
    assert json.loads((course / "ae" / "card.json").read_text())["encoder_outputs"] == ["z"]
    assert "z_log_var" not in (course / "ae" / "README.md").read_text()


@pytest.mark.parametrize("size", [(16, 16), (40, 40), (30, 50), (17, 9)])
def test_the_encoder_takes_pixels_of_any_size_as_picture_files_are_read(exported, tmp_path, size):
    smooth = tf.image.resize(RANDOM.uniform(0, 255, (4, 4, 3)), size, method="bicubic")
    pixels = np.clip(smooth, 0, 255).astype("uint8")
    pictures.write_png(tmp_path / "a.png", pixels)
    model, signatures = loaded(exported, "encoder")
    expected = Exported(exported).encode(pictures.read(tmp_path / "a.png", 16)[None])
    z = signatures["encode_uint8"](images=tf.constant(pixels[None]))["z"]
    np.testing.assert_allclose(z, expected, atol=0.05 * np.std(expected) + 0.02)


def test_drawing_in_pieces_equals_drawing_at_once(exported):
    model = Exported(exported)
    whole, codes = model.generate(200, seed=4, prior="normal")
    pieces = [model.generate(n, seed=4, prior="normal", first=first)[0] for first, n in ((0, 3), (3, 197))]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert len(np.unique(codes, axis=0)) == 200


def test_a_picture_drawn_alone_is_that_of_the_sequence(exported):
    # one image alone is computed by other kernels, which round in another way
    model = Exported(ROOT / "exported" / "cats")
    whole, _ = model.generate(24, seed=3)
    alone = [model.generate(1, seed=3, first=number)[0] for number in range(24)]
    np.testing.assert_array_equal(np.concatenate(alone), whole)
    assert model.generate(0)[0].shape == (0, *model.shape)
    _, signatures = loaded(exported, "generator")
    seed, temperature = tf.constant(3), tf.constant(1.0)
    one, three = (signatures["serving_default"](n=tf.constant(n), seed=seed, temperature=temperature) for n in (1, 3))
    np.testing.assert_array_equal(one["images"][0], three["images"][0])
    assert one["images"].shape == (1, 16, 16, 3)


def test_temperature_and_prior_change_the_images(exported):
    model = Exported(exported)
    drawn = [model.generate(4)[0], model.generate(4, temperature=0.5)[0], model.generate(4, prior="normal")[0]]
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_any_number_of_images_is_encoded_and_decoded(exported):
    model = Exported(exported)
    many = RANDOM.uniform(-1, 1, (300, 16, 16, 3)).astype("float32")
    z = model.encode(many)
    assert z.shape == (300, 6)
    np.testing.assert_allclose(z[290:], model.encode(many[290:]), atol=1e-5)
    assert model.decode(z).shape == (300, 16, 16, 3)
    assert model.codes(many[:0])["z_mean"].shape == (0, 6)


def test_pixels_and_floats_have_the_same_codes(exported):
    pixels = RANDOM.integers(0, 256, (3, 16, 16, 3), "uint8")
    model = Exported(exported)
    np.testing.assert_allclose(model.encode(pixels), model.encode(pixels / np.float32(127.5) - 1), atol=1e-5)
    np.testing.assert_allclose(model.reconstruct(pixels), model.decode(model.encode(pixels)), atol=1e-6)


def test_images_that_do_not_fit_are_refused_with_what_would(exported):
    model = Exported(exported)
    with pytest.raises(UserError, match=r"takes images of shape \(n, 16, 16, 3\)\. Received: \(16, 16, 3\)"):
        model.encode(IMAGES[0])
    with pytest.raises(UserError, match=r"floats in \[-1, 1\]\. Received: float64 values from 0 to 255"):
        model.encode(np.linspace(0, 255, 768).reshape(1, 16, 16, 3))


def test_interpolation_joins_the_reconstructions_of_its_ends(exported):
    model = Exported(exported)
    for spherical in (False, True):
        frames = model.interpolate(IMAGES[0], IMAGES[1], steps=7, spherical=spherical)
        assert frames.shape == (7, 16, 16, 3)
        np.testing.assert_allclose(frames[[0, -1]], model.reconstruct(IMAGES[:2]), atol=1e-4)
    middle = model.decode(model.encode(IMAGES[:2]).mean(axis=0, keepdims=True))
    np.testing.assert_allclose(model.interpolate(IMAGES[0], IMAGES[1], steps=3)[1:2], middle, atol=1e-4)


def test_a_label_is_given_by_name_by_number_or_for_each_image(course):
    digits = RANDOM.uniform(-1, 1, (4, 8, 8, 1)).astype("float32")
    three = Exported(course / "cvae", label="3")
    np.testing.assert_array_equal(three.encode(digits), Exported(course / "cvae").encode(digits, [3, 3, 3, 3]))
    assert three.interpolate(digits[0], digits[1], steps=4).shape == (4, 8, 8, 1)
    with pytest.raises(UserError, match=r"is conditional; name a class \(--label of commands that have it\): 0, 1, 2"):
        Exported(course / "cvae").encode(digits)
    with pytest.raises(UserError, match="unknown label '10'; choose one of 0, 1,"):
        Exported(course / "cvae", label=10)
    with pytest.raises(UserError, match="is not conditional"):
        Exported(course / "vae", label=1)


def test_sub_folders_name_the_classes_of_a_conditional_model(course, monkeypatch):
    model = Exported(course / "cvae")
    assert model.labels_of(["in/4/a.png", "in/9/deep/b.png"], "in").tolist() == [4, 9]
    assert Exported(course / "cvae", label=2).labels_of(["in/4/a.png", "b.png"]).tolist() == [2, 2]
    assert Exported(course / "vae").labels_of(["in/4/a.png"], "in") is None
    latin = os.fsdecode(b"chat\xe9")
    monkeypatch.setattr(model, "labels", ("4", pictures.printable(latin)))
    assert model.labels_of([f"in/{latin}/a.png", "in/4/a.png"], "in").tolist() == [1, 0]
    with pytest.raises(UserError, match=r"in/cat/a.png is in the sub-folder 'cat', which is not one of its classes"):
        model.labels_of(["in/4/b.png", "in/cat/a.png"], "in")
    with pytest.raises(UserError, match="in/a.png has no class; name a class with --label, or sort the files of --data into"):
        model.labels_of(["in/a.png"], "in")


def test_the_card_says_what_the_model_is(exported):
    card = json.loads((exported / "card.json").read_text())
    assert card["format"] == FORMAT
    assert card["experiment"] == "tiny"
    assert card["image_shape"] == card["input_shape"] == [16, 16, 3]
    assert (card["latent_dim"], card["code_shape"]) == (6, [6])
    assert card["encoder_outputs"] == ["z", "z_mean", "z_log_var"]
    assert card["task"]["name"] == "identity"
    assert card["held_out"]["n"] == card["data"]["n_test"]
    nats = card["held_out_neg_elbo_nats"]
    assert nats["neg_elbo"] == pytest.approx(nats["reconstruction"] + nats["kl"], rel=1e-4)
    assert {"seed", "versions", "training_seconds", "configuration", "held_out_baseline", "image_range"} <= set(card)
    assert "directory" not in card["configuration"]["data"]


def test_the_card_names_the_task_and_the_shape_of_the_inputs(course):
    upscaler = Exported(course / "upscaler")
    assert upscaler.task == "downscale"
    assert upscaler.card["task"]["factor"] == 2
    assert (upscaler.input_shape, upscaler.shape) == ((4, 4, 1), (8, 8, 1))
    with pytest.raises(UserError, match=r"makes 8x8 of 4x4: use python -m keras_ae\.upscale"):
        upscaler.check_rebuilds()


def test_cards_of_earlier_versions_are_read(course, tmp_path):
    old = changed(course / "denoiser", tmp_path / "old", task=None, code_shape=None, encoder_outputs=None)
    model = Exported(old)
    assert (model.task, model.code_shape) == ("add_noise", (4,))
    assert model.reconstruct(np.zeros((1, 8, 8, 1), "uint8")).shape == (1, 8, 8, 1)


def test_savedmodels_of_another_program_need_no_card(exported, tmp_path):
    for name in ("encoder", "decoder"):
        shutil.copytree(exported / name, tmp_path / "other" / name)
    model = Exported(tmp_path / "other")
    assert (model.shape, model.latent_dim, model.code_shape, model.task) == ((16, 16, 3), 6, (6,), "identity")
    np.testing.assert_array_equal(model.reconstruct(IMAGES), Exported(exported).reconstruct(IMAGES))
    with pytest.raises(UserError, match="has no generator"):
        model.generate(1)


def test_a_missing_export_says_how_to_make_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "denoise_cats.toml").touch()
    with pytest.raises(UserError, match="no export at exported/denoise_cats: no such folder; make it with make train-denoise"):
        Exported("exported/denoise_cats")
    with pytest.raises(UserError, match="no such folder; name the folder of an export"):
        Exported("nowhere")


def test_a_run_is_no_export_and_says_how_to_make_one_of_it(run, tmp_path):
    with pytest.raises(UserError, match=r"is a run, not an export; export it with python -m keras_ae\.export --model"):
        Exported(run)
    (tmp_path / "my vae" / "001").mkdir(parents=True)
    (tmp_path / "my vae" / "001" / "config.json").touch()
    with pytest.raises(UserError, match="is a run, not an export; .* --model '.*/my vae'"):
        Exported(tmp_path / "my vae")


def small_vae():
    keras.utils.set_random_seed(0)
    shape = (16, 16, 3)
    encoder = networks.conv_encoder(shape, latents.Gaussian(dim=4), widths=[8])
    return VAE(encoder, networks.conv_decoder(shape, 4, widths=[8]), "laplace")


def test_a_model_trained_in_python_is_exported_with_what_is_known_of_it(tmp_path):
    vae = small_vae()
    pixels = RANDOM.integers(0, 256, (40, 16, 16, 3), "uint8")
    writing.write_model(vae, tmp_path / "mine", pixels)
    model = Exported(tmp_path / "mine")
    np.testing.assert_allclose(model.encode(pixels), vae.encoder(pictures.to_float(pixels))["z_mean"], atol=1e-5)
    drawn, z = model.generate(20)
    assert (drawn.shape, z.shape) == ((20, 16, 16, 3), (20, 4))
    # the fitted prior has the mean of the codes
    np.testing.assert_allclose(model.generate(1, temperature=0.0)[1][0], model.encode(pixels).mean(axis=0), atol=1e-4)
    assert model.card["experiment"] == "mine"
    assert model.card["configuration"]["reconstruction"]["name"] == "laplace"
    assert not {"held_out", "data", "training_seconds"} & set(model.card)
    assert (
        (tmp_path / "mine" / "README.md")
        .read_text()
        .split("---\n")[2]
        .startswith("\n# mine\n\n![Sixteen samples](samples.png)\n\nThree TensorFlow SavedModels")
    )


def test_images_and_a_folder_that_do_not_fit_are_refused_before_the_prior_is_fitted(tmp_path, monkeypatch):
    monkeypatch.setattr(writing.mixture.Mixture, "fit", None)
    pixels = RANDOM.integers(0, 256, (40, 16, 16, 3), "uint8")
    with pytest.raises(UserError, match=r"uint8, or floats in \[-1, 1\]\. Received: float32 values from 0 to 255"):
        writing.write_model(small_vae(), tmp_path / "mine", pixels.astype("float32"))
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match="contains notes.txt"):
        writing.write_model(small_vae(), tmp_path, pixels)


def test_saving_prints_nothing_where_tensorflows_logger_is_verbose(tmp_path, caplog):
    with caplog.at_level("INFO", logger="tensorflow"):
        writing.write_model(small_vae(), tmp_path / "mine", RANDOM.integers(0, 256, (40, 16, 16, 3), "uint8"))
    assert [record for record in caplog.records if record.name == "tensorflow"] == []


def test_networks_of_mixed_precision_are_exported_in_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = small_vae()
    finally:
        keras.config.set_dtype_policy("float32")
    pixels = RANDOM.integers(0, 256, (40, 16, 16, 3), "uint8")
    model = writing.write_model(mixed, tmp_path / "mixed", pixels)
    whole = small_vae()
    for network, other in ((whole.encoder, mixed.encoder), (whole.decoder, mixed.decoder)):
        assert other.compute_dtype == "bfloat16"
        network.set_weights(other.get_weights())
    np.testing.assert_allclose(model.encode(pixels), whole.encoder(pictures.to_float(pixels))["z_mean"], atol=1e-5)
    z = RANDOM.standard_normal((3, 4), "float32")
    np.testing.assert_allclose(model.decode(z), whole.decoder(z), atol=1e-5)


def test_a_conditional_network_of_mixed_precision_becomes_one_of_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        encoder, _ = networks.on_label(
            lambda latent, planes: networks.conv_encoder((8, 8, 1 + planes), latent, widths=[4]),
            lambda latent_dim: networks.conv_decoder((8, 8, 1), latent_dim, widths=[4]),
            latents.Gaussian(2),
            3,
        )
    finally:
        keras.config.set_dtype_policy("float32")
    whole = networks.in_float32(encoder)
    assert {layer.compute_dtype for layer in whole._flatten_layers() if layer.weights} == {"float32"}
    inputs = {"images": RANDOM.uniform(-1, 1, (5, 8, 8, 1)).astype("float32"), "label": np.array([0, 1, 2, 0, 1])}
    means = [networks.apply(network, **inputs)["z_mean"] for network in (whole, encoder)]
    np.testing.assert_allclose(*means, atol=0.05)


def test_images_in_the_order_of_their_classes_are_all_in_the_prior(tmp_path, monkeypatch):
    monkeypatch.setattr(writing.priors, "MOST", 50)
    pixels = np.repeat(np.array([0, 255], "uint8"), 50)[:, None, None, None] * np.ones((1, 16, 16, 3), "uint8")
    vae = small_vae()
    model = writing.write_model(vae, tmp_path / "mine", pixels)
    means = vae.encoder.predict(pictures.to_float(pixels[[0, -1]]), verbose=0)["z_mean"]
    way = means[1] - means[0]
    shares = (model.generate(40)[1] - means[0]) @ way / (way @ way)
    assert shares.min() < 0.3
    assert shares.max() > 0.7


def conditional_vae(classes):
    encoder, decoder = networks.on_label(
        lambda latent, more: networks.conv_encoder((16, 16, 3 + more), latent, widths=[8]),
        lambda dim: networks.conv_decoder((16, 16, 3), dim, widths=[8]),
        latents.Gaussian(dim=4),
        classes,
    )
    return VAE(encoder, decoder)


def test_labels_are_those_of_the_classes_of_the_model(tmp_path):
    pixels = RANDOM.integers(0, 256, (40, 16, 16, 3), "uint8")
    for labels, received in ((np.arange(40) % 4, "0 to 3"), (np.arange(40) % 3 - 1, "-1 to 1")):
        with pytest.raises(UserError, match=f"the classes of this model are 0 to 2. Received: labels from {received}"):
            writing.write_model(conditional_vae(3), tmp_path / "mine", pixels, labels=labels)
    # classes that no image has are known as well
    model = writing.write_model(conditional_vae(3), tmp_path / "mine", pixels, labels=np.arange(40) % 2, prior="normal")
    assert list(model.labels) == ["0", "1", "2"]
    assert model.decode(np.zeros((2, 4)), [2, 0]).shape == (2, 16, 16, 3)
    with pytest.raises(UserError, match="have the numbers 0 to 2. Received: 3"):
        model.decode(np.zeros((2, 4)), [3, 0])
    with pytest.raises(ValueError, match="the classes of this model are 0 to 2"):
        conditional_vae(3).fit({"images": pictures.to_float(pixels), "label": np.full(40, 3)}, verbose=0)


@keras.saving.register_keras_serializable("tests")
class OwnLikelihood:
    """Twice the squared error, with a configuration that is no JSON."""

    def __call__(self, images, reconstructions):
        return 2 * keras.ops.sum(keras.ops.square(images - reconstructions), axis=(1, 2, 3))

    def get_config(self):
        return {"weight": np.float32(2)}


def test_a_likelihood_of_ones_own_is_not_in_the_card(tmp_path):
    vae = VAE(small_vae().encoder, small_vae().decoder, OwnLikelihood())
    model = writing.write_model(vae, tmp_path / "mine", RANDOM.integers(0, 256, (40, 16, 16, 3), "uint8"), prior="normal")
    assert "reconstruction" not in model.card["configuration"]
    assert side_by_side.likelihood_of(model.card) is None


def test_labels_of_a_model_that_takes_none_change_nothing(tmp_path):
    pixels = RANDOM.integers(0, 256, (40, 16, 16, 3), "uint8")
    model = writing.write_model(small_vae(), tmp_path / "mine", pixels, labels=np.arange(40) % 3, prior="normal")
    assert not model.labels and model.generate(2)[0].shape == (2, 16, 16, 3)


def test_a_readme_holds_the_metrics_that_its_card_knows():
    card = json.loads((ROOT / "exported" / "cats" / "card.json").read_text())
    text = readme(card)
    assert text == (ROOT / "exported" / "cats" / "README.md").read_text()
    assert "PSNR 22.01 dB" in text
    shorter = readme({key: value for key, value in card.items() if key not in ("held_out", "training_seconds")})
    assert "PSNR" not in shorter
    assert "863 held out), 44 epochs." in shorter


@pytest.mark.parametrize("name", ["cats: 2024", "12", "no", "# cats", 'say "cat"', "cats.v2"])
def test_the_header_of_a_readme_is_yaml_whatever_the_names_are(name):
    yaml = pytest.importorskip("yaml")
    card = json.loads((ROOT / "exported" / "cats" / "card.json").read_text())
    header = yaml.safe_load(readme(card | {"experiment": name, "data": card["data"] | {"name": name}}).split("---\n")[1])
    assert header["datasets"] == [name]
    (model,) = header["model-index"]
    assert model["name"] == name
    assert model["results"][0]["dataset"] == {"name": name, "type": name}


def full_disk(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_failed_export_leaves_the_old_one_whole(exported, run, tmp_path, fails, monkeypatch):
    shutil.copytree(exported, tmp_path / "vae")
    monkeypatch.setattr(writing, "write_generator", full_disk)
    assert "No space left" in fails(export.main, "--model", run, "--out", tmp_path / "vae")
    assert Exported(tmp_path / "vae").generate(1)[0].shape == (1, 16, 16, 3)
    assert set(path.name for path in tmp_path.iterdir()) <= {".vae.lock", "vae"}


def test_an_export_that_another_process_writes_is_refused(run, tmp_path, fails):
    with files.locked(tmp_path / ".vae.lock", "busy"):
        line = fails(export.main, "--model", run, "--out", tmp_path / "vae")
    assert "is being written by another export" in line
    assert not (tmp_path / "vae").exists()


def test_an_export_does_not_replace_a_folder_of_something_else(run, tmp_path, fails):
    (tmp_path / "precious.txt").touch()
    assert "contains precious.txt, which keras_ae did not write" in fails(export.main, "--model", run, "--out", tmp_path)


def test_unfinished_and_missing_runs_cannot_be_exported(tmp_path, run, fails):
    assert "no run in" in fails(export.main, "--model", tmp_path)
    shutil.copytree(run, tmp_path / "half")
    (tmp_path / "half" / "metrics.json").unlink()
    assert "--resume" in fails(export.main, "--model", tmp_path / "half", "--out", tmp_path / "vae")


def test_the_shipped_model_is_small_and_draws_cats():
    folder = ROOT / "exported" / "cats"
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 45e6
    model = Exported(folder)
    assert (model.code_shape, model.task) == ((128,), "identity")
    drawn, _ = model.generate(16)
    assert drawn.shape == (16, 64, 64, 3)
    # neither grey nor all alike
    assert drawn.std(axis=(1, 2, 3)).min() > 15
    assert drawn.astype(float).std(axis=0).mean() > 20
