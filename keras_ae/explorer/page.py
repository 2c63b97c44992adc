"""The explorer of an export: its networks, its prior and the controls in one HTML page without a server.

The page holds the export's ONNX files and onnxruntime-web, which runs them; all are deflated, in base64. Browsers need
WebAssembly with SIMD and DecompressionStream: Chrome 123, Firefox 120, Safari 17.5 and later.
"""

import base64
import re
import zlib
from importlib import resources

import numpy as np

from keras_ae.data.sources import encode_png
from keras_ae.errors import UserError
from keras_ae.exports.load import Exported
from keras_ae.files import render
from keras_ae.images import pictures, properties
from keras_ae.priors import space

# each needs only scripts before it, and the names at their top levels differ
SCRIPTS = ("random", "model", "tools", "page")
NETWORKS = ("decoder", "encoder", "resize", "velocity", "step")
# what the two ends of a property look like
ENDS = {
    "brightness": ("darker face", "brighter face"),
    "background": ("darker background", "brighter background"),
    "warmth": ("colder colours", "warmer colours"),
    "muzzle": ("darker lower half of the face", "brighter lower half of the face"),
    "side_light": ("light from the left", "light from the right"),
}


def find_principal(images, codes, count):
    """Directions of codes (n, latent_dim) that move images (n, H, W, C) along their principal components, (count, latent_dim).

    The codes are regressed on the leading components of the images: the first direction changes most pixels.
    """
    centred = images.reshape(len(images), -1) - images.reshape(len(images), -1).mean(axis=0)
    # by the Gram matrix, as large as the number of images: scikit-learn is not part of a small installation
    variances, scores = np.linalg.eigh(centred @ centred.T)
    scores = scores[:, : -count - 1 : -1] * np.sqrt(np.maximum(variances[: -count - 1 : -1], 0))
    # the sign of an eigenvector is that of its greatest number
    return space.separate(codes, scores * np.sign(scores[np.abs(scores).argmax(axis=0), range(count)]))


def find_sliders(images, codes, count=6):
    """The sliders of a model: a list of (name, (low end, high end), direction (latent_dim,)).

    images: uint8 (n, H, W, C), drawn of codes (n, latent_dim). Properties with names come first, for images in colour; then
    `count` principal directions. Codes of two numbers have these.
    """
    if codes.shape[1] <= 2:
        return [(f"number {at + 1}", ("smaller", "larger"), step) for at, step in enumerate(np.diag(codes.std(axis=0)))]
    floats = pictures.to_float(images)
    named = []
    if floats.shape[-1] == 3:
        steps = space.separate(codes, properties.measure(floats))
        named = [(name.replace("_", " "), ENDS[name], step) for name, step in zip(properties.PROPERTIES, steps, strict=True)]
    count = min(count if named else count + 2, codes.shape[1], len(codes))
    steps = find_principal(floats, codes, count)
    unnamed = [(f"direction {at + 1}", ("one end", "the other end"), step) for at, step in enumerate(steps)]
    return [slider for slider in named + unnamed if np.any(slider[2])]


def read_asset(name):
    """The bytes of a file in assets/."""
    return (resources.files(__package__) / "assets" / name).read_bytes()


def list_files(model, arrays):
    """The files that the page holds, deflated: {name: bytes}. arrays: of the prior."""
    files = {f"prior.{name}": values.astype("<f4").tobytes() for name, values in arrays.items()}
    networks = [model.folder / "onnx" / f"{name}.onnx" for name in NETWORKS]
    files |= {file.name: file.read_bytes() for file in networks if file.exists()}
    files["runtime.mjs"] = read_asset("onnxruntime-web.mjs")
    # no package index but npm has this file, and a page has to be made without network: it is part of this package
    runtime = {"runtime.wasm": read_asset("onnxruntime-web.wasm.deflated")}
    return {name: zlib.compress(values, 9) for name, values in files.items()} | runtime


def describe(model, noun, seed, first, prior, arrays):
    """What the scripts know of an export, for JSON. first: the code shown first. prior, arrays: its name, and its arrays."""
    # sliders are learned from these
    images, codes = model.generate(1000)
    sliders = find_sliders(images, codes)
    return {
        "seed": seed,
        "first": first.tolist(),
        "noun": noun,
        "fit": model.fit,
        "shape": model.shape,
        "inputShape": model.input_shape,
        "latentDim": model.latent_dim,
        "labels": model.labels,
        # pictures of a visitor have one or three bands
        "encodes": (model.folder / "onnx" / "encoder.onnx").exists() and model.input_shape[2] in (1, 3),
        "prior": prior,
        "priorArrays": list(arrays),
        "directions": [{"name": name, "ends": ends, "step": step.round(6).tolist()} for name, ends, step in sliders],
        "mean": codes.mean(axis=0).tolist(),
        "deviation": codes.std(axis=0).tolist(),
    }


def page_html(folder, seed=0, runtime="auto"):
    """The page for the export in `folder`, HTML as text; seed: of the picture that it shows first.

    Raises UserError if the export has no ONNX files or no prior.
    """
    model = Exported(folder, runtime=runtime)
    if not (path := model.folder / "onnx" / "prior.npz").exists():
        reason = model.card.get("onnx", {}).get("missing", "export the model again with python -m keras_ae.export")
        raise UserError(f"{folder} has no onnx/, which the page is made from: {reason}")
    with np.load(path) as file:
        arrays = dict(file)
    prior, data = str(arrays.pop("prior")), model.card.get("data", {}).get("name", "")
    noun = "cat" if "cat" in data else "digit" if data in ("digits", "mnist") else "picture"
    first_image, first_code = (array[0] for array in model.generate(1, seed))
    # one module: without imports of each other and the word export
    script = "\n".join(read_asset(f"{name}.js").decode() for name in SCRIPTS)
    script = re.sub(r'^(import .* from "\./.*";\n|export )', "", script, flags=re.MULTILINE)
    height, width, channels = model.input_shape
    return render(
        __package__,
        "page.html",
        title=f"Explore the {noun}s of {model.card['experiment']}",
        noun=noun,
        latent_dim=model.latent_dim,
        psnr=model.card.get("held_out", {}).get("psnr"),
        shown=pictures.describe_fit(model.input_shape, model.fit).replace("the picture", "your picture"),
        size=f"{width}x{height}{' in grey' * (channels == 1)}",
        ratio=f"{model.shape[1]} / {model.shape[0]}",
        preview=base64.b64encode(encode_png(pictures.to_pillow(first_image))).decode(),
        style=read_asset("style.css").decode(),
        script=script,
        model=describe(model, noun, seed, first_code, prior, arrays),
        files={name: base64.b64encode(packed).decode() for name, packed in list_files(model, arrays).items()},
    )
