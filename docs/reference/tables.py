"""Writes tables.md beside this file from the models that experiment files are checked with: python docs/reference/tables.py"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

PAGE = Path(__file__).with_name("tables.md")
HEAD = """# Tables and keys

Every table of an [experiment file](experiments.md), every name it may have, and every key with its bounds, its default and,
where it is first used, its meaning. On the command line, `--set table.key=value`. `docs/reference/tables.py` writes this page.
"""
NAMES = {
    "identity": "the encoder gets the image itself: an autoencoder",
    "add_noise": "normal noise on [-1, 1]",
    "downscale": "smaller images",
    "none": "no labels",
    "on_label": "both networks get the class as a second input",
    "conv": "strided convolutions",
    "residual": "with GroupNorm and SiLU, and a linear path",
    "plain": "residual networks without normalization",
    "dense": "dense layers",
    "spatial": "the code is a map",
    "point": "one point for each image: an autoencoder",
    "gaussian": {"latent": "a mean and a variance for each number: a VAE", "reconstruction": "normal pixels: squared error"},
    "features": "the numbers that the encoder ends in",
    "fsq": "a discrete code: every number is rounded to one of a few levels",
    "vq": "a discrete code: every cell becomes the nearest entry of a learned codebook",
    "laplace": "L1 loss",
    "gaussian_optimal_variance": "squared error with the variance that is most likely for each batch",
    "bernoulli": "cross-entropy of grey pixels",
    "vae": "reconstruction + beta * KL",
    "adversarial": "a discriminator makes the codes normal",
    "muon": "Muon for matrices and kernels of convolutions, Adam for the rest",
    "mixture": "a Gaussian mixture",
    "flow": "a flow, trained on the codes",
    "autoregressive": "a transformer over the cells of discrete codes, trained on them",
}
# meaning of a key, or of a key in one table or name
KEYS = {
    "uses.module": "a module that adds networks, likelihoods or data sets when it is imported",
    "mean": "of the noise",
    "deviation": "standard deviation of the noise; noisy values are clipped",
    "task.factor": "by which the sides are divided",
    "widths": "channels of each stage; each halves or doubles the side, as long as it can be",
    "dense.widths": "features of each layer",
    "blocks": "residual blocks of each stage; the last number holds for all further stages",
    "flow.blocks": "residual blocks of its network",
    "spatial.blocks": "residual blocks",
    "bottleneck": "channels between the last map and the code",
    "hidden": "dense layers of 256 features next to the code; a code of two numbers needs some",
    "width": "channels of the convolutions",
    "flow.width": "features of its layers",
    "autoregressive.width": "features of its layers",
    "autoregressive.blocks": "blocks of attention and dense layers",
    "halvings": "how often the side is halved",
    "doublings": "how often the side is doubled",
    "dim": "numbers of a code",
    "levels": "of each number of a cell; their product is the number of entries",
    "entries": "of the codebook",
    "commitment": "weight of the squared distance of cells from their entries",
    "decay": "of the moving averages that entries are",
    "restart": "entries that are used less than this share of the mean are replaced by cells of the batch",
    "scale": "of the distribution",
    "variance": "of the pixels",
    "beta": "weight of the KL; 1 for the negative ELBO",
    "warmup_steps": "steps in which the weight of the KL, or the learning rate, rises",
    "total_correlation": "additional weight of the total correlation of codes: beta - 1 of a beta-TCVAE",
    "weight": "nats for which the adversarial loss counts",
    "discriminator_learning_rate": "of the discriminator's Adam",
    "clip_norm": "limit of the global norm of the gradients; 0: none",
    "learning_rate": "of both networks",
    "flow.learning_rate": "of AdamW, at its highest",
    "autoregressive.learning_rate": "of AdamW, at its highest",
    "every": "epochs between two reductions",
    "schedule.factor": "by which the rate is multiplied",
    "schedule.patience": "epochs without a lower held-out loss before the rate is reduced",
    "final": "rate at the end, as a share of the highest",
    "components": "numbers of components to choose from, on a tenth of the codes",
    "steps": "of training",
    "weight_decay": "of AdamW",
    "data.name": "`folder`, or a data set ([data sets](../data.md))",
    "directory": "of picture files, or of tensorflow-datasets",
    "size": "side of the images in pixels, or height and width; not set: 64 for pictures, their own for data sets",
    "fit": "what becomes of pictures with another ratio of the sides: the middle part, the whole on black, or stretched",
    "channels": "1: grey, 3: RGB; not set: as the data set has them",
    "white": "brightest value of picture files with 16 bits, such as 4095 for 12-bit values",
    "flip": "mirror half of the training images at random",
    "shift": "move training images at random by up to this many pixels",
    "data.scale": "enlarge or shrink them by up to this share",
    "rotation": "turn them by up to this many degrees",
    "training.batch": "images of a step, on all devices together",
    "training.epochs": "of the first stage",
    "training.patience": "epochs without improvement that stop the first stage; 0: never",
    "seed": "of weights, order, noise and samples",
    "precision": "`auto` takes the faster one where the hardware has it",
    "devices": "where to train ([scaling up](../scale.md))",
    "start_from": "export whose networks and weights training begins with",
    "images": "below this many training images the other keys apply; 0: never",
    "small_data.steps": "of the first stage, at least",
    "small_data.batch": "at most",
    "small_data.dim": "numbers of a code, at most",
    "variation": "`shift`, `scale` and `rotation` of `data`",
    "refined_from": "least number of training images for a second stage",
    "refinement.epochs": "of the second stage; 0: none",
    "refinement.batch": "real images of a step",
    "refinement.weight": "nats for which the adversarial loss counts; more is sharper, and less close to the originals",
    "reconstruction_share": "share of reconstructions in the adversarial loss; samples have the rest",
    "feature_weight": "of the difference between the critic's features of images and reconstructions",
    "refinement.learning_rate": "of Muon for the decoder",
    "critic_learning_rate": "of Muon for the critic",
    "refinement.final": "share of both learning rates that is left at the end, along half a cosine",
    "critic_widths": "channels of the critic's maps after each halving",
    "critic_blocks": "residual blocks of the critic on each map",
    "penalty": "R1 and R2: weight of the critic's squared gradients at real and at decoded images",
    "average": "decay of the moving average of the decoder's weights, for each step",
    "draws": "codes that are drawn from the prior when the stage begins, and used in turn",
}


def bounds(schema):
    """What a JSON schema of a key says of its values, as words."""
    if "anyOf" in schema:
        return ", ".join(bounds(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "items" in schema:
        return f"list of {bounds(schema['items'])}"
    kind = {"integer": "int", "number": "float", "string": "text", "boolean": "bool"}.get(schema.get("type"), "table")
    if "minimum" not in schema and "exclusiveMinimum" not in schema:
        return kind
    low = f"[{schema['minimum']:g}" if "minimum" in schema else f"({schema['exclusiveMinimum']:g}"
    high = f"{schema['maximum']:g}]" if "maximum" in schema else f"{schema['exclusiveMaximum']:g})"
    return f"{kind} in {low}, {high}"


def key_lines(table, name, model, explained):
    """A line for each key of a pydantic model; its meaning where it was not said before."""
    for key, schema in model.model_json_schema().get("properties", {}).items():
        default = "not set" if schema.get("default") is None else json.dumps(schema["default"])
        line = f"    * `{key}`: {bounds(schema)}; {default}"
        meaning = next(KEYS[one] for one in (f"{name}.{key}", f"{table}.{key}", key) if one in KEYS)
        if (key, meaning) not in explained:
            explained.add((key, meaning))
            line += f"; {meaning}"
        yield line


def page():
    """The text of tables.md. Raises StopIteration for a key without a meaning."""
    from keras_ae.training import experiment

    lines, explained = [HEAD], set()
    for table, (functions, default) in experiment.CHOICES.items():
        lines += [f"## {table}, by default {default}", ""]
        # a module of the user's own may have added others
        for name, function in ((n, f) for n, f in functions.items() if f.__module__.startswith("keras_ae.")):
            meaning = NAMES.get(name, "")
            meaning = meaning[table] if isinstance(meaning, dict) else meaning
            lines.append(f"* `{name}`" + (f": {meaning}" if meaning and (name, meaning) not in explained else ""))
            explained.add((name, meaning))
            lines += key_lines(table, name, experiment.table_of(function), explained)
        lines.append("")
    for table, model in experiment.SINGLE.items():
        lines += [f"## {table}", "", *(line[4:] for line in key_lines(table, table, model, explained)), ""]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
