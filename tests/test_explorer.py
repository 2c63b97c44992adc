"""The explorer: pages in headless Chromium draw what Python draws, and each control does what it says."""

import base64
import json
import re
import shutil
from importlib import resources

import keras
import numpy as np
import pytest

from keras_ae import explore
from keras_ae.explorer import page as pages
from keras_ae.explorer import program
from keras_ae.exports import converting, writing
from keras_ae.exports.reading import Exported
from keras_ae.images import pictures
from keras_ae.models import latents
from keras_ae.priors.flow import Flow

ASSETS = resources.files("keras_ae.explorer") / "assets"
RANDOM = np.random.default_rng(0)
KINDS = ("vae", "cvae", "upscaler", "flow")


@pytest.fixture(scope="module")
def exports(course, tmp_path_factory):
    """The folder of exports, with one more: colour pictures, a flow, and a code that is a map."""
    if not (course / "flow").exists():
        given = keras.Input((16, 16, 3))
        code = latents.Gaussian(32)(keras.layers.Flatten()(keras.layers.Conv2D(8, 4, 4, activation="silu")(given)))
        z = keras.Input((32,))
        layers = [keras.layers.Reshape((2, 2, 8)), keras.layers.GroupNormalization(2), keras.layers.UpSampling2D(2)]
        layers += [keras.layers.Conv2DTranspose(4, 4, 4, activation="silu"), keras.layers.Conv2D(3, 3, padding="same")]
        value = z
        for layer in layers:
            value = layer(value)
        decoder = keras.Model(z, keras.layers.Activation("tanh")(value))
        prior = Flow.fit(RANDOM.normal(size=(2, 300, 32)).astype("float32"), 0, None, width=16, blocks=2, steps=20)
        card = {"experiment": "flow", "data": {"name": "cat_faces", "n_train": 1, "n_test": 1}}
        writing.write(course / "flow", keras.Model(given, code), decoder, prior, card)
    return course


@pytest.fixture(scope="module")
def built(exports, tmp_path_factory):
    """The page of an export, by its name."""
    folder = tmp_path_factory.mktemp("pages")

    def build(name):
        out = folder / f"{name}.html"
        if not out.exists():
            explore.main(["--model", str(exports / name), "--out", str(out)])
        return out

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
        opened = playwright.chromium.launch(executable_path=place, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def shown(browser, built):
    """A function that opens the page of an export; at the end, none may have written an error to the console."""
    contexts, errors = [], []

    def show(name, link="", width=1200, before="", ready=True):
        context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True)
        contexts.append(context)
        tab = context.new_page()
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda message: ready and message.type == "error" and errors.append(message.text))
        tab.add_init_script(before)
        tab.goto(built(name).as_uri() + link)
        tab.wait_for_function(
            "document.getElementById('main').ariaBusy === 'false' || !document.getElementById('failure').hidden"
        )
        return tab

    yield show
    for context in contexts:
        context.close()
    assert errors == []


def array(tab, expression, shape):
    """A Float32Array of the page."""
    values = tab.evaluate(f"Array.from({expression})")
    return np.array(values, "float32").reshape(shape)


def test_the_matrix_product_is_what_its_source_says():
    wasmtime = pytest.importorskip("wasmtime", reason="needs the package wasmtime")
    assert wasmtime.wat2wasm((ASSETS / "matmul.wat").read_text()) == (ASSETS / "matmul.wasm").read_bytes()


def test_programs_are_checked_against_the_operations_of_the_page():
    table = pages.asset("engine.js").partition("export const OPERATIONS = {")[2].partition("\n};")[0]
    assert set(re.findall(r"^  (\w+): ", table, re.MULTILINE)) == program.OPERATIONS


@pytest.mark.parametrize("name", KINDS)
def test_the_page_draws_what_python_draws(shown, exports, name):
    tab = shown(name)
    model = Exported(exports / name, 2 if name == "cvae" else None)
    label = model.label or 0
    for seed, number, temperature in ((0, 0, 1.0), (7, 5, 0.8), (2**31 - 1, 40, 1.2)):
        expected, codes = model.generate(1, seed, temperature, first=number)
        z = array(tab, f"explorer.model.draw({seed}, {number}, {temperature}, {label})", codes.shape)
        # weights of a flow and scales of a mixture are float16
        np.testing.assert_allclose(z, codes, atol=2e-2 * np.abs(codes).max())
        tab.evaluate("z => { globalThis.z = Float32Array.from(z); }", codes[0].tolist())
        found = array(tab, f"explorer.model.decode(z, {label})", (1, *model.shape))
        assert np.abs(pictures.to_uint8(found).astype(int) - expected).max() <= 1
    shape = model.input_shape
    inputs = RANDOM.uniform(-1, 1, (1, *shape)).astype("float32")
    tab.evaluate("x => { globalThis.x = Float32Array.from(x); }", inputs.ravel().tolist())
    expected = model.encode(inputs)
    found = array(tab, f"explorer.model.encode(x, {label})", expected.shape)
    np.testing.assert_allclose(found, expected, atol=1e-2 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("side", [9, 16, 50, 131])
def test_photos_are_resized_as_encode_uint8_does(shown, exports, side):
    import tensorflow as tf

    tab = shown("flow")
    pixels = RANDOM.integers(0, 256, (1, side, side, 3), "uint8")
    encode = tf.saved_model.load(str(exports / "flow" / "encoder")).signatures["encode_uint8"]
    expected = encode(images=tf.constant(pixels))["z"].numpy()
    opaque = np.concatenate([pixels, np.full((1, side, side, 1), 255, "uint8")], axis=-1)
    text = base64.b64encode(opaque.tobytes()).decode()
    script = "text => { globalThis.pixels = Uint8ClampedArray.from(atob(text), (letter) => letter.charCodeAt(0)); }"
    tab.evaluate(script, text)
    found = array(tab, f"explorer.model.encodePixels(pixels, {side}, 0).z", expected.shape)
    np.testing.assert_allclose(found, expected, atol=1e-2 * max(1, np.abs(expected).max()))


LAYERS = {
    "normalization": [keras.layers.Conv2D(5, 3, 2, "same"), keras.layers.BatchNormalization(), keras.layers.LeakyReLU(0.2)],
    "odd strides": [keras.layers.Conv2D(4, 3, 2, "valid"), keras.layers.Conv2DTranspose(3, 3, 2, "same", activation="elu")],
    "upsampling": [keras.layers.UpSampling2D(2), keras.layers.UpSampling2D(2, interpolation="bilinear")],
    "layer normalization": [keras.layers.Flatten(), keras.layers.Dense(9, "softplus"), keras.layers.LayerNormalization()],
    "groups": [keras.layers.Conv2D(6, 3, groups=3, dilation_rate=2), keras.layers.Conv2D(40, 5, padding="same")],
    "strips": [keras.layers.Conv2D(70, 3, padding="same", activation="relu"), keras.layers.Conv2D(5, 7, 3, "same")],
}


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_the_engine_computes_other_layers(browser, layers, tmp_path):
    model = keras.Sequential([keras.Input((18, 18, 3)), *layers])
    model = keras.Model(model.inputs[0], model.outputs[0])
    model.set_weights([RANDOM.uniform(0.1, 0.5, weights.shape) for weights in model.get_weights()])
    outputs = {"y": (lambda found: found, model.outputs[0])}
    (tmp_path / "own.onnx").write_bytes(converting.written(model, ["images"], outputs, False, {}))
    store = program.Store()
    made = program.program(tmp_path / "own.onnx", ["y"], store, "own.onnx")
    inputs = RANDOM.uniform(-1, 1, (2, 18, 18, 3)).astype("float32")
    tab = browser.new_page()
    tab.add_script_tag(content=pages.asset("engine.js") + "globalThis.engine = { Memory, Network };", type="module")
    script = """({ made, store, wasm, shape, given }) => {
      const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      const all = bytes(store);
      const numbers = ({ shape, at }) => new Float32Array(all.buffer, at, shape.reduce((a, b) => a * b, 1));
      const network = new engine.Network(new engine.Memory(bytes(wasm)), made, numbers);
      const numbersIn = new Float32Array(bytes(given).buffer);
      network.run({ images: { shape, numbers: numbersIn } });
      return Array.from(network.run({ images: { shape, numbers: numbersIn } }).y.numbers);
    }"""
    tab.wait_for_function("globalThis.engine")
    text = {"store": store.joined(), "wasm": (ASSETS / "matmul.wasm").read_bytes(), "given": inputs.tobytes()}
    text = {key: base64.b64encode(value).decode() for key, value in text.items()}
    expected = np.asarray(model(inputs))
    found = np.array(tab.evaluate(script, {"made": made, "shape": inputs.shape, **text})).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def picture(tab):
    """What the large canvas shows, once it is painted."""
    tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return tab.evaluate("document.getElementById('picture').toDataURL()")


def test_new_reset_seed_temperature_and_links(shown):
    tab = shown("flow")
    first = picture(tab)
    assert tab.evaluate("location.hash") == "#seed=0&picture=0"
    tab.click("#new")
    second = picture(tab)
    assert second != first
    assert tab.input_value("#number") == "1"
    tab.locator("#sliders input").first.fill("2")
    moved = picture(tab)
    assert moved != second
    assert "moves=2_0" in (link := tab.evaluate("location.hash"))
    assert picture(shown("flow", link)) == moved
    tab.click("#reset")
    assert picture(tab) == second
    tab.fill("#temperature", "0.5")
    cooler = picture(tab)
    assert cooler != second
    tab.fill("#seed", "3")
    tab.keyboard.press("Enter")
    assert picture(tab) not in (first, second, cooler)
    assert "seed=3&picture=1&temperature=0.5" in tab.evaluate("location.hash")
    tab.fill("#seed", "-3")
    tab.keyboard.press("Enter")
    assert "whole number from 0" in tab.inner_text("#status")
    with tab.expect_download() as download:
        tab.click("#download")
    assert download.value.suggested_filename == "cat_3_1.png"
    assert pictures.read(download.value.path(), 16).shape == (16, 16, 3)
    for wrong in ("#seed=-1", "#code=AAAA", "#moves=99", "#seed=x", "#temperature=9"):
        # again where the page, which was still drawing, has put its own link in place
        tab.wait_for_function(
            """link => {
                location.hash = link;
                return document.getElementById('status').textContent.includes('does not fit');
            }""",
            arg=wrong,
        )
        tab.evaluate("location.hash = 'seed=0'")
        tab.wait_for_function("document.getElementById('status').textContent === ''")
    assert picture(tab) == first


def test_ends_of_sliders_and_the_keyboard(shown):
    tab = shown("flow")
    first = picture(tab)
    ends = tab.locator("#sliders .slider").first.locator("button")
    assert ends.nth(1).get_attribute("aria-label") == "brightness: brighter face"
    ends.nth(1).click()
    assert picture(tab) != first
    assert tab.locator("#sliders output").first.inner_text() == "3.0"
    tab.keyboard.press("r")
    assert picture(tab) == first
    tab.keyboard.press("n")
    assert picture(tab) != first
    tab.focus("#tab-change")
    tab.keyboard.press("ArrowRight")
    assert tab.locator("#map").is_visible()
    assert tab.evaluate("document.activeElement.id") == "tab-map"
    before = picture(tab)
    tab.focus("#tiles")
    tab.keyboard.press("ArrowDown")
    assert picture(tab) != before
    assert tab.evaluate("location.hash").startswith("#code=")


def test_the_map_morphs_and_sums(shown):
    tab = shown("flow")
    first = picture(tab)
    tab.click("#tab-map")
    tab.click("#tiles", position={"x": 3, "y": 3})
    assert picture(tab) == first
    box = tab.locator("#tiles").bounding_box()
    tab.click("#tiles", position={"x": box["width"] - 3, "y": 3})
    corner = picture(tab)
    assert corner != first
    tab.click("#tab-morph")
    tab.click("#reset")
    tab.click("#set-first")
    tab.click("#new")
    second = picture(tab)
    tab.click("#set-second")
    tab.fill("#between", "0")
    assert picture(tab) == first
    tab.fill("#between", "1")
    assert picture(tab) == second
    tab.click("#play")
    tab.wait_for_timeout(300)
    assert picture(tab) != second
    tab.click("#play")
    assert tab.inner_text("#play") == "Play"
    tab.click("#tab-mix")
    tab.wait_for_function("document.getElementById('shelf').children.length === 12")
    for cell, one in (("A", 4), ("B", 4), ("C", 2)):
        tab.locator("#shelf button").nth(one).click()
        tab.click(f"[aria-label='Cell {cell}']")
        tab.locator("#shelf button").nth(one).click()
    tab.locator("#shelf button").nth(7).drag_to(tab.locator("[aria-label='Cell C']"))
    tab.click("[aria-label='The result: show it']")
    # A and B are the same: the sum is C
    shown_now = array(tab, "explorer.model.decode(explorer.state.z)", (16, 16, 3))
    tab.locator("#shelf button").nth(7).click()
    tab.click("#tab-change")
    assert tab.evaluate("explorer.state.drawn") is False
    assert shown_now.std() > 0
    sevenths = tab.evaluate("document.querySelectorAll('#shelf canvas')[7].toDataURL()")
    assert picture(tab) == sevenths


def test_a_photo_is_rebuilt(shown, tmp_path):
    tab = shown("flow")
    file = tmp_path / "photo.png"
    pictures.write_png(file, RANDOM.integers(0, 256, (40, 60, 3), "uint8"))
    tab.click("#tab-photo")
    tab.set_input_files("#file", file)
    tab.wait_for_function("document.getElementById('status').textContent.startsWith('Rebuilt')")
    whole = picture(tab)
    assert whole == tab.evaluate("document.getElementById('rebuilt').toDataURL()")
    tab.fill("#zoom", "2")
    closer = picture(tab)
    assert closer != whole
    tab.focus("#seen")
    tab.keyboard.press("ArrowRight")
    assert picture(tab) != closer
    tab.click("#new")
    tab.click("#again")
    assert picture(tab) == tab.evaluate("document.getElementById('rebuilt').toDataURL()")
    (tmp_path / "notes.png").write_text("no picture")
    tab.set_input_files("#file", tmp_path / "notes.png")
    tab.wait_for_function("document.getElementById('status').textContent.includes('notes.png is not a picture')")


def test_classes_and_planes(shown, exports):
    tab = shown("cvae")
    first = picture(tab)
    tab.locator("#classes button").nth(3).click()
    assert picture(tab) != first
    assert "label=3" in tab.evaluate("location.hash")
    tab = shown("vae")
    assert tab.locator("#sliders .slider").count() == 2
    tab.click("#tab-map")
    assert "two numbers" in tab.inner_text("#map-hint")
    assert tab.locator("#corners").is_hidden()
    before = picture(tab)
    tab.click("#tiles", position={"x": 5, "y": 5})
    assert picture(tab) != before
    assert tab.evaluate("location.hash").startswith("#code=")


def test_browsers_that_cannot_show_it_are_named(shown):
    tab = shown("vae", before="delete globalThis.WebAssembly", ready=False)
    assert "no WebAssembly" in tab.inner_text("#failure")
    assert tab.evaluate("document.getElementById('failure').getClientRects().length") == 1
    tab = shown("vae", before="delete globalThis.DecompressionStream", ready=False)
    assert "too old" in tab.inner_text("#failure")


@pytest.mark.parametrize("width", [1280, 820, 360])
def test_nothing_is_wider_than_the_window(shown, width):
    tab = shown("flow", width=width)
    for name in ("change", "map", "morph", "mix", "photo"):
        tab.click(f"#tab-{name}")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_needs_no_network_and_is_repeatable(browser, built, exports, tmp_path):
    tab = browser.new_page()
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(built("flow").as_uri())
    tab.wait_for_function("globalThis.explorer")
    assert [url for url in asked if not url.startswith("blob:")] == [built("flow").as_uri()]
    explore.main(["--model", str(exports / "flow"), "--out", str(tmp_path / "again.html")])
    assert (tmp_path / "again.html").read_text() == built("flow").read_text()


def test_wrong_inputs_end_in_one_line(exports, tmp_path, fails, monkeypatch):
    copied = shutil.copytree(exports / "vae", tmp_path / "model")
    line = fails(explore.main, "--model", copied, "--out", tmp_path / "a.png")
    assert "--out must end in .html" in line
    monkeypatch.setattr(program, "OPERATIONS", program.OPERATIONS - {"Tanh"})
    line = fails(explore.main, "--model", copied, "--out", tmp_path / "a.html")
    assert "cannot compute the operation Tanh of" in line
    monkeypatch.undo()
    file = copied / "onnx" / "decoder.onnx"
    file.write_bytes(file.read_bytes()[:1000])
    assert "onnx/decoder.onnx is damaged" in fails(explore.main, "--model", copied, "--out", tmp_path / "a.html")
    card = json.loads((copied / "card.json").read_text())
    card.pop("files")
    (copied / "card.json").write_text(json.dumps(card))
    line = fails(explore.main, "--model", copied, "--out", tmp_path / "a.html", "--runtime", "tensorflow")
    assert "onnx/decoder.onnx is not an ONNX file that loads" in line
    shutil.rmtree(copied / "onnx")
    line = fails(explore.main, "--model", copied, "--out", tmp_path / "a.html")
    assert "has no onnx/, which the page is made from" in line
    assert not (tmp_path / "a.html").exists()
