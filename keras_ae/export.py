"""Export a finished run as SavedModels: python -m keras_ae.export --model runs/vae --out exported/vae"""

import json

from keras_ae import commandline


def parser():
    parser = commandline.Parser("export", "Write the best weights of a finished run as SavedModels with a card.json.")
    commandline.add_common(
        parser, None, "folder to write (default: exported/NAME)", "runs/vae", "run folder, or a folder of runs: its newest"
    )
    return parser


def _label(network):
    """The further input of the functions of a conditional network, {"label": TensorSpec}; {} of others."""
    import tensorflow as tf

    return {"label": tf.TensorSpec((None,), tf.int32, name="label")} if len(network.inputs) > 1 else {}


def _save(network, endpoints, folder):
    """Write a SavedModel of functions of one network: endpoints {name: (function, [TensorSpec, ...])}.

    Keras' ExportArchive writes every weight twice.
    """
    import tensorflow as tf

    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    functions = {name: tf.function(function, specs).get_concrete_function() for name, (function, specs) in endpoints.items()}
    tf.saved_model.save(module, str(folder), functions)


def write_encoder(encoder, folder):
    """The SavedModel `encoder`: `serving_default` for images in [-1, 1], `encode_uint8` for pictures of any size."""
    import tensorflow as tf

    from keras_ae.models.networks import apply

    shape = tuple(encoder.inputs[0].shape[1:])
    height, width, channels = shape

    def encode(images, label=None):
        codes = apply(encoder, images=images, label=label)
        kept = {name: codes[name] for name in ("z_mean", "z_log_var") if name in codes}
        if "z_log_var" not in kept:
            return {"z": kept["z_mean"]}
        return {"z": kept["z_mean"], **kept}

    def encode_uint8(images, label=None):
        # as keras_ae.images.decode: the square in the middle, bicubic with antialiasing: without it whiskers turn into noise
        size = tf.shape(images)
        side = tf.minimum(size[1], size[2])
        top, left = (size[1] - side) // 2, (size[2] - side) // 2
        square = tf.cast(images[:, top : top + side, left : left + side], tf.float32)
        resized = tf.image.resize(square, (height, width), method="bicubic", antialias=True)
        pixels = tf.clip_by_value(tf.round(resized), 0.0, 255.0)
        return encode(tf.ensure_shape(pixels, (None, *shape)) / 127.5 - 1.0, label)

    label = _label(encoder).values()
    endpoints = {
        "serving_default": (encode, [tf.TensorSpec((None, *shape), tf.float32, name="images"), *label]),
        "encode_uint8": (encode_uint8, [tf.TensorSpec((None, None, None, channels), tf.uint8, name="images"), *label]),
    }
    _save(encoder, endpoints, folder)


def _to_uint8(images):
    import tensorflow as tf

    return tf.cast(tf.round((tf.clip_by_value(images, -1.0, 1.0) + 1.0) * 127.5), tf.uint8)


def write_decoder(decoder, latent_dim, folder):
    """The SavedModel `decoder`: z to images in [-1, 1], `decode_uint8` to pixels."""
    import tensorflow as tf

    from keras_ae.models.networks import apply

    signature = [tf.TensorSpec((None, latent_dim), tf.float32, name="z"), *_label(decoder).values()]

    def decode(z, label=None):
        return {"images": apply(decoder, z=z, label=label)}

    def decode_uint8(z, label=None):
        return {"images": _to_uint8(decode(z, label)["images"])}

    endpoints = {"serving_default": (decode, signature), "decode_uint8": (decode_uint8, signature)}
    _save(decoder, endpoints, folder)


def write_generator(decoder, latent_dim, prior, folder):
    """The SavedModel `generator`: (n, seed, temperature) to pictures and their codes, the fitted prior inside.

    `fitted` and `normal` name the prior, and draw the pictures `first` ... `first + n - 1` of the seed's endless sequence. Of a
    conditional model all take `label` too, one for all pictures or one for each.
    """
    import tensorflow as tf

    from keras_ae.codes import priors
    from keras_ae.models.networks import apply

    whole = {name: tf.TensorSpec((), tf.int32, name=name) for name in ("first", "n", "seed")}
    others = [tf.TensorSpec((), tf.float32, name="temperature"), *_label(decoder).values()]

    # one function for all signatures, so that the SavedModel holds the network's graph and the prior once
    @tf.function(input_signature=[tf.TensorSpec((None, latent_dim), tf.float32), *_label(decoder).values()])
    def decode(z, *label):
        labels = {"label": tf.broadcast_to(label[0], tf.shape(z)[:1])} if label else {}
        return {"images": _to_uint8(apply(decoder, z=z, **labels)), "z": z}

    @tf.function(input_signature=[*whole.values(), *others])
    def fitted(first, n, seed, temperature, *label):
        return decode(prior.sample(first, n, seed, temperature), *label)

    def normal(first, n, seed, temperature, *label):
        return decode(priors.normal(latent_dim).sample(first, n, seed, temperature), *label)

    def generate(n, seed, temperature, *label):
        return fitted(tf.constant(0), n, seed, temperature, *label)

    endpoints = {
        "serving_default": (generate, [whole["n"], whole["seed"], *others]),
        "fitted": (fitted, [*whole.values(), *others]),
        "normal": (normal, [*whole.values(), *others]),
    }
    _save(decoder, endpoints, folder)


def card(run, input_shape):
    """What the export's card.json says of the model: where it comes from, shapes and ranges, held-out numbers."""
    from keras_ae.exports import reading as exported

    config, measured = run.read_json("config"), run.read_json("metrics")
    experiment = run.experiment()
    # where the pictures lay is nobody else's business
    data = {key: value for key, value in experiment.tables["data"].items() if key != "directory"}
    tables = experiment.tables | {"data": data}
    return {
        "format": exported.FORMAT,
        "experiment": experiment.name,
        "configuration": tables,
        "data": config["data"],
        "seed": experiment.training.seed,
        "versions": config["versions"],
        "git": config["git"],
        "image_shape": config["data"]["shape"],
        "input_shape": list(input_shape),
        "image_range": [-1.0, 1.0],
        "labels": config["data"]["labels"] if tables["condition"]["name"] == "on_label" else [],
        "latent_dim": experiment.latent_dim,
        "priors": ["fitted", "normal"],
        "training_precision": config["precision"],
        "training_seconds": measured["training_seconds"],
        "epochs": measured["epochs"],
        "best_epoch": measured["best_epoch"],
        "held_out": measured["reconstruction"],
        "held_out_baseline": measured["baseline"],
        "held_out_bound_nats": measured["bound"],
    }


README = """# {experiment}

Trained with keras_ae on {name} ({n_train} pictures, {n_test} held out), {minutes:.1f} minutes, {epochs} epochs.
Held out: PSNR {psnr:.2f} dB, L1 {l1:.4f} ({baseline_name}: {baseline_psnr:.2f} dB, {baseline_l1:.4f}).

Three TensorFlow SavedModels that load without keras_ae; `card.json` holds the details.

    import tensorflow as tf
    generator = tf.saved_model.load("generator")
    drawn = generator.signatures["serving_default"](
        n=tf.constant(16), seed=tf.constant(0), temperature=tf.constant(1.0))
    drawn["images"]  # uint8 (16, {height}, {width}, {channels})

| SavedModel | signature | in | out |
|---|---|---|---|
| `encoder` | `serving_default` | `images` float32 {images} in [-1, 1] | {codes} float32 (batch, {latent_dim}) |
| `encoder` | `encode_uint8` | `images` uint8 (batch, any height, any width, {channels}) | as above |
| `decoder` | `serving_default` | `z` float32 (batch, {latent_dim}) | `images` float32 in [-1, 1] |
| `decoder` | `decode_uint8` | `z` | `images` uint8 |
| `generator` | `serving_default` | `n` int32, `seed` int32, `temperature` float32 | `images` uint8, `z` |
| `generator` | `fitted`, `normal` | `first` int32 and the same | pictures `first` to `first + n - 1` of the seed's sequence |
"""
CONDITIONAL = """
All take `label` int32 (batch,) too: {labels}.
"""


def readme(card):
    """The export's README.md from its card."""
    height, width, channels = card["image_shape"]
    inputs = "(batch, {}, {}, {})".format(*card["input_shape"])
    labels = ", ".join(f"{index} {name}" for index, name in enumerate(card["labels"]))
    gaussian = card["configuration"]["latent"]["name"] == "gaussian"
    return (README + (CONDITIONAL if labels else "")).format(
        labels=labels,
        **{key: card[key] for key in ("experiment", "latent_dim", "epochs")},
        **{key: card["data"][key] for key in ("name", "n_train", "n_test")},
        **{key: card["held_out"][key] for key in ("psnr", "l1")},
        **{f"baseline_{key}": card["held_out_baseline"][key] for key in ("name", "psnr", "l1")},
        minutes=card["training_seconds"] / 60,
        codes="`z`, `z_mean`, `z_log_var`" if gaussian else "`z`",
        images=inputs,
        height=height,
        width=width,
        channels=channels,
    )


def export(run, out):
    """Write the whole export of a finished run to the folder `out`, replacing an older one."""
    from keras_ae import files
    from keras_ae.codes import priors
    from keras_ae.errors import UserError

    if out.exists() and not (out / "card.json").exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is no export; choose another --out")
    encoder, decoder = run.best_networks()
    prior = priors.Mixture.load(run.prior)
    description = card(run, encoder.inputs[0].shape[1:])
    busy = f"{out} is being written by another export; try again when it has ended"
    with files.locked(out.with_name(f".{out.name}.lock"), busy), files.folder_written_whole(out) as folder:
        write_encoder(encoder, folder / "encoder")
        write_decoder(decoder, description["latent_dim"], folder / "decoder")
        write_generator(decoder, description["latent_dim"], prior, folder / "generator")
        (folder / "card.json").write_text(json.dumps(description, indent=2) + "\n")
        (folder / "README.md").write_text(readme(description))
    return out


def main(argv=None):
    def body(arguments):
        from pathlib import Path

        from keras_ae.training import runs

        run = runs.find_complete(arguments.model)
        out = Path(arguments.out or f"exported/{run.experiment().name}")
        export(run, out)
        size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
        print(f"{run} -> {out}: encoder, decoder, generator, card.json ({size / 1e6:.1f} MB)")

    commandline.run(parser(), body, argv)


if __name__ == "__main__":
    main()
