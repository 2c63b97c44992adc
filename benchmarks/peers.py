"""keras_ae compared with other libraries: same images, split, latent size and minutes: make bench-peers DATA=folder

Each trains for the same wall-clock time in this run, and the judge of keras_ae measures all:

    ae, vae          experiments/ae.toml and vae.toml, as many epochs as fit
    plain Keras VAE  the networks of vae.toml in the loop of Keras' own example: squared error and KL, Adam, codes from N(0, I)
    PyTorch twin     the first stage of vae.toml in PyTorch (`twins`); codes from a mixture as ours
    pythae AE, VAE   (PyTorch) with the convolutional networks of ae.toml, its trainer, and its GaussianMixture sampler
    PCA              with a normal distribution over its scores

pythae's own networks for 64x64 images have 128 to 1,024 channels and complete only a few epochs in minutes on two cores;
smaller ones give better results. At the end follow the seconds until each rebuilds held-out images as well as PCA.
"""

import argparse
import csv
import functools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

# of the minutes, for the first of two stages
FIRST_STAGE = 0.55


def parser():
    parser = argparse.ArgumentParser(prog="python benchmarks/peers.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default="peers", metavar="DIR", help="folder of the report")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random")
    parser.add_argument("--data", metavar="DIR", help="folder of picture files (default: built-in cats)")
    parser.add_argument("--minutes", type=float, default=5.0, help="training time of each")
    parser.add_argument("--n", type=int, default=2000, help="how many images to draw")
    return parser


class Clock:
    """Stops training after `limit` seconds, or once held-out images are rebuilt with `target` dB.

    It stands still while it measures. held_out: images (n, H, W, C), or None to measure nothing.
    """

    def __init__(self, limit, held_out=None, target=float("inf")):
        self.limit, self.held_out, self.target = limit, held_out, target
        self.seconds = self.psnr = 0.0
        self.start()

    def start(self):
        """Start to count."""
        self.began = time.perf_counter()

    def done(self, rebuild):
        """Whether training ends here; called after each epoch. rebuild: images (n, H, W, C) -> reconstructions."""
        self.seconds += time.perf_counter() - self.began
        if self.held_out is not None:
            parts = np.array_split(self.held_out, len(self.held_out) // 100 + 1)
            rebuilt = np.concatenate([rebuild(images) for images in parts])
            error = np.square(self.held_out - np.clip(rebuilt, -1, 1), dtype="float64").mean()
            self.psnr = max(self.psnr, 10 * np.log10(4 / error))
        self.start()
        return self.psnr >= self.target or self.seconds >= self.limit


def vae_experiment(seed):
    from keras_ae.training import experiment

    return experiment.read("experiments/vae.toml", [f"training.seed={seed}"])


def candidate(name, image_set, seed, minutes):
    """One of OTHERS, trained for so many minutes, as the judge takes it."""
    from keras_ae.judge.judge import Candidate
    from keras_ae.priors.space import batched

    latent_dim, encode, decode, sample = OTHERS[name](image_set, seed, Clock(60 * minutes))

    def generate(n, seed):
        return np.clip(batched(decode, np.asarray(sample(n, seed))), -1, 1)

    return Candidate(name, latent_dim, functools.partial(batched, encode), functools.partial(batched, decode), generate)


# ---- keras_ae itself


def train_ours(name, data, minutes):
    """An experiment of ours, trained for as many epochs as fit into the minutes and exported, as a candidate."""
    from keras_ae.exports.load import Exported
    from keras_ae.judge.judge import export_candidate
    from keras_ae.training import experiment

    def run(module, *arguments):
        subprocess.run([sys.executable, "-m", f"keras_ae.{module}", *map(str, arguments)], check=True)

    folder, file = Path(tempfile.mkdtemp()), f"experiments/{name}.toml"
    refines = experiment.read(file).second_stage.epochs > 0
    # a short run first; the first epoch of a stage compiles
    options = ["--set", "training.epochs=3", "--set", f"refinement.epochs={2 * refines}"]
    run("train", file, *data, *options, "--out", folder / "probe")
    options, share = [], FIRST_STAGE if refines else 1.0
    for name, key, part in (("history", "training.epochs", share), ("second_stage", "refinement.epochs", 1 - share)):
        if (path := folder / "probe" / f"{name}.csv").exists():
            with open(path, newline="", encoding="utf-8") as rows:
                seconds = min(float(row["seconds"]) for row in csv.DictReader(rows))
            options += ["--set", f"{key}={max(1, int(part * minutes * 60 / seconds))}"]
    run("train", file, *data, *options, "--out", folder / "run")
    run("export", "--model", folder / "run", "--out", folder / "export")
    return export_candidate(Exported(folder / "export"), f"keras_ae {name}")


# ---- trained in this process: functions of the images, a seed and a clock. They return the length of a code, images -> dict of
# codes, codes -> images, and (n, seed) -> codes


def fit(model, stream, steps, rebuild, clock):
    """Train a Keras model, `steps` of the stream in an epoch, until the clock ends it."""
    import keras

    class Until(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = clock.done(rebuild)

    clock.start()
    model.fit(stream, steps_per_epoch=steps, epochs=10_000, shuffle=False, verbose=0, callbacks=[Until()])


def train_first_stage(image_set, seed, clock):
    """The first stage of vae.toml, as `python -m keras_ae.train` trains it."""
    from keras_ae.data import pipeline

    vae = vae_experiment(seed)
    batch = vae.training.batch
    stream, steps = pipeline.training(image_set, batch, seed, variation=vae.data.variation), image_set.n_train // batch
    model, _ = vae.model(image_set.shape, steps)
    fit(model, stream, steps, lambda images: model(images).numpy(), clock)


def train_plain_keras(image_set, seed, clock):
    """The networks of vae.toml in the loop of https://keras.io/examples/generative/vae/, with its optimizer and batch size."""
    import keras
    import tensorflow as tf
    import twins

    from keras_ae.data import pipeline

    vae = vae_experiment(seed)
    keras.utils.set_random_seed(seed)
    encoder, decoder = vae.networks(image_set.shape, precision=vae.precision)

    def squared(images, decoded):
        return tf.reduce_sum(tf.square(images - decoded), axis=(1, 2, 3))

    def encode(images):
        return {"z": encoder(images)["z_mean"].numpy()} | {key: encoder(images)[key].numpy() for key in ("z_mean", "z_log_var")}

    def decode(z):
        return decoder(tf.constant(z, tf.float32)).numpy()

    def sample(n, seed):
        return tf.random.stateless_normal((n, vae.latent_dim), (seed, 0)).numpy()

    model = twins.plain_model(encoder, decoder, squared, keras.optimizers.Adam())
    stream = pipeline.training(image_set, 128, seed)
    fit(model, stream, image_set.n_train // 128, lambda images: decode(encode(images)["z"]), clock)
    return vae.latent_dim, encode, decode, sample


def train_twin(image_set, seed, clock):
    """The PyTorch twin of the first stage of vae.toml, with a schedule of as many steps as the clock's limit has room for."""
    import twins

    from keras_ae.data import pipeline
    from keras_ae.priors import mixture

    vae = vae_experiment(seed)
    batch = vae.training.batch
    steps = image_set.n_train // batch
    fitting = round(10 * clock.limit / twins.speed(vae, image_set.shape, 10)())
    twin = twins.Twin(vae, image_set.shape, min(steps * vae.training.epochs, max(20, fitting)))
    clock.start()
    for step, part in enumerate(pipeline.training(image_set, batch, seed, variation=vae.data.variation), 1):
        twin.step(twins.to_torch(part["images"]))
        if step % steps == 0 and clock.done(lambda images: twin.decode(twin.codes(images)["z"])):
            break

    @functools.cache
    def prior():
        known = np.concatenate([twin.codes(part["images"])["z"] for part in pipeline.batches(image_set, "train", 512)])
        arguments = dict(vae.tables["prior"])
        return mixture.PRIORS[arguments.pop("name")].fit(known, seed, **arguments)

    return vae.latent_dim, twin.codes, twin.decode, lambda n, seed: prior().sample(n, seed)


def pythae_networks(kind, config, widths=(32, 64, 128, 256)):
    """The strided convolutions of ae.toml for pythae: its encoder and decoder."""
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from torch import nn

    channels, side = [config.input_dim[0], *widths], config.input_dim[1] // 2 ** len(widths)
    features = widths[-1] * side * side

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            parts = [m for a, b in zip(channels, widths, strict=False) for m in (nn.Conv2d(a, b, 4, 2, 1), nn.ReLU())]
            self.layers = nn.Sequential(*parts, nn.Flatten())
            self.mean, self.log_var = nn.Linear(features, config.latent_dim), nn.Linear(features, config.latent_dim)

        def forward(self, x):
            x = self.layers(x)
            return ModelOutput(embedding=self.mean(x), **({"log_covariance": self.log_var(x)} if kind == "VAE" else {}))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            pairs = zip(channels[:0:-1], channels[-2::-1], strict=True)
            parts = [m for a, b in pairs for m in (nn.ConvTranspose2d(a, b, 4, 2, 1), nn.ReLU())]
            self.dense = nn.Linear(config.latent_dim, features)
            self.layers = nn.Sequential(*parts[:-1], nn.Sigmoid())

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(self.dense(z).relu().reshape(-1, widths[-1], side, side)))

    return Encoder(), Decoder()


def train_pythae(kind, image_set, seed, clock):
    """pythae's AE or VAE, trained by its own trainer; codes are drawn with its GaussianMixture sampler."""
    import pythae.models
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback
    from twins import to_torch

    from keras_ae.data import pipeline

    class OutOfTime(Exception):
        pass

    class Until(TrainingCallback):
        def on_epoch_end(self, training_config, **kwargs):
            model.eval()
            if clock.done(lambda images: decode(encode(images)["z"])):
                raise OutOfTime

    @torch.no_grad()
    def encode(images):
        # pythae's images are in [0, 1]
        found = model.encoder(to_torch(images) / 2 + 0.5)
        mean = found.embedding.numpy()
        return {"z": mean} | ({"z_mean": mean, "z_log_var": found.log_covariance.numpy()} if "log_covariance" in found else {})

    @torch.no_grad()
    def decode(z):
        images = model.decoder(torch.from_numpy(np.asarray(z, "float32"))).reconstruction
        return images.numpy().transpose(0, 2, 3, 1) * 2 - 1

    torch.manual_seed(seed)
    height, width, channels = image_set.shape
    latent_dim = vae_experiment(seed).latent_dim
    images = to_torch(pipeline.examples(image_set, "train", image_set.n_train)).contiguous() / 2 + 0.5
    config = getattr(pythae.models, f"{kind}Config")(input_dim=(channels, height, width), latent_dim=latent_dim)
    model = getattr(pythae.models, kind)(config, *pythae_networks(kind, config))
    options = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(), num_epochs=100_000, learning_rate=1e-3, per_device_train_batch_size=64, no_cuda=True
    )
    dataset = BaseDataset(images, torch.ones(len(images)))
    trainer = BaseTrainer(model=model, train_dataset=dataset, training_config=options, callbacks=[Until()])
    clock.start()
    try:
        trainer.train()
    except OutOfTime:
        pass
    model.eval()

    def sample(n, seed):
        sampler = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=10))
        sampler.fit(images)
        sampler.gmm.random_state = seed
        return sampler.gmm.sample(n)[0]

    return latent_dim, encode, decode, sample


OTHERS = {
    "PyTorch twin": train_twin,
    "plain Keras VAE": train_plain_keras,
    "pythae AE": functools.partial(train_pythae, "AE"),
    "pythae VAE": functools.partial(train_pythae, "VAE"),
}


def race(image_set, target, arguments):
    """The seconds until each rebuilds held-out images with `target` dB from mean codes, in Markdown."""
    from keras_ae.data import pipeline

    held_out = pipeline.examples(image_set, "test", image_set.n_test)
    rows = ["| trained by | seconds until the PSNR of PCA | best PSNR dB |", "|---|---|---|"]
    for name, train in {"keras_ae vae, first stage": train_first_stage, **OTHERS}.items():
        clock = Clock(60 * arguments.minutes, held_out, target)
        train(image_set, arguments.seed, clock)
        reached = f"{clock.seconds:.0f}" if clock.psnr >= target else f"not in {clock.seconds:.0f}"
        rows.append(f"| {name} | {reached} | {clock.psnr:.2f} |")
    return "\n".join([*rows, "", f"{target:.2f} dB: PCA with as many numbers, on the same {len(held_out)} held-out images."])


def bench(arguments):
    from keras_ae.data import pipeline
    from keras_ae.judge import report
    from keras_ae.judge.judge import Judge

    data = ("--data", arguments.data) if arguments.data else ()
    source = pipeline.resolve("cat_faces", arguments.data) if arguments.data else ("synthetic_cats", None)
    image_set = pipeline.load(*source)
    judge = Judge(image_set, arguments.n, "gabor", arguments.seed)
    makers = [functools.partial(train_ours, name, data, arguments.minutes) for name in ("vae", "ae")]
    makers += [functools.partial(candidate, name, image_set, arguments.seed, arguments.minutes) for name in OTHERS]
    makers.append(functools.partial(judge.baseline, 128))
    judged, arrays = judge.measure_all(makers)
    print(report.write(arguments.out, judge, judged, judged, arrays, judge.warnings()))
    numbers = json.loads((arguments.out / "metrics.json").read_text(encoding="utf-8"))
    print(race(image_set, numbers["models"]["PCA-128"]["reconstruction"]["psnr"], arguments))


if __name__ == "__main__":
    bench(parser().parse_args())
