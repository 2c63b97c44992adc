"""An export computed by TensorFlow, onnxruntime and LiteRT: size, start, speed and differences; a table for bench.py."""

import statistics
import tempfile
from pathlib import Path

import numpy as np
from timing import timed, wall_time

from keras_ae.exports.litert import Interpreted
from keras_ae.exports.reading import Exported
from keras_ae.media.images import to_uint8

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


def table(folder):
    """In Markdown: MB of the decoder, seconds of `generate --n 16`, images a second, and differences of 1,000 pictures.

    Runtimes that the export has files for. Differences are the greatest from TensorFlow, of 255.
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
    return "\n".join(lines)
