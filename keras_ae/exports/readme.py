"""The README.md of an export, from its card."""

TITLE = """# {name}

{origin}Three TensorFlow SavedModels that load without keras_ae; `card.json` contains the details.

    import tensorflow as tf
    generator = tf.saved_model.load("generator")
    drawn = generator.signatures["serving_default"](
        n=tf.constant(16), seed=tf.constant(0), temperature=tf.constant(1.0){label})
    drawn["images"]  # uint8 (16, {height}, {width}, {channels})

| SavedModel | signature | in | out |
|---|---|---|---|
| `encoder` | `serving_default` | `images` float32 {inputs} in [-1, 1] | {outputs} float32 (batch, {latent_dim}) |
| `encoder` | `encode_uint8` | `images` uint8 (batch, any height, any width, {input_channels}) | as above |
| `decoder` | `serving_default` | `z` float32 (batch, {latent_dim}) | `images` float32 in [-1, 1] |
| `decoder` | `decode_uint8` | `z` | `images` uint8 |
| `generator` | `serving_default` | `n` int32, `seed` int32, `temperature` float32 | `images` uint8, `z` |
| `generator` | `fitted`, `normal` | `first` int32 and the same | images `first` to `first + n - 1` of the seed's sequence |
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
    if "data" in card:
        data = card["data"]
        trained = [f"Trained with keras_ae on {data['name']} ({data['n_train']:,} images, {data['n_test']:,} held out)"]
        trained += [f"{card['training_seconds'] / 60:.1f} minutes"] if "training_seconds" in card else []
        trained += [f"{card['epochs']} epochs"] if "epochs" in card else []
        sentences.append(f"{', '.join(trained)}.")
    if "held_out" in card:
        line = "Held out: PSNR {psnr:.2f} dB, L1 {l1:.4f}".format(**card["held_out"])
        if "held_out_baseline" in card:
            line += " ({name}: {psnr:.2f} dB, {l1:.4f})".format(**card["held_out_baseline"])
        sentences.append(f"{line}.")
    return "\n".join(sentences) + "\n\n" if sentences else ""


def readme(card):
    """The text of README.md for a card as `exports.writing.write` makes it; data, training and metrics may be missing."""
    height, width, channels = card["image_shape"]
    labels = ", ".join(f"{index} {name}" if name != str(index) else name for index, name in enumerate(card["labels"]))
    text = TITLE + (MAP if len(card["code_shape"]) > 1 else "") + (CONDITIONAL if labels else "")
    return text.format(
        name=card["experiment"],
        origin=_origin(card),
        label=", label=tf.constant([0])" if labels else "",
        labels=labels,
        code_shape=tuple(card["code_shape"]),
        outputs=", ".join(f"`{name}`" for name in card["encoder_outputs"]),
        latent_dim=card["latent_dim"],
        inputs="(batch, {}, {}, {})".format(*card["input_shape"]),
        input_channels=card["input_shape"][-1],
        height=height,
        width=width,
        channels=channels,
    )
