"""pythae's AE and VAE (PyTorch) as candidates of the judge, for benchmarks/peers.py."""

import tempfile

import numpy as np
import torch
from clock import Clock

from keras_ae.data import pipeline
from keras_ae.judge.judge import Candidate
from keras_ae.priors.space import batched
from keras_ae.training import experiment

BATCH = 64


def networks(kind, config, widths=(32, 64, 128, 256)):
    """The strided convolutions of ae.toml for pythae: its encoder and decoder."""
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


def train(kind, image_set, seed, limits):
    """pythae's AE or VAE, trained by its own trainer until the clock `limits` ends it, and the training images (n, C, H, W)."""
    import pythae.models
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    class OutOfTime(Exception):
        pass

    class Until(TrainingCallback):
        def on_epoch_end(self, training_config, **kwargs):
            model.eval()
            if limits.done(lambda images: decoded(model, encoded(model, images)["z"])):
                raise OutOfTime

    torch.manual_seed(seed)
    height, width, channels = image_set.shape
    latent_dim = experiment.read("experiments/vae.toml").latent_dim
    images = pipeline.examples(image_set, "train", image_set.n_train)
    scaled = to_torch(images)
    config = getattr(pythae.models, f"{kind}Config")(input_dim=(channels, height, width), latent_dim=latent_dim)
    model = getattr(pythae.models, kind)(config, *networks(kind, config))
    options = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(), num_epochs=100_000, learning_rate=1e-3, per_device_train_batch_size=BATCH, no_cuda=True
    )
    dataset = BaseDataset(scaled, torch.ones(len(scaled)))
    trainer = BaseTrainer(model=model, train_dataset=dataset, training_config=options, callbacks=[Until()])
    limits.start()
    try:
        trainer.train()
    except OutOfTime:
        pass
    model.eval()
    return model, scaled


def to_torch(images):
    """Images (n, H, W, C) in [-1, 1] as pythae wants them: (n, C, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(np.asarray(images, "float32").transpose(0, 3, 1, 2)) / 2 + 0.5)


@torch.no_grad()
def encoded(model, images):
    """Codes of images (n, H, W, C), as the judge wants them."""
    found = model.encoder(to_torch(images))
    mean = found.embedding.numpy()
    return {"z": mean} | ({"z_mean": mean, "z_log_var": found.log_covariance.numpy()} if "log_covariance" in found else {})


@torch.no_grad()
def decoded(model, z):
    """Images (n, H, W, C) of codes (n, latent_dim)."""
    images = model.decoder(torch.from_numpy(np.asarray(z, "float32"))).reconstruction
    return images.numpy().transpose(0, 2, 3, 1) * 2 - 1


def peer(kind, image_set, minutes, seed):
    """The candidate of the judge that trains for so many minutes; codes are drawn with its GaussianMixture sampler."""
    from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig

    model, scaled = train(kind, image_set, seed, Clock(60 * minutes))
    sampler = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=10))
    sampler.fit(scaled)

    def decode(z):
        return batched(lambda rows: decoded(model, rows), z)

    def generate(n, seed):
        sampler.gmm.random_state = seed
        return np.clip(decode(sampler.gmm.sample(n)[0]), -1, 1)

    def codes(images):
        return batched(lambda rows: encoded(model, rows), images)

    return Candidate(f"pythae {kind}", model.latent_dim, codes, decode, generate)
