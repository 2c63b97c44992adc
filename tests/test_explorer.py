"""The explorer: pages in headless Chromium draw what Python draws, and each control does what it says."""

import shutil

import keras
import numpy as np
import pytest
from conftest import CATS
from keras import layers

from keras_ae import explore
from keras_ae.exports import save
from keras_ae.exports.load import Exported
from keras_ae.images import pictures
from keras_ae.models import latents
from keras_ae.priors.autoregressive import Autoregressive, transformer
from keras_ae.priors.flow import Flow, velocity_network
from keras_ae.priors.mixture import Mixture, Normal

RANDOM = np.random.default_rng(0)


def write_export(folder, shape, small, latent_dim, prior, data, classes=0, fit="crop"):
    """An export of networks that were not trained, with a code that is a map in colour; `small` is what its encoder takes."""
    images, z = keras.Input(small, name="images"), keras.Input((latent_dim,), name="z")
    label = [keras.Input((), dtype="int32", name="label")] * bool(classes)
    one_hot = [layers.CategoryEncoding(classes, output_mode="one_hot")(layers.Reshape((1,))(one)) for one in label]

    def joined(x):
        return layers.Concatenate()([x, *one_hot]) if label else x

    x = layers.Flatten()(layers.Conv2D(8, 4, 4, activation="silu")(images))
    encoder = keras.Model([images, *label] if label else images, latents.Gaussian(latent_dim)(joined(x)))
    x = layers.Reshape((2, 2, 8))(layers.Dense(32)(joined(z)))
    x = layers.UpSampling2D(2)(layers.GroupNormalization(2)(x))
    x = layers.Conv2DTranspose(4, 4, (shape[0] // 4, shape[1] // 4), padding="same", activation="silu")(x)
    x = layers.Activation("tanh")(layers.Conv2D(shape[-1], 3, padding="same")(x))
    card = {"experiment": folder.name, "data": {"name": data, "n_train": 1, "n_test": 1}, "labels": list("abcd"[:classes])}
    card["fit"] = fit
    save.write(folder, encoder, keras.Model([z, *label] if label else z, x), prior, card)


@pytest.fixture(scope="session")
def exports(once, portable_files):
    """Exports: a flow in colour, a mixture with classes in grey, codes of two numbers with a larger picture, cells in bands."""

    def make(root):
        keras.utils.set_random_seed(0)
        weights = RANDOM.normal(size=velocity_network(32, 16, 2).count_params(), scale=0.3).astype("float16")
        flow = Flow(RANDOM.normal(size=32).astype("float32"), np.eye(32, dtype="float32"), 16, 2, 0, weights)
        mixture = Mixture.fit(RANDOM.normal(size=(2, 300, 6)).astype("float32") ** 3, 0)
        weights = RANDOM.normal(size=transformer(3, 3, 8, 1)[0].count_params(), scale=0.3).astype("float16")
        cells = Autoregressive(np.array([[-1, 0], [0, 1], [1, -1]], "float32"), 3, 8, 1, 0, weights)
        write_export(root / "cells", (8, 8, 13), (8, 8, 13), 6, cells, "satellite")
        write_export(root / "flow", (16, 16, 3), (16, 16, 3), 32, flow, "cat_faces")
        write_export(root / "classes", (8, 12, 1), (8, 12, 1), 6, mixture, "digits", classes=4, fit="pad")
        write_export(root / "plane", (16, 12, 3), (8, 6, 3), 2, Normal(2), "textures")

    with portable_files("onnx"), pytest.MonkeyPatch.context() as patch:
        # pages are made from onnx/ alone
        for name in ("encoder", "decoder", "generator"):
            patch.setattr(save, f"write_{name}", lambda *_: None)
        return once("explored", make)


@pytest.fixture(scope="session")
def built(exports, once):
    """The page of an export, by its name."""

    def build(name):
        words = ["--model", str(CATS if name == "cats" else exports / name), "--out"]
        return once(f"page_{name}", lambda out: explore.main([*words, str(out / "page.html")])) / "page.html"

    return build


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    place = shutil.which("chromium") or shutil.which("google-chrome")
    if not place:
        pytest.skip("needs Chromium, such as Debian's package chromium")
    with sync_api.sync_playwright() as playwright:
        # the sandbox of the browser needs rights that containers do not have; the pages are our own
        chromium = playwright.chromium.launch(executable_path=place, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def shown(browser, built):
    """A function that opens the page of an export; at the end, none may have written an error or asked for a file."""
    contexts, errors = [], []

    def show(name, link="", width=1200, before="", ready=True):
        context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True)
        contexts.append(context)
        tab = context.new_page()
        address = built(name).as_uri()
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda message: ready and message.type == "error" and errors.append(message.text))
        tab.on("request", lambda request: request.url.startswith(("blob:", address)) or errors.append(request.url))
        tab.add_init_script(before)
        tab.goto(address + link)
        tab.wait_for_function("globalThis.explorer || !document.getElementById('failure').hidden")
        return tab

    yield show
    for context in contexts:
        context.close()
    assert errors == []


def picture(tab):
    """What the large canvas shows, once it is painted."""
    tab.wait_for_function("document.getElementById('picture').ariaBusy === 'false'")
    return tab.evaluate("document.getElementById('picture').toDataURL()")


def compute(tab, call, *arguments):
    """The numbers that a method of the page's model gives; arrays are passed as Float32Array."""
    given = [one.ravel().tolist() if isinstance(one, np.ndarray) else one for one in arguments]
    script = """async ([call, given]) => {
        const values = given.map((one) => (Array.isArray(one) ? Float32Array.from(one) : one));
        return Array.from(await explorer.model[call](...values));
    }"""
    return np.array(tab.evaluate(script, [call, given]), "float32")


@pytest.mark.parametrize("name", ["flow", "classes", "plane", "cells", "cats"])
def test_the_page_draws_and_encodes_what_python_does(shown, exports, name):
    if name == "cats" and not CATS.exists():
        pytest.skip("needs exported/cats, which an sdist has not")
    tab = shown(name)
    model = Exported(CATS if name == "cats" else exports / name, 2 if name == "classes" else None, "auto")
    label = model.label or 0
    # a photo has one or three bands
    assert tab.locator("#tab-photo").is_hidden() == (name == "cells")
    for seed, number, temperature in ((0, 0, 1.0), (0, 1, 1.0), (2**31 - 1, 40, 0.8)):
        expected, codes = model.generate(1, seed, temperature, first=number)
        z = compute(tab, "draw", seed, number, temperature, label)
        np.testing.assert_allclose(z, codes[0], atol=1e-4 * np.abs(codes).max())
        image = compute(tab, "decode", z, label).reshape(1, *model.shape)
        assert np.abs(pictures.to_uint8(image).astype(int) - expected).max() <= 1
    inputs = RANDOM.uniform(-1, 1, (1, *model.input_shape)).astype("float32")
    expected = model.encode(inputs)[0]
    np.testing.assert_allclose(compute(tab, "encode", inputs, label), expected, atol=1e-2 * max(1, np.abs(expected).max()))


def test_new_reset_seed_temperature_and_links(shown):
    tab = shown("flow")
    first = picture(tab)
    assert tab.evaluate("location.hash") == "#seed=0&picture=0"
    tab.click("#new")
    second = picture(tab)
    assert tab.input_value("#number") == "1"
    tab.locator("#sliders input").first.fill("2")
    moved = picture(tab)
    assert "moves=2_0" in (link := tab.evaluate("location.hash"))
    assert picture(shown("flow", link)) == moved
    tab.click("#reset")
    assert picture(tab) == second
    tab.fill("#temperature", "0.5")
    cooler = picture(tab)
    tab.fill("#seed", "3")
    tab.keyboard.press("Enter")
    assert len({first, second, moved, cooler, picture(tab)}) == 5
    assert "seed=3&picture=1&temperature=0.5" in tab.evaluate("location.hash")
    with tab.expect_download() as download:
        tab.click("#download")
    assert download.value.suggested_filename == "cat_3_1.png"
    assert pictures.read(download.value.path(), (16, 16, 3)).shape == (16, 16, 3)
    tab.fill("#seed", "-3")
    tab.keyboard.press("Enter")
    assert "whole number from 0" in tab.inner_text("#status")
    for wrong in ("#seed=-1", "#code=1_2", "#moves=99", "#seed=x", "#temperature=9"):
        tab.evaluate("link => { location.hash = link; }", wrong)
        tab.wait_for_function("document.getElementById('status').textContent.includes('does not fit')")
        tab.evaluate("location.hash = 'seed=0'")
        tab.wait_for_function("document.getElementById('status').textContent === ''")
    assert picture(tab) == first


def test_the_map_morphs_and_sums(shown):
    tab = shown("flow")
    first = picture(tab)
    tab.click("#tab-map")
    # the marker is placed when the four corners are drawn
    tab.wait_for_function("document.getElementById('marker').style.left")
    tab.click("#tiles", position={"x": 3, "y": 3})
    assert picture(tab) == first
    tab.focus("#tiles")
    tab.keyboard.press("ArrowDown")
    assert picture(tab) != first
    assert tab.evaluate("location.hash").startswith("#code=")
    tab.click("#tab-morph")
    tab.click("#reset")
    assert picture(tab) == first
    tab.click("#set-first")
    tab.click("#new")
    second = picture(tab)
    tab.click("#set-second")
    for position, expected in (("0", first), ("1", second)):
        tab.fill("#between", position)
        assert picture(tab) == expected
    tab.click("#play")
    tab.wait_for_timeout(300)
    tab.click("#play")
    assert picture(tab) != second
    assert tab.inner_text("#play") == "Play"
    tab.click("#tab-sum")
    tab.wait_for_function("document.getElementById('shelf').children.length === 12")
    for cell, one in (("A", 4), ("B", 4), ("C", 7)):
        tab.locator("#shelf button").nth(one).click()
        tab.click(f"[aria-label='Cell {cell}']")
        tab.locator("#shelf button").nth(one).click()
    tab.click("[aria-label='The result: show it']")
    # A and B are the same: the sum is C
    assert picture(tab) == tab.evaluate("document.querySelectorAll('#shelf canvas')[7].toDataURL()")


@pytest.mark.parametrize("name", ["classes", "plane"])
def test_a_photo_becomes_the_picture_that_python_reads(shown, exports, tmp_path, name):
    tab, model, path = shown(name), Exported(exports / name, runtime="onnx"), tmp_path / "photo.png"
    pictures.write_png(path, RANDOM.integers(0, 256, (40, 90, 3), "uint8"))
    tab.click("#tab-photo")
    tab.set_input_files("#file", path)
    tab.wait_for_function("document.getElementById('status').textContent.startsWith('Rebuilt')")
    script = """() => {
        const { width, height } = document.getElementById("seen");
        return Array.from(document.getElementById("seen").getContext("2d").getImageData(0, 0, width, height).data);
    }"""
    seen = np.array(tab.evaluate(script), int).reshape(*model.input_shape[:2], 4)[..., : model.input_shape[-1]]
    # Pillow clips between its two passes
    assert np.abs(seen - pictures.read(path, model.input_shape, fit=model.fit)).mean() < 3


def test_a_photo_is_rebuilt(shown, tmp_path):
    tab = shown("flow")
    pictures.write_png(tmp_path / "photo.png", RANDOM.integers(0, 256, (40, 60, 3), "uint8"))
    (tmp_path / "notes.png").write_text("no picture")
    rebuilt = "document.getElementById('rebuilt').toDataURL()"
    tab.click("#tab-photo")
    tab.set_input_files("#file", tmp_path / "photo.png")
    tab.wait_for_function("document.getElementById('status').textContent.startsWith('Rebuilt')")
    assert picture(tab) == tab.evaluate(rebuilt)
    for change in (lambda: tab.fill("#zoom", "2"), lambda: tab.locator("#seen").press("ArrowRight")):
        before = tab.evaluate(rebuilt)
        change()
        tab.wait_for_function(f"before => {rebuilt} !== before", arg=before)
    tab.click("#new")
    tab.click("#again")
    assert picture(tab) == tab.evaluate(rebuilt)
    tab.set_input_files("#file", tmp_path / "notes.png")
    tab.wait_for_function("document.getElementById('status').textContent.includes('notes.png is not a picture')")


def test_classes_and_the_plane_of_two_numbers(shown):
    tab = shown("classes")
    first = picture(tab)
    tab.locator("#classes button").nth(3).click()
    tab.wait_for_function("location.hash.includes('label=3')")
    assert picture(tab) != first
    tab = shown("plane")
    assert tab.locator("#sliders .slider").count() == 2
    tab.click("#tab-map")
    assert "two numbers" in tab.inner_text("#map-hint")
    before = picture(tab)
    tab.click("#tiles", position={"x": 5, "y": 5})
    assert picture(tab) != before


def test_browsers_that_cannot_show_it_are_named(shown):
    tab = shown("plane", before="delete globalThis.DecompressionStream", ready=False)
    assert "too old, or has no WebAssembly" in tab.inner_text("#failure")


def test_nothing_is_wider_than_a_small_window(shown):
    tab = shown("flow", width=360)
    for name in ("change", "map", "morph", "sum", "photo"):
        tab.click(f"#tab-{name}")
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_page_is_repeatable_and_small_enough(built, exports, tmp_path):
    explore.main(["--model", str(exports / "plane"), "--out", str(tmp_path / "again.html")])
    assert (tmp_path / "again.html").read_text() == built("plane").read_text()
    assert not CATS.exists() or built("cats").stat().st_size < 18e6


def test_wrong_inputs_end_in_one_line(exports, tmp_path, fails):
    copied = shutil.copytree(exports / "plane", tmp_path / "model")
    assert "must end in .html" in fails(explore.main, "--model", copied, "--out", tmp_path / "a.png")
    shutil.rmtree(copied / "onnx")
    line = fails(explore.main, "--model", copied, "--out", tmp_path / "a.html")
    assert "has no onnx/, which the page is made from" in line
    assert not (tmp_path / "a.html").exists()
