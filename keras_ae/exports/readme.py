"""The README.md of an export, from its card: a model card in the format of the Hugging Face Hub."""

import json

from keras_ae.files import render
from keras_ae.images.pictures import describe_fit


def readme(card):
    """The text of README.md for a card as `save.write` makes it; data, training and metrics may be missing."""
    portable = [kind for kind in ("onnx", "litert") if "weights" in card.get(kind, {})]
    rebuilds = card["input_shape"] == card["image_shape"]
    # what the Hub reads: licence, library, what the model is for, data, metrics; in JSON, which is YAML whatever the names are
    header = {
        "license": card.get("license", "unknown"),
        "library_name": "keras_ae",
        "pipeline_tag": "unconditional-image-generation" if rebuilds else "image-to-image",
        "tags": ["autoencoder", "keras_ae", "tensorflow", *portable],
    }
    if data := card.get("data"):
        header["datasets"] = [data["name"]]
        if metrics := [name for name in ("psnr", "ssim") if name in card.get("held_out", {})]:
            result = {
                "task": {"type": "image-to-image", "name": "Reconstruction of held-out images"},
                "dataset": {"name": data["name"], "type": data["name"]},
                "metrics": [{"type": name, "value": round(card["held_out"][name], 4)} for name in metrics],
            }
            header |= {"metrics": metrics, "model-index": [{"name": card["experiment"], "results": [result]}]}
    header = {key: json.dumps(value, ensure_ascii=False) for key, value in header.items()}
    fit = describe_fit(card["input_shape"], card.get("fit", "crop"))
    return render(__package__, "readme.md", header=header, card=card, portable=portable, fit=fit)
