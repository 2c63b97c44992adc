"""keras_ae beside other ways to the same end: the same pictures, split, latent size and minutes: make bench-peers DATA=folder

Each trains for the same wall-clock time in this run and is judged by `keras_ae.evaluate`:

    ae, vae          experiments/ae.toml and vae.toml, as many epochs as fit
    plain Keras VAE  the networks of vae.toml in the loop of Keras' own example: squared error and KL, Adam, codes from N(0, I)
    pythae AE, VAE   (PyTorch) with the convolutional networks of ae.toml, its trainer, and its GaussianMixture sampler
    PCA              with a normal distribution over its scores

pythae's own networks for 64x64 pictures have 128 to 1,024 channels and see a few epochs only in minutes on two cores; smaller
ones serve it better.
"""

import functools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from keras_ae import commandline

BATCH = 64
# of the minutes, for the first of two stages
FIRST_STAGE = 0.55
PYTHAE = ("AE", "VAE")


def parser():
    parser = commandline.Parser("bench-peers", "Train keras_ae and its peers for equally long and judge all alike.")
    parser.prog = "python benchmarks/peers.py"
    commandline.add_common(parser, "peers", "folder of the report")
    parser.add_argument("--data", metavar="DIR", help="folder of pictures (default: built-in cats)")
    parser.add_argument("--minutes", type=commandline.number(0.1, 600), default=5.0, help="training time of each")
    parser.add_argument("--n", type=commandline.whole_number(50, 50_000), default=2000, help="how many pictures to draw")
    return parser


def run_module(module, *arguments):
    subprocess.run([sys.executable, "-m", f"keras_ae.{module}", *map(str, arguments)], check=True)


def epochs_that_fit(experiment, data, minutes, folder):
    """--set arguments with the epochs of each stage that fit into the minutes, from the time of a few."""
    import csv

    adversarial = experiment.tables["adversarial"]["epochs"] > 0
    options = ["--set", "training.epochs=3", "--set", f"adversarial.epochs={2 * adversarial}"]
    run_module("train", f"experiments/{experiment.name}.toml", *data, *options, "--out", folder / "probe")
    with open(folder / "probe" / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    # the first epoch of a stage compiles
    seconds = {stage: [float(row["seconds"]) for row in rows if row["stage"] == stage] for stage in ("1", "2")}
    share = FIRST_STAGE if adversarial else 1.0
    fit = {"training.epochs": share * minutes * 60 / min(seconds["1"])}
    if adversarial:
        fit["adversarial.epochs"] = (1 - share) * minutes * 60 / min(seconds["2"])
    return [word for key, epochs in fit.items() for word in ("--set", f"{key}={max(1, int(epochs))}")]


def ours(name, data, minutes):
    """An experiment of ours, trained and exported."""
    from keras_ae import evaluate
    from keras_ae.exports.reading import Exported
    from keras_ae.training import experiment

    folder = Path(tempfile.mkdtemp())
    asked = experiment.read(f"experiments/{name}.toml")
    fit = epochs_that_fit(asked, data, minutes, folder)
    run_module("train", f"experiments/{name}.toml", *data, *fit, "--out", folder / "run")
    run_module("export", "--model", folder / "run", "--out", folder / "export")
    return evaluate.candidate(Exported(folder / "export"), f"keras_ae {name}")


def plain_keras(pictures, minutes, seed):
    """The networks of vae.toml in the loop of https://keras.io/examples/generative/vae/, with its optimizer and batch size."""
    import keras
    import numpy as np
    import tensorflow as tf

    from keras_ae.data import pipeline as data
    from keras_ae.judging import judge
    from keras_ae.training import experiment

    asked = experiment.read("experiments/vae.toml", [f"training.seed={seed}"])
    keras.utils.set_random_seed(seed)
    encoder, decoder = asked.networks(pictures.shape, precision=asked.precision)

    class Plain(keras.Model):
        def train_step(self, batch):
            images = batch["image"]
            with tf.GradientTape() as tape:
                codes = encoder(images, training=True)
                squared = tf.reduce_sum(tf.square(images - decoder(codes["z"], training=True)), axis=(1, 2, 3))
                loss = tf.reduce_mean(squared + tf.reduce_sum(codes["kl"], axis=1))
            weights = encoder.trainable_variables + decoder.trainable_variables
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            return {"loss": loss}

    class Until(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = time.monotonic() > end

    model = Plain()
    model.encoder, model.decoder = encoder, decoder
    model.compile(optimizer=keras.optimizers.Adam(), jit_compile=False)
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        model.fit(data.training(pictures, 128, seed), steps_per_epoch=20, epochs=10_000, verbose=0, callbacks=[Until()])

    def encode(images):
        codes = {name: values.numpy() for name, values in encoder(images).items()}
        return {"z": codes["z_mean"], "z_mean": codes["z_mean"], "z_log_var": codes["z_log_var"]}

    def decode(z):
        return decoder(tf.constant(z, tf.float32)).numpy()

    def generate(n, seed):
        z = tf.random.stateless_normal((n, asked.latent_dim), (seed, 0)).numpy()
        return np.clip(judge.batched(decode, z), -1, 1)

    return judge.Candidate("plain Keras VAE", asked.latent_dim, encode, decode, generate)


def torch_networks(kind, config, widths=(32, 64, 128, 256)):
    """The strided convolutions of ae.toml for pythae: its encoder and decoder."""
    import torch
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from torch import nn

    size = config.input_dim[1] // 2 ** len(widths)
    features = widths[-1] * size * size

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            channels = [config.input_dim[0], *widths]
            pairs = zip(channels, channels[1:], strict=False)
            self.layers = nn.Sequential(*(m for a, b in pairs for m in (nn.Conv2d(a, b, 4, 2, 1), nn.ReLU())), nn.Flatten())
            self.mean = nn.Linear(features, config.latent_dim)
            self.log_var = nn.Linear(features, config.latent_dim)

        def forward(self, x):
            x = self.layers(x)
            return ModelOutput(embedding=self.mean(x), **({"log_covariance": self.log_var(x)} if kind == "VAE" else {}))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            channels = [*reversed(widths), config.input_dim[0]]
            pairs = list(zip(channels, channels[1:], strict=False))
            layers = [m for a, b in pairs for m in (nn.ConvTranspose2d(a, b, 4, 2, 1), nn.ReLU())]
            self.dense = nn.Linear(config.latent_dim, features)
            self.layers = nn.Sequential(*layers[:-1], nn.Sigmoid())

        def forward(self, z):
            x = torch.relu(self.dense(z)).reshape(-1, widths[-1], size, size)
            return ModelOutput(reconstruction=self.layers(x))

    return Encoder(), Decoder()


def pythae_peer(kind, pictures, minutes, seed):
    """pythae's AE or VAE with its own trainer until the time is over, and its GaussianMixture sampler."""
    import numpy as np
    import pythae.models
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    from keras_ae.data import pipeline as data
    from keras_ae.judging import judge
    from keras_ae.training import experiment

    class TimeIsOver(Exception):
        pass

    class Until(TrainingCallback):
        def on_train_step_end(self, training_config, **kwargs):
            if time.monotonic() > end:
                raise TimeIsOver

    torch.manual_seed(seed)
    height, width, channels = pictures.shape
    latent_dim = experiment.read("experiments/vae.toml").latent_dim
    images = np.concatenate([batch["image"].numpy() for batch in data.batches(pictures, "train", 512)])
    scaled = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)) / 2 + 0.5)
    config = getattr(pythae.models, f"{kind}Config")(input_dim=(channels, height, width), latent_dim=latent_dim)
    model = getattr(pythae.models, kind)(config, *torch_networks(kind, config))
    options = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(), num_epochs=100_000, learning_rate=1e-3, per_device_train_batch_size=BATCH, no_cuda=True
    )
    dataset = BaseDataset(scaled, torch.ones(len(scaled)))
    trainer = BaseTrainer(model=model, train_dataset=dataset, training_config=options, callbacks=[Until()])
    end = time.monotonic() + 60 * minutes
    try:
        trainer.train()
    except TimeIsOver:
        pass
    model.eval()

    def to_torch(images):
        return torch.from_numpy(np.ascontiguousarray(np.asarray(images, "float32").transpose(0, 3, 1, 2)) / 2 + 0.5)

    def from_torch(images):
        return images.numpy().transpose(0, 2, 3, 1) * 2 - 1

    @torch.no_grad()
    def encode(images):
        found = model.encoder(to_torch(images))
        mean = found.embedding.numpy()
        return {"z": mean} | ({"z_mean": mean, "z_log_var": found.log_covariance.numpy()} if kind == "VAE" else {})

    @torch.no_grad()
    def decode(z):
        return from_torch(model.decoder(torch.from_numpy(np.asarray(z, "float32"))).reconstruction)

    sampler = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=10))
    sampler.fit(scaled)

    def generate(n, seed):
        sampler.gmm.random_state = seed
        return np.clip(judge.batched(decode, sampler.gmm.sample(n)[0]), -1, 1)

    return judge.Candidate(f"pythae {kind}", latent_dim, encode, decode, generate)


def table(numbers, minutes):
    """The README's table, in Markdown."""
    from importlib.metadata import version

    rows = ["| model | PSNR dB | SSIM | sharpness | ELBO nats | fd_gabor | recall | nearest |", "|---" * 8 + "|"]
    judged = numbers["models"] | {"real pictures": {"reconstruction": {}, "likelihood": None, "samples": numbers["real"]}}
    for name, model in judged.items():
        one, samples = model["reconstruction"], model["samples"]
        elbo = model["likelihood"] and model["likelihood"]["nats"]["elbo"]
        cells = [(one.get("psnr"), 2), (one.get("ssim"), 3), (one.get("sharpness"), 2), (elbo, 0)]
        cells += [(samples["fd_gabor"], 1), (samples["recall"], 2), (samples["nearest_training"], 2)]
        rows.append(f"| {name} | " + " | ".join("-" if v is None else f"{v:.{digits}f}" for v, digits in cells) + " |")
    packages = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "torch", "pythae", "scikit-learn"))
    return "\n".join([*rows, "", f"{minutes:g} minutes of training each; {time.strftime('%Y-%m-%d')}; {packages}."])


def bench(arguments):
    from keras_ae import evaluate
    from keras_ae.data import pipeline as data
    from keras_ae.judging import judge

    out = Path(arguments.out)
    evaluate.check_out(out)
    named = ("--data", arguments.data) if arguments.data else ()
    source = data.resolve("cat_faces", arguments.data) if arguments.data else ("synthetic_cats", None)
    pictures = data.load(*source)
    board = judge.Judge(pictures, arguments.n, "gabor", arguments.seed)
    makers = [functools.partial(ours, name, named, arguments.minutes) for name in ("vae", "ae")]
    makers.append(functools.partial(plain_keras, pictures, arguments.minutes, arguments.seed))
    makers += [functools.partial(pythae_peer, kind, pictures, arguments.minutes, arguments.seed) for kind in PYTHAE]
    makers.append(functools.partial(board.baseline, 128))
    judged, arrays = evaluate.judge_all(board, makers)
    evaluate.write(out, board, list(judged), judged, arrays)
    print(table(json.loads((out / "metrics.json").read_text()), arguments.minutes))


def main(argv=None):
    commandline.run(parser(), bench, argv)


if __name__ == "__main__":
    main()
