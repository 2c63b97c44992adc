"""Writes tables.md beside this file from the models that experiment files are checked with: python docs/reference/tables.py"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

PAGE = Path(__file__).with_name("tables.md")
HEAD = """# Tables and keys

Every table of an [experiment file](experiments.md), its names, and every key with its default, bounds below 10 and, where it is
first used, its meaning. On the command line: `--set table.key=value`. More of likelihoods, discrete codes, priors, objectives:
[choosing numbers](../guides/choosing.md), [variants](../variants.md). `docs/reference/tables.py` writes this page.
"""
# meaning of a name, or of a name in one table
NAMES = {
    "identity": "the image itself",
    "add_noise": "normal noise on [-1, 1]",
    "downscale": "smaller images",
    "none": "no labels",
    "on_label": "both networks get the class too",
    "conv": "strided convolutions",
    "residual": "with GroupNorm and SiLU, and a linear path",
    "plain": "residual, without normalization",
    "spatial": "the code is a map",
    "point": "one point: an autoencoder",
    "latent.gaussian": "a mean and a variance: a VAE",
    "features": "the numbers that the encoder ends in",
    "fsq": "discrete",
    "vq": "discrete",
    "muon": "Muon for matrices and kernels, Adam for the rest",
    "autoregressive": "a transformer over discrete codes",
}
# meaning of a key, or of a key in one table or name
KEYS = {
    "uses.module": "a module that adds names to these tables when it is imported",
    "mean": "of the noise",
    "deviation": "standard deviation; noisy values are clipped",
    "task.factor": "by which the sides are divided",
    "widths": "channels of each stage, which halves or doubles the side",
    "dense.widths": "features of each layer",
    "blocks": "residual blocks of each stage; the last number holds for further ones",
    "flow.blocks": "residual blocks",
    "spatial.blocks": "residual blocks",
    "bottleneck": "channels next to the code",
    "hidden": "dense layers of 256 features next to the code",
    "width": "channels of the convolutions",
    "flow.width": "features of its layers",
    "autoregressive.width": "features of its layers",
    "autoregressive.blocks": "attention and dense layers",
    "halvings": "of the side",
    "doublings": "of the side",
    "dim": "numbers of a code",
    "levels": "of each number of a cell; their product: the number of entries",
    "entries": "of the codebook",
    "commitment": "weight of the distance of cells from their entries",
    "decay": "of the entries' moving averages",
    "restart": "entries used less than this share of the mean are replaced",
    "scale": "of the distribution",
    "variance": "of the pixels",
    "beta": "weight of the KL; 1 for the negative ELBO",
    "warmup_steps": "steps in which the KL's weight, or the learning rate, rises",
    "total_correlation": "further weight of the total correlation (beta-TCVAE: beta - 1)",
    "weight": "nats for which the adversarial loss counts",
    "factor.weight": "of the total correlation, beside that within the KL",
    "infovae.weight": "of the MMD",
    "wae.weight": "of the MMD",
    "share": "of the KL that is left out",
    "iwae.draws": "codes for each image, all decoded in a step",
    "norm": "weight of half the squared norm of a code",
    "rae.decay": "weight of the squared weights of the decoder",
    "rae.penalty": "weight of the squared Jacobian of the decoder; slow",
    "form": "1: covariances of `z_mean`; 2: of draws",
    "off": "weight of squared covariances",
    "on": "weight of squared distances of variances from 1",
    "pseudo_inputs": "learned images, all encoded in a step",
    "discriminator_learning_rate": "of the discriminator's Adam",
    "clip_norm": "limit of the gradients' global norm; 0: none",
    "learning_rate": "of both networks",
    "flow.learning_rate": "of AdamW, at its highest",
    "autoregressive.learning_rate": "of AdamW, at its highest",
    "every": "epochs between two reductions",
    "schedule.factor": "by which the rate is multiplied",
    "schedule.patience": "epochs without a lower held-out loss before a reduction",
    "final": "rate at the end, as a share of the highest",
    "components": "numbers of components to choose from",
    "steps": "of training",
    "weight_decay": "of AdamW",
    "data.name": "`folder`, or a [data set](../data.md)",
    "directory": "of pictures, or of tensorflow-datasets",
    "size": "side in pixels, or height and width; not set: 64, or that of the data set",
    "fit": "pictures with another ratio of the sides: the middle part, the whole on black, or stretched",
    "channels": "1: grey, 3: RGB; not set: as the data set has them",
    "white": "brightest value of 16-bit files, such as 4095 for 12-bit values",
    "flip": "mirror half of the training images",
    "shift": "move training images by up to this many pixels",
    "data.scale": "enlarge or shrink them by up to this share",
    "rotation": "turn them by up to this many degrees",
    "training.batch": "images of a step, on all devices together",
    "training.epochs": "of the first stage",
    "training.patience": "epochs without improvement that end the first stage; 0: never",
    "seed": "of weights, order, noise and samples",
    "precision": "`auto`: bfloat16 where the hardware has it",
    "devices": "where to [train](../scale.md)",
    "track": "where [curves](../guides/tracking.md) go too",
    "start_from": "export that training begins with",
    "images": "below this many training images the other keys apply; 0: never",
    "small_data.steps": "of the first stage, at least",
    "small_data.batch": "at most",
    "small_data.dim": "at most",
    "variation": "of `data`",
    "refined_from": "least training images for a second stage",
    "refinement.epochs": "of the second stage; 0: none",
    "refinement.batch": "real images of a step",
    "refinement.weight": "of the adversarial loss, in nats; more is sharper, and less close to the originals",
    "reconstruction_share": "of the adversarial loss; samples have the rest",
    "feature_weight": "of the difference of features from those of the originals",
    "refinement.learning_rate": "of Muon for the decoder",
    "critic_learning_rate": "of Muon for the critic",
    "refinement.final": "both rates at the end, as a share, along half a cosine",
    "critic_widths": "channels of the critic after each halving",
    "critic_blocks": "its residual blocks on each map",
    "penalty": "weight of the critic's squared gradients at real and decoded images (R1, R2)",
    "average": "decay of the decoder's moving average, for each step",
    "draws": "codes drawn from the prior, used in turn",
}


def bounds(schema, kinds):
    """What a JSON schema of a key says of its values, as words. kinds: {JSON type: its name}."""
    if "anyOf" in schema:
        return " or ".join(bounds(one, kinds) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return "of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "items" in schema:
        return f"{kinds.get('array', 'each')} {bounds(schema['items'], {})}".removesuffix("each ")
    words = kinds.get(schema.get("type"), "")
    # larger ones stop mistakes alone
    if schema.get("maximum", schema.get("exclusiveMaximum", 10)) < 10:
        low = f"[{schema['minimum']:g}" if "minimum" in schema else f"({schema['exclusiveMinimum']:g}"
        high = f"{schema['maximum']:g}]" if "maximum" in schema else f"{schema['exclusiveMaximum']:g})"
        words += f" in {low},{high}"
    return words.strip()


def key_lines(table, name, model, explained):
    """A line for each key of a pydantic model with its meaning, and one for all whose meaning was said before."""
    known = []
    for key, schema in model.model_json_schema().get("properties", {}).items():
        # a default shows the type
        if schema.get("default") is None:
            words = f"`{key}`, {bounds(schema, {'integer': 'int', 'string': 'text', 'array': 'list of int'})}".strip()
        else:
            default = json.dumps(schema["default"], separators=(",", ":")).strip('"')
            words = f"`{key}={default}` {bounds(schema, {})}".strip()
        meaning = next(KEYS[one] for one in (f"{name}.{key}", f"{table}.{key}", key) if one in KEYS)
        new = (key, meaning) not in explained
        explained.add((key, meaning))
        if new:
            yield f"    * {words}: {meaning}"
        else:
            known.append(words)
    if known:
        yield "    * " + ", ".join(known)


def page():
    """The text of tables.md. Raises StopIteration for a key without a meaning."""
    from keras_ae.training import experiment

    lines, explained, written = [HEAD], set(), {}
    for table, (functions, default) in experiment.CHOICES.items():
        lines += [f"## {table}, by default {default}", ""]
        same = []
        # a module of the user's own may have added others
        for name, function in ((n, f) for n, f in functions.items() if (f.__module__ or "").startswith("keras_ae.")):
            model = experiment.table_of(function)
            properties = model.model_json_schema().get("properties")
            if properties and written.get(name) == properties:
                same.append(f"`{name}`")
                continue
            written[name] = properties
            meaning = NAMES.get(f"{table}.{name}", NAMES.get(name, ""))
            lines.append(f"* `{name}`" + (f": {meaning}" if meaning and (name, meaning) not in explained else ""))
            explained.add((name, meaning))
            lines += key_lines(table, name, model, explained)
        lines += ["* " + ", ".join(same) + ": as above"] if same else []
        lines.append("")
    for table, model in experiment.SINGLE.items():
        lines += [f"## {table}", "", *(line[4:] for line in key_lines(table, table, model, explained)), ""]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
