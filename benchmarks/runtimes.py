"""An export computed by TensorFlow, onnxruntime, LiteRT and the explorer's page: a table of size, start, speed, differences."""

import base64
import importlib.util
import shutil
import statistics
import tempfile
from pathlib import Path

import numpy as np
from timing import timed, wall_time

from keras_ae import commandline
from keras_ae.explorer import page
from keras_ae.exports.litert import Interpreted
from keras_ae.exports.reading import Exported
from keras_ae.images.pictures import to_uint8

BATCHES = (1, 16, 64)
PICTURES = 1000
RUNTIMES = {"TensorFlow": "tensorflow", "onnxruntime": "onnx"}
FILES = {"TensorFlow": "decoder", "onnxruntime": "onnx/decoder.onnx", "LiteRT": "litert/decoder.tflite"}


def _megabytes(path):
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def _speeds(decode, latent_dim):
    """Decoded images a second for each of BATCHES: medians of sixty calls."""
    found = []
    for batch in BATCHES:
        z = np.random.default_rng(0).normal(size=(batch, latent_dim)).astype("float32")
        decode(z)
        found.append(batch / statistics.median(timed(lambda z=z: decode(z)) for _ in range(60)))
    return found


def _page(folder, expected, z):
    """The cells of the explorer's page in headless Chromium, or None where there is none."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not (browser and importlib.util.find_spec("playwright")):
        return None
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        file = Path(place) / "explorer.html"
        file.write_text(page.written(folder), encoding="utf-8")
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = opened.new_page()

        def start():
            tab.goto(file.as_uri())
            tab.wait_for_function("globalThis.explorer")

        start()
        seconds = statistics.median(timed(start) for _ in range(5))
        script = """([codes, expected, count]) => {
          const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const [all, levels] = [new Float32Array(bytes(codes).buffer), bytes(expected)];
          const { model } = explorer;
          let most = 0;
          for (let index = 0; index < count; index++) {
            const picture = model.decode(all.subarray(index * model.latentDim, (index + 1) * model.latentDim));
            const first = index * picture.length;
            picture.forEach((value, at) => {
              const level = Math.round((Math.min(Math.max(value, -1), 1) + 1) * 127.5);
              most = Math.max(most, Math.abs(level - levels[first + at]));
            });
          }
          return most;
        }"""
        texts = [base64.b64encode(values.tobytes()).decode() for values in (z, expected)]
        difference = tab.evaluate(script, [*texts, len(z)])
        script = """(codes) => {
          const began = performance.now();
          for (const z of codes) explorer.model.decode(Float32Array.from(z));
          return (performance.now() - began) / 1000 / codes.length;
        }"""
        speed = 1 / statistics.median(tab.evaluate(script, z[:20].tolist()) for _ in range(5))
        opened.close()
        # it decodes one picture after another
        cells = [f"{file.stat().st_size / 1e6:.1f} (page)", f"{seconds:.2f} (page)", *[f"{speed:.0f}"] * len(BATCHES)]
        return [*cells, str(difference)]


def table(folder):
    """In Markdown: MB of the decoder, seconds of `generate --n 16`, images a second, and differences of 1,000 pictures.

    Runtimes that the export has files for. Differences are the greatest from TensorFlow, of 255. Of the page, its own size, and
    the seconds until it shows its first picture.
    """
    folder = Path(folder)
    present = [name for name, file in FILES.items() if (folder / file).exists()]
    models = {name: Exported(folder, runtime=RUNTIMES[name]) for name in present if name in RUNTIMES}
    expected, z = models["TensorFlow"].generate(PICTURES)
    pictures = {name: model.generate(PICTURES)[0] for name, model in models.items()}
    decoders = {name: model.decode for name, model in models.items()}
    if "LiteRT" in present:
        lite = Interpreted(folder / "litert")
        decoders["LiteRT"] = lambda z: lite.decode(z, None)["images"]
        # the interpreter says that it makes a delegate
        with commandline.native_lines_hidden():
            pictures["LiteRT"] = to_uint8(np.concatenate([decoders["LiteRT"](part) for part in np.split(z, PICTURES // 50)]))
    lines = ["| | decoder, MB | generate --n 16, s | images/s one by one | by 16 | by 64 | difference |", "|---" * 7 + "|"]
    for name, decode in decoders.items():
        starts = "-"
        if runtime := RUNTIMES.get(name):
            with tempfile.TemporaryDirectory() as place:
                command = ["-m", "keras_ae.generate", "--model", str(folder), "--runtime", runtime, "--out", f"{place}/a.png"]
                starts = f"{wall_time(*command):.2f}"
        # one after the other: the threads of onnxruntime wait busily for its next call
        cells = [f"{_megabytes(folder / FILES[name]):.1f}", starts, *(f"{x:.0f}" for x in _speeds(decode, z.shape[1]))]
        cells.append(str(np.abs(pictures[name].astype(int) - expected).max()))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    if "onnxruntime" in present and (cells := _page(folder, expected, z)):
        lines.append(f"| the explorer's page, one core | {' | '.join(cells)} |")
    return "\n".join(lines)
