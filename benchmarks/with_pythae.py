"""pythae's AE and VAE (PyTorch) as candidates of the judge, for benchmarks/peers.py."""

import tempfile
import time

BATCH = 64


def networks(kind, config, widths=(32, 64, 128, 256)):
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


def peer(kind, image_set, minutes, seed):
    """pythae's AE or VAE with its own trainer for so many minutes, and its GaussianMixture sampler."""
    import numpy as np
    import pythae.models
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    from keras_ae.codes.batches import batched
    from keras_ae.data import pipeline
    from keras_ae.judging.judge import Candidate
    from keras_ae.training import experiment

    class OutOfTime(Exception):
        pass

    class Until(TrainingCallback):
        def on_train_step_end(self, training_config, **kwargs):
            if time.monotonic() > end:
                raise OutOfTime

    torch.manual_seed(seed)
    height, width, channels = image_set.shape
    latent_dim = experiment.read("experiments/vae.toml").latent_dim
    images = np.concatenate([batch["images"].numpy() for batch in pipeline.batches(image_set, "train", 512)])
    scaled = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)) / 2 + 0.5)
    config = getattr(pythae.models, f"{kind}Config")(input_dim=(channels, height, width), latent_dim=latent_dim)
    model = getattr(pythae.models, kind)(config, *networks(kind, config))
    options = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(), num_epochs=100_000, learning_rate=1e-3, per_device_train_batch_size=BATCH, no_cuda=True
    )
    dataset = BaseDataset(scaled, torch.ones(len(scaled)))
    trainer = BaseTrainer(model=model, train_dataset=dataset, training_config=options, callbacks=[Until()])
    end = time.monotonic() + 60 * minutes
    try:
        trainer.train()
    except OutOfTime:
        pass
    model.eval()

    def to_torch(images):
        return torch.from_numpy(np.ascontiguousarray(np.asarray(images, "float32").transpose(0, 3, 1, 2)) / 2 + 0.5)

    def from_torch(images):
        return images.numpy().transpose(0, 2, 3, 1) * 2 - 1

    @torch.no_grad()
    def codes(images):
        found = model.encoder(to_torch(images))
        mean = found.embedding.numpy()
        return {"z": mean} | ({"z_mean": mean, "z_log_var": found.log_covariance.numpy()} if kind == "VAE" else {})

    @torch.no_grad()
    def images_of(z):
        return from_torch(model.decoder(torch.from_numpy(np.asarray(z, "float32"))).reconstruction)

    def decode(z):
        return batched(images_of, z)

    sampler = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=10))
    sampler.fit(scaled)

    def generate(n, seed):
        sampler.gmm.random_state = seed
        return np.clip(decode(sampler.gmm.sample(n)[0]), -1, 1)

    return Candidate(f"pythae {kind}", latent_dim, lambda images: batched(codes, images), decode, generate)
