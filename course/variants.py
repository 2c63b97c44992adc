"""Compare objectives on the same networks, minutes and judge: python -m course.variants binary_mnist --minutes 5 --seeds 0 1 2

Each is trained for the same minutes of processor time, which other programs do not change, with Adam at a rate that falls along
half a cosine, and measured with codes from its own prior and from a mixture fitted to its codes. --out has a JSON file for each
variant and seed, which an interrupted study does not train again, a table of all, variants.md, and their samples, variants.png.
"""

import json
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from keras_ae import files
from keras_ae.commandline import command, number, option, out
from keras_ae.errors import UserError

# tables [objective] of experiment files; those that have points as codes; those without a prior before one is fitted
VARIANTS = {
    "VAE": {},
    "beta-VAE": {"beta": 4.0},
    "beta-TCVAE": {"total_correlation": 3.0},
    "FactorVAE": {"name": "factor"},
    "DIP-VAE": {"name": "dip"},
    "InfoVAE": {"name": "infovae"},
    "VampPrior": {"name": "vamp"},
    "IWAE-5": {"name": "iwae", "draws": 5},
    "IWAE-50": {"name": "iwae", "draws": 50},
    "WAE": {"name": "wae"},
    "AAE": {"name": "adversarial"},
    "RAE": {"name": "rae"},
}
POINTS, WITHOUT_PRIOR = ("WAE", "AAE", "RAE"), ("RAE",)
# a data set: an experiment, and what is changed in it
DENSE = [f"{network}.{key}" for network in ("encoder", "decoder") for key in ("name=dense", "widths=[256, 256]")]
DATA = {
    "binary_mnist": ("vae_mnist", [*DENSE, "latent.dim=32", "training.precision=float32"]),
    # a fixed variance, so that likelihoods compare
    "synthetic_cats": ("beta_cats", ["reconstruction.name=gaussian", "reconstruction.variance=0.05"]),
}
COLUMNS = {
    "images": "images seen",
    "psnr": "PSNR dB",
    "neg_elbo": "negative ELBO, nats",
    "bound": "negative bound of {draws} draws, nats",
    "own_fd": "fd, own prior",
    "own_precision": "precision",
    "own_recall": "recall",
    "fitted_fd": "fd, fitted prior",
    "fitted_precision": "precision ",
    "fitted_recall": "recall ",
}
DIGITS = {"images": 0, "psnr": 2, "neg_elbo": 1, "bound": 1}


def read(data, name, seed, directory=None):
    """The experiment of a variant on a data set of DATA, and its images; those of MNIST become black and white.

    A pixel is white with a probability that is its grey value, drawn once for all: Salakhutdinov & Murray 2008.
    """
    from keras_ae.data import pipeline
    from keras_ae.training import experiment

    file, settings = DATA[data]
    base = experiment.read(f"experiments/{file}.toml", [*settings, f"training.seed={seed}"])
    latent = {"name": "point" if name in POINTS else "gaussian", "dim": base.latent_dim}
    asked = experiment.complete(name, base.tables | {"objective": VARIANTS[name], "latent": latent})
    image_set = pipeline.load(asked.data.name, directory)
    if data.startswith("binary"):
        random = np.random.default_rng(0)
        drawn = {side: np.uint8(255) * (random.integers(0, 255, x.shape, "uint8") < x) for side, x in image_set.images.items()}
        image_set = replace(image_set, name=data, images=drawn)
    return asked, image_set


def train(asked, image_set, minutes, rate=1e-3):
    """The model of an experiment after so many minutes of processor time, and the images that it has seen."""
    import keras

    from keras_ae.data import pipeline

    class Minutes(keras.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            # the first step traces
            self.began = self.began if self.steps else time.process_time()
            self.steps += 1
            share = min(1.0, (time.process_time() - self.began) / (60 * minutes))
            self.model.optimizer.learning_rate.assign(rate * (1 + math.cos(math.pi * share)) / 2)
            self.model.stop_training = share == 1

    batch, clock = asked.training.batch, Minutes()
    model, _ = asked.model(image_set.shape, 1)
    model.compile(keras.optimizers.Adam(rate), jit_compile=False)
    stream = pipeline.training(image_set, batch, asked.training.seed, variation=asked.data.variation)
    callbacks = [keras.callbacks.TerminateOnNaN(raise_error=True), clock]
    model.fit(stream, steps_per_epoch=10**9, verbose=0, shuffle=False, callbacks=callbacks)
    return model, clock.steps * batch


def bounds(model, images, draws):
    """Negative bounds on log p of images with 1 and with `draws` codes each, with the model's own prior: nats, (n,) each."""
    import tensorflow as tf

    from keras_ae.judge import likelihood
    from keras_ae.models.objectives import log_weights
    from keras_ae.priors.space import batched

    compute = tf.function(
        lambda x: log_weights(model, {"images": x}, False, **model.encoder(x), draws=draws), reduce_retracing=True
    )
    return likelihood.neg_importance_weighted(batched(compute, images, 8), (1, draws))


def measure(model, name, image_set, seed, n, draws):
    """Numbers of a trained variant, and sixteen images: from its own prior, where it has one, and from the fitted one."""
    from keras_ae.data import pipeline
    from keras_ae.judge import distances, metrics
    from keras_ae.judge.features import extractor
    from keras_ae.priors.mixture import Mixture, Normal
    from keras_ae.priors.space import batched

    extract, held_out = extractor("gabor"), pipeline.examples(image_set, "test", n)

    def encode(images):
        return batched(lambda x: np.asarray(model.encoder(x)["z_mean"]), images)

    rebuilt = batched(model.decoder, encode(held_out))
    numbers = {"psnr": metrics.reconstruction([(held_out, rebuilt)])["psnr"]}
    if "z_log_var" in model.encoder.output:
        found = bounds(model, held_out[: n // 4], draws)
        numbers |= {"neg_elbo": float(found[1].mean()), "bound": float(found[draws].mean())}
    codes = encode(pipeline.examples(image_set, "train", 10_000))
    own = None if name in WITHOUT_PRIOR else model.learned_prior() or Normal(codes.shape[1])
    real, shown = extract(held_out), np.full((16, *image_set.shape), 1, "float32")
    for place, (kind, prior) in enumerate({"own": own, "fitted": Mixture.fit(codes, seed, components=[10])}.items()):
        if prior:
            images = batched(model.decoder, prior.pool(len(held_out), seed))
            # probabilities of white are no black and white images
            images = np.sign(images) if image_set.name.startswith("binary") else images
            features, shown[8 * place : 8 * place + 8] = extract(images), images[:8]
            numbers[f"{kind}_fd"] = float(distances.frechet(real, features))
            overlap = distances.manifold(real, features)
            numbers |= {f"{kind}_{key}": float(overlap[key]) for key in ("precision", "recall")}
    return numbers, shown


def table(found, draws):
    """All numbers as a table in Markdown: {name: [numbers of each seed]}. Several seeds: mean ± standard deviation.

    A mean in bold differs from that of the VAE by more than twice the standard error of the difference; one seed has none.
    """

    def cell(name, key):
        values, base = ([one[key] for one in found.get(which, []) if key in one] for which in (name, "VAE"))
        if not values:
            return "-"
        text = f"{np.mean(values):,.{DIGITS.get(key, 2)}f}"
        if len(values) == 1:
            return text
        text += f" ± {np.std(values, ddof=1):.{DIGITS.get(key, 2)}f}"
        error = math.sqrt(sum(np.var(one, ddof=1) / len(one) for one in (values, base))) if len(base) > 1 else math.inf
        return f"**{text}**" if abs(np.mean(values) - np.mean(base or [0])) > 2 * error else text

    heads = [text.format(draws=draws) for text in COLUMNS.values()]
    rows = [["", *heads], ["---"] * (len(heads) + 1)]
    rows += [[name, *(cell(name, key) for key in COLUMNS)] for name in found]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


@command(
    option("data", choices=DATA, help="data set"),
    option("--directory", metavar="DIR", help="data folder of tensorflow-datasets (default: its own, downloaded if necessary)"),
    option("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME", help="which; of all"),
    option("--minutes", type=number(0.001, 10_000), default=5.0, help="of processor time, for each to train"),
    option(
        "--seeds", nargs="+", type=number(0, 2**31 - 1, int), default=[0], metavar="SEED", help="of networks, order and draws"
    ),
    option("--n", type=number(8, 10_000, int), default=2000, help="held-out images, and samples; a quarter of them for bounds"),
    option("--draws", type=number(2, 10_000, int), default=500, help="codes of each image for its bound"),
    out(None, "folder of the study (default: studies/variants_DATA)"),
    prog="python -m course.variants",
)
def main(arguments):
    """Train and measure what is not there yet, then write the table and the picture."""
    from keras_ae.images import figures, pictures

    folder = Path(arguments.out or f"studies/variants_{arguments.data}")
    protocol = {key: getattr(arguments, key) for key in ("data", "minutes", "n", "draws")}
    found, rows = {}, {}
    for seed, name in tqdm(
        [(seed, name) for seed in arguments.seeds for name in arguments.variants], disable=None, leave=False
    ):
        path = folder / f"{name}-{seed}.json"
        if not path.exists():
            asked, image_set = read(arguments.data, name, seed, arguments.directory)
            model, seen = train(asked, image_set, arguments.minutes)
            numbers, shown = measure(model, name, image_set, seed, arguments.n, arguments.draws)
            pictures.write_png(path.with_suffix(".png"), pictures.grid(pictures.to_uint8(shown), 16, gap=0))
            with files.write_file(path) as partial:
                known = {"protocol": protocol, "versions": files.versions(), "shape": image_set.shape, "images": seen}
                partial.write_text(json.dumps(known | numbers, indent=2) + "\n", encoding="utf-8")
        numbers = json.loads(path.read_text(encoding="utf-8"))
        if numbers["protocol"] != protocol:
            raise UserError(f"{path} is of {numbers['protocol']}; choose another --out, or the same values")
        found.setdefault(name, []).append(numbers)
        height, width, channels = numbers["shape"]
        image = pictures.read(path.with_suffix(".png"), (height, 16 * width, channels))
        rows.setdefault(name, pictures.to_float(np.stack(np.split(image, 16, axis=1))))
    text = table(found, arguments.draws)
    with files.write_file(folder / "variants.md") as partial:
        partial.write_text(text, encoding="utf-8")
    title = f"{arguments.data}: eight samples from the model's own prior, and eight from the fitted one"
    figures.rows(list(rows.values()), list(rows), folder / "variants.png", title)
    print(text)
