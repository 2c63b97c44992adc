"""The README.md of an export, from its card: a model card in the format of the Hugging Face Hub."""

import json

from keras_ae.images.pictures import describe_fit

TITLE = """{header}# {name}

![Sixteen samples](samples.png)
{bands}
{origin}Three TensorFlow SavedModels that load without keras_ae; `card.json` contains the details.

    import tensorflow as tf
    generator = tf.saved_model.load("generator")
    drawn = generator.signatures["serving_default"](
        n=tf.constant(16), seed=tf.constant(0), temperature=tf.constant(1.0){label})
    drawn["images"]  # uint8 (16, {height}, {width}, {channels})

| SavedModel | signature | in | out |
|---|---|---|---|
| `encoder` | `serving_default` | `images` float32 {inputs} in [-1, 1] | {outputs} float32 (batch, {latent_dim}) |
| `encoder` | `encode_uint8` | `images` uint8 (batch, any height, any width, {input_channels}): {fit} is resized | as above |
| `decoder` | `serving_default` | `z` float32 (batch, {latent_dim}) | `images` float32 in [-1, 1] |
| `decoder` | `decode_uint8` | `z` | `images` uint8 |
| `generator` | `serving_default` | `n` int32, `seed` int32, `temperature` float32 | `images` uint8, `z` |
| `generator` | `fitted`, `normal` | `first` int32 and the same | images `first` to `first + n - 1` of the seed's sequence |
"""
PORTABLE = """
`onnx/` has the encoder and the decoder as ONNX files with the same inputs and outputs (the decoder gives `images_uint8` too),
and the fitted prior in `prior.npz` (of a flow, the network is `velocity.onnx`){phones}.

    import onnxruntime
    decoder = onnxruntime.InferenceSession("onnx/decoder.onnx")
    decoder.run(["images_uint8"], {{"z": z{onnx_label}}})

`onnx/resize.onnx` makes `images` for the encoder of uint8 pictures (batch, any height, any width, {input_channels}).
"""
MAP = """
Each code is a flattened map of shape {code_shape}.
"""
CONDITIONAL = """
All take `label` int32 (batch,) too: {labels}.
"""


def _origin(card):
    """A paragraph on data, training and held-out metrics, of what the card knows of them; "" if it knows nothing."""
    sentences = []
    if data := card.get("data"):
        trained = [f"Trained with keras_ae on {data['name']} ({data['n_train']:,} images, {data['n_test']:,} held out)"]
        trained += [f"{card['training_seconds'] / 60:.1f} minutes"] if "training_seconds" in card else []
        trained += [f"{card['epochs']} epochs"] if "epochs" in card else []
        if started := card.get("started_from"):
            trained += [f"started from the weights of {started['experiment']} ({started['name']})"]
        sentences.append(f"{', '.join(trained)}.")
    if "held_out" in card:
        line = "Held out: PSNR {psnr:.2f} dB, L1 {l1:.4f}".format(**card["held_out"])
        if "held_out_baseline" in card:
            line += " ({name}: {psnr:.2f} dB, {l1:.4f})".format(**card["held_out_baseline"])
        sentences.append(f"{line}.")
    return "\n".join(sentences) + "\n\n" if sentences else ""


def _header(card):
    """What the Hub reads: licence, library, what the model is for, data, metrics. JSON is YAML, too, whatever the names are."""
    makes = "unconditional-image-generation" if card["input_shape"] == card["image_shape"] else "image-to-image"
    kinds = [kind for kind in ("onnx", "litert") if _has(card, kind)]
    header = {
        "license": card.get("license", "unknown"),
        "library_name": "keras",
        "pipeline_tag": makes,
        "tags": ["autoencoder", "keras_ae", "tensorflow", *kinds],
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
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in header.items()]
    return "\n".join(["---", *lines, "---", "", ""])


def _has(card, kind):
    """Whether the export has the folder onnx/ or litert/."""
    return "weights" in card.get(kind, {})


def readme(card):
    """The text of README.md for a card as `save.write` makes it; data, training and metrics may be missing."""
    height, width, channels = card["image_shape"]
    labels = ", ".join(f"{index} {name}" if name != str(index) else name for index, name in enumerate(card["labels"]))
    parts = [(PORTABLE, _has(card, "onnx")), (MAP, len(card["code_shape"]) > 1), (CONDITIONAL, labels)]
    text = TITLE + "".join(part for part, present in parts if present)
    return text.format(
        header=_header(card),
        phones="; `litert/` has them for phones" if _has(card, "litert") else "",
        onnx_label=', "label": label' if labels else "",
        name=card["experiment"],
        origin=_origin(card),
        label=", label=tf.constant([0])" if labels else "",
        labels=labels,
        code_shape=tuple(card["code_shape"]),
        outputs=", ".join(f"`{name}`" for name in card["encoder_outputs"]),
        latent_dim=card["latent_dim"],
        inputs="(batch, {}, {}, {})".format(*card["input_shape"]),
        input_channels=card["input_shape"][-1],
        fit=describe_fit(card["input_shape"], card.get("fit", "crop")),
        bands=f"\nFor people, {bands}.\n" if (bands := card.get("bands")) else "",
        height=height,
        width=width,
        channels=channels,
    )
