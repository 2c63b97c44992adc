"""The explorer of an export: its networks, its prior and the controls in one HTML page without a server.

The page has the modules of assets/, the programs of `program.program`, and all numbers, deflated, in base64. Browsers need
WebAssembly with SIMD and DecompressionStream: Chrome 123, Firefox 120, Safari 17.5 and later.
"""

import base64
import html
import json
import re
import zlib
from importlib import resources

import numpy as np

from keras_ae import errors
from keras_ae.explorer import program, ways
from keras_ae.exports import card as cards
from keras_ae.exports.reading import Exported

# each needs only modules before it; the last one starts the page
MODULES = "engine random resize model drawing state sliders map morph mix photo page".split()
NOUNS = {
    "cat_faces": "cat",
    "synthetic_cats": "cat",
    "simple_cats": "cat",
    "digits": "digit",
    "mnist": "digit",
}
EXPORTED = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
IMPORTED = re.compile(r'^import (\{[^}]*\}) from "\./(\w+)\.js";$', re.MULTILINE)


def asset(name):
    """The text of a file in assets/."""
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


def script():
    """All modules as one: each becomes a function that returns what it exports, so that their other names stay apart."""
    parts = []
    for name in MODULES:
        text = IMPORTED.sub(r"const \1 = $\2;", asset(f"{name}.js"))
        names = EXPORTED.findall(text)
        text = EXPORTED.sub("", text)
        parts.append(f"const ${name} = (() => {{\n{text}return {{ {', '.join(names)} }};\n}})();" if names else text)
    return "\n".join(parts)


def _prior(model, store):
    """What the page draws codes from: {"name", "arrays": {name: constant}}."""
    with np.load(model.place / "onnx" / "prior.npz") as file:
        arrays = dict(file)
    name = str(arrays.pop("prior"))
    if name == "normal":
        return {"name": name, "arrays": {}}
    halved = {key: values.astype("float16" if values.ndim > 1 else "float32") for key, values in arrays.items()}
    return {"name": name, "arrays": {key: store.add(key, values) for key, values in halved.items()}}


def _programs(model, store):
    """The program of each network, by its name."""
    outputs = {"decoder": "images", "encoder": "z", "velocity": "velocity"}
    programs = {}
    for name, output in outputs.items():
        file = f"onnx/{name}.onnx"
        if (model.place / file).exists():
            cards.verify(model.place, model.folder, file, model.card)
            programs[name] = program.program(model.place / file, [output], store, model.folder / file)
    return programs


def described(model, seed, store):
    """What the page knows of an export, for JSON; numbers go to the store."""
    programs = _programs(model, store)
    pictures, codes = model.generate(ways.EXAMPLES)
    sliders = ways.found(pictures, codes)
    wasm = (resources.files(__package__) / "assets" / "matmul.wasm").read_bytes()
    data = model.card.get("data", {}).get("name", "")
    made = {
        "seed": seed,
        "noun": NOUNS.get(data, "picture"),
        "shape": model.shape,
        "inputShape": model.input_shape,
        "latentDim": model.latent_dim,
        "labels": model.labels,
        "programs": programs,
        "prior": _prior(model, store),
        "directions": [
            {"name": name, "ends": ends, "way": store.add(name, way.astype("float32"))} for name, ends, way in sliders
        ],
        "middle": codes.mean(axis=0).tolist(),
        "spread": codes.std(axis=0).tolist(),
    }
    return made | {"wasm": store.add_bytes(wasm)}


def written(folder, seed=0, runtime="auto"):
    """The HTML of the page for the export in `folder`, as text; seed: of the picture that it shows first.

    Raises UserError if it has no ONNX files or no prior, or an operation that the page cannot compute.
    """
    model = Exported(folder, runtime=runtime)
    if not (model.place / "onnx" / "prior.npz").exists():
        reason = model.card.get("onnx", {}).get("missing", "export the model again with python -m keras_ae.export")
        raise errors.UserError(f"{folder} has no onnx/, which the page is made from: {reason}")
    store = program.Store()
    known = described(model, seed, store)
    noun = known["noun"]
    name = model.card.get("experiment", model.folder.name)
    held_out = model.card.get("held_out", {})
    quality = f" Held-out pictures are rebuilt with a PSNR of {held_out['psnr']:.2f} dB." if "psnr" in held_out else ""
    height, width, channels = model.input_shape
    colours = "in colour" if channels == 3 else "in grey"
    values = {
        "title": f"Explore the {noun}s of {name}",
        "subtitle": f"Every {noun} is {model.latent_dim} numbers, a code. A decoder in this page draws codes.{quality}",
        "noun": noun,
        "latent_dim": model.latent_dim,
        "photo_hint": f"The middle square of your picture is resized to {width}x{height} {colours}, encoded and rebuilt. "
        + ("Faces from the front that fill the picture work best." if noun == "cat" else ""),
        "footer": "Made by keras_ae. The page computes everything itself: it needs no network.",
    }
    values = {key: html.escape(str(value)) for key, value in values.items()}
    values |= {
        "style": asset("style.css"),
        "script": script(),
        # a closing tag in a name must not end the element
        "described": json.dumps(known, separators=(",", ":")).replace("</", "<\\/"),
        "numbers": base64.b64encode(zlib.compress(store.joined(), 9)).decode(),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: str(values[found[1]]), asset("page.html"))
