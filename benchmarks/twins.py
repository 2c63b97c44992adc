"""Both stages of an experiment with plain networks in PyTorch, and the first in a bare Keras loop, for bench.py and peers.py.

The PyTorch twin has the same layers, widths, initializers, likelihood, optimizer, schedule, clipping and batches; channels-last
memory and bfloat16 autocast, which are PyTorch's fastest way on CPUs; `torch.optim.Muon` and the fused `torch.optim.Adam`. It
is on the GPU where PyTorch finds one.
"""

import copy
import math
import time

import numpy as np
import torch
from torch import nn

# where there is a GPU, everything is made on it
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
torch.set_default_device(DEVICE)


def plain_model(encoder, decoder, reconstruction, optimizer):
    """Two networks in the shortest Keras model that trains a VAE. reconstruction: images, decoded -> (batch,)."""
    import keras
    import tensorflow as tf

    class Plain(keras.Model):
        def train_step(self, batch):
            images = batch["images"]
            with tf.GradientTape() as tape:
                codes = encoder(images, training=True)
                z_mean, z_log_var = codes["z_mean"], codes["z_log_var"]
                z = z_mean + tf.exp(z_log_var / 2) * tf.random.normal(tf.shape(z_mean))
                kl = tf.reduce_sum(tf.square(z_mean) + tf.exp(z_log_var) - 1 - z_log_var, axis=1) / 2
                loss = tf.reduce_mean(reconstruction(images, decoder(z, training=True)) + kl)
            weights = encoder.trainable_variables + decoder.trainable_variables
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            return {"loss": loss}

    model = Plain()
    model.encoder, model.decoder = encoder, decoder
    model.compile(optimizer=optimizer, jit_compile=False)
    return model


def _initialized(layer):
    """Keras' initializers: Glorot uniform, biases of 0."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """x + conv(relu(conv(relu(x)))), the last convolution 0 at first."""

    def __init__(self, width, activation=None):
        super().__init__()
        activation = activation or nn.ReLU()
        first, second = (_initialized(nn.Conv2d(width, width, 3, 1, 1)) for _ in range(2))
        nn.init.zeros_(second.weight)
        self.branch = nn.Sequential(activation, first, activation, second)

    def forward(self, x):
        return x + self.branch(x)


class Encoder(nn.Module):
    """Images (batch, C, size, size) -> mean and log-variance, each (batch, latent_dim), float32."""

    def __init__(self, channels, maps, blocks, bottleneck, latent_dim):
        super().__init__()
        parts = []
        for stage, (_, width) in enumerate(maps):
            parts += [nn.ReLU()] if stage else []
            parts.append(_initialized(nn.Conv2d(channels, width, 4, 2, 1)))
            parts += [Block(width) for _ in range(blocks[min(stage, len(blocks) - 1)])]
            channels = width
        parts += [nn.ReLU(), _initialized(nn.Conv2d(channels, bottleneck, 1)), nn.Flatten()]
        self.features = nn.Sequential(*parts)
        numbers = bottleneck * maps[-1][0] ** 2
        self.mean, self.log_var = (_initialized(nn.Linear(numbers, latent_dim)) for _ in range(2))

    def forward(self, images):
        features = self.features(images)
        with torch.autocast(DEVICE, enabled=False):
            features = features.float()
            return self.mean(features), self.log_var(features).clamp(-12, 6)


class Decoder(nn.Module):
    """z (batch, latent_dim) -> images (batch, C, size, size) in [-1, 1], float32."""

    def __init__(self, channels, maps, blocks, bottleneck, latent_dim):
        super().__init__()
        self.side, width = maps[-1]
        self.dense = _initialized(nn.Linear(latent_dim, bottleneck * self.side**2))
        parts = [_initialized(nn.Conv2d(bottleneck, width, 1))]
        for stage in reversed(range(len(maps))):
            width = maps[stage][1]
            parts += [Block(width) for _ in range(blocks[min(stage, len(blocks) - 1)])]
            parts.append(_initialized(nn.ConvTranspose2d(width, maps[stage - 1][1] if stage else channels, 4, 2, 1)))
        self.layers = nn.Sequential(*parts)

    def forward(self, z):
        x = self.dense(z).reshape(len(z), -1, self.side, self.side).contiguous(memory_format=torch.channels_last)
        return torch.tanh(self.layers(x).float())


class Critic(nn.Module):
    """Images (batch, C, size, size) -> logits of the whole (batch, 1) and of patches (batch, n), float32; feature maps."""

    def __init__(self, channels, maps, blocks):
        super().__init__()
        self.stages = nn.ModuleList()
        self.activation = nn.LeakyReLU(0.2)
        for stage, (_, width) in enumerate(maps):
            conv = _initialized(nn.Conv2d(channels, width, 4, 2, 1))
            more = [Block(width, self.activation) for _ in range(blocks[min(stage, len(blocks) - 1)])]
            self.stages.append(nn.Sequential(conv, *more))
            channels = width
        self.patch = _initialized(nn.Conv2d(channels, 128, 3, 1, 1))
        self.patches = nn.Conv2d(128, 1, 1, bias=False)
        self.narrow = _initialized(nn.Conv2d(channels, 32, 1))
        self.seen = _initialized(nn.Linear(32 * maps[-1][0] ** 2, 256))
        self.whole = nn.Linear(256, 1, bias=False)
        for layer in (self.patches, self.whole):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, x):
        features = []
        for stage in self.stages:
            x = self.activation(stage(x))
            features.append(x)
        patches, seen = self.activation(self.patch(x)), self.activation(self.narrow(x)).flatten(1)
        seen = self.activation(self.seen(seen))
        with torch.autocast(DEVICE, enabled=False):
            patches = torch.nn.functional.conv2d(patches.float(), self.patches.weight)
            return [self.whole(seen.float()), patches.flatten(1)], features


class _Muon:
    """`torch.optim.Muon`, which takes matrices alone, on kernels as matrices in the same memory; Adam on everything else."""

    def __init__(self, parameters, learning_rate, momentum=0.95, betas=(0.9, 0.999)):
        self.matrices, rest = [], []
        for parameter in parameters:
            rows = self._rows(parameter.data) if parameter.ndim > 1 else None
            if rows is None or min(rows.shape) <= 3:
                rest.append(parameter)
            else:
                self.matrices.append((parameter, nn.Parameter(rows)))
        flat = [matrix for _, matrix in self.matrices]
        self.optimizers = [
            torch.optim.Muon(flat, lr=learning_rate, weight_decay=0.0, momentum=momentum, adjust_lr_fn="match_rms_adamw"),
            torch.optim.Adam(rest, lr=learning_rate, betas=betas, eps=1e-7, fused=True),
        ]

    @staticmethod
    def _rows(values):
        return (values.permute(0, 2, 3, 1) if values.ndim == 4 else values).reshape(len(values), -1)

    def step(self):
        for parameter, matrix in self.matrices:
            matrix.grad = self._rows(parameter.grad)
        for optimizer in self.optimizers:
            optimizer.step()


class Twin:
    """The twin of an experiment for images of `shape`, trained by `step`. `steps`: of the whole cosine schedule."""

    def __init__(self, experiment, shape, steps):
        torch.manual_seed(experiment.training.seed)
        *_, channels = shape
        parts = []
        for make, table in ((Encoder, "encoder"), (Decoder, "decoder")):
            options = experiment.tables[table]
            # side and width of the feature maps of each stage
            maps = [(shape[0] >> stage, width) for stage, width in enumerate(options["widths"], 1)]
            network = make(channels, maps, options["blocks"], options["bottleneck"], experiment.latent_dim)
            parts.append(network.to(memory_format=torch.channels_last))
        self.encoder, self.decoder = parts
        self.low = experiment.precision == "mixed_bfloat16"
        self.parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        schedule, optimizer = experiment.tables["schedule"], experiment.tables["optimizer"]
        self.clip_norm = optimizer["clip_norm"]
        rate, warmup, final = (schedule[key] for key in ("learning_rate", "warmup_steps", "final"))

        def share(step):
            if step < warmup:
                return 0.01 + 0.99 * step / warmup
            along = min(1.0, (step - warmup) / max(1, steps - warmup))
            return final + (1 - final) * (1 + math.cos(math.pi * along)) / 2

        self.optimizer = _Muon(self.parameters, rate)
        self.schedules = [torch.optim.lr_scheduler.LambdaLR(each, share) for each in self.optimizer.optimizers]

    def step(self, images):
        """One step on images (batch, C, H, W) in [-1, 1], channels-last."""
        for parameter in self.parameters:
            parameter.grad = None
        with torch.autocast(DEVICE, torch.bfloat16, enabled=self.low):
            mean, log_var = self.encoder(images)
            decoded = self.decoder(mean + torch.exp(log_var / 2) * torch.randn_like(mean))
        squared = (images - decoded).square()
        variance = squared.mean().clamp_min(1e-6).detach()
        nats = (squared / variance + variance.log() + math.log(2 * math.pi)).sum((1, 2, 3)) / 2
        kl = (mean.square() + log_var.exp() - 1 - log_var).sum(1) / 2
        (nats + kl).mean().backward()
        nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        self.optimizer.step()
        for schedule in self.schedules:
            schedule.step()

    @torch.no_grad()
    def codes(self, images):
        """Mean codes and log-variances of images (n, H, W, C), as NumPy arrays."""
        mean, log_var = (values.cpu().numpy() for values in self.encoder(to_torch(images)))
        return {"z": mean, "z_mean": mean, "z_log_var": log_var}

    @torch.no_grad()
    def decode(self, z):
        """Images (n, H, W, C) of codes (n, latent_dim)."""
        return self.decoder(torch.from_numpy(np.array(z, "float32")).to(DEVICE)).permute(0, 2, 3, 1).cpu().numpy()


class RefinerTwin:
    """The second stage: the networks, losses, penalties, variation, optimizers and batches of `models.refiner.Refiner`."""

    def __init__(self, experiment, shape, steps):
        first = Twin(experiment, shape, steps)
        self.table, self.low = experiment.tables["refinement"], first.low
        self.encoder, self.student = first.encoder.requires_grad_(False), first.decoder
        self.decoder = copy.deepcopy(self.student).requires_grad_(False)
        maps = [(shape[0] >> stage, width) for stage, width in enumerate(self.table["critic_widths"], 1)]
        self.critic = Critic(shape[-1], maps, self.table["critic_blocks"]).to(memory_format=torch.channels_last)
        self.pool, self.steps = torch.randn(self.table["draws"], experiment.latent_dim), 0
        self.optimizers = [
            _Muon(list(network.parameters()), self.table[f"{name}learning_rate"], momentum=0.9, betas=(0.5, 0.99))
            for network, name in ((self.student, ""), (self.critic, "critic_"))
        ]

    def varied(self, images, pairs):
        """Shifts of up to an eighth of the side and a hole of 3/8 of it, the same for the first and the next `pairs` images."""
        n, side = len(images), images.shape[-1]
        most, places = side // 8, torch.arange(side)

        def positions(end):
            numbers = torch.randint(0, end, (n - pairs, 1))
            return torch.cat([numbers[:pairs], numbers])

        down, across = (places + positions(2 * most + 1) for _ in range(2))
        padded = nn.functional.pad(images, [most] * 4).permute(0, 2, 3, 1)
        shifted = padded[torch.arange(n)[:, None, None], down[:, :, None], across[:, None]].permute(0, 3, 1, 2)
        rows, columns = ((places - positions(side)).abs() < side * 3 // 16 for _ in range(2))
        return shifted * ~(rows[:, :, None] & columns[:, None])[:, None]

    def step(self, images):
        """One step on images (batch, C, H, W) in [-1, 1], channels-last."""
        n, softplus, table = len(images), nn.functional.softplus, self.table
        rows = (self.steps * n + torch.arange(n)) % len(self.pool)
        self.steps += 1
        with torch.autocast(DEVICE, torch.bfloat16, enabled=self.low):
            mean, log_var = self.encoder(images)
            z = mean + torch.exp(log_var / 2) * torch.randn_like(mean)
            decoded = self.student(torch.cat([z, self.pool[rows]]))
            shown = self.varied(torch.cat([images, decoded]), n)
            logits, features = self.critic(shown)
            kinds = [each.chunk(3) for each in logits]
            share = table["reconstruction_share"]
            adversarial = sum(
                share * softplus(real - rebuilt).mean() + (1 - share) * softplus(real - drawn).mean()
                for real, rebuilt, drawn in kinds
            )
            ranked = sum(softplus(one - real).mean() for real, *others in kinds for one in others)
            pairs = [[part.float() for part in each.chunk(3)[:2]] for each in features]
            difference = sum((real.detach() - rebuilt).abs().mean() / real.detach().abs().mean() for real, rebuilt in pairs)
            half = torch.arange(max(1, n // 16))
            some = shown.detach()[torch.cat([half, n // 2 + half, n + half, 2 * n + half])].requires_grad_()
            judged = sum(each.mean(1).sum() for each in self.critic(some)[0])
        (slope,) = torch.autograd.grad(judged, some, create_graph=True)
        squared = (images - decoded[:n]).square()
        nats = squared.sum((1, 2, 3)).mean() / 2 / squared.mean().clamp_min(1e-6).detach()
        loss = nats + table["weight"] * (adversarial + table["feature_weight"] * difference)
        critic_loss = ranked + table["penalty"] * slope.square().sum((1, 2, 3)).mean()
        for network, value in ((self.student, loss), (self.critic, critic_loss)):
            parameters = list(network.parameters())
            for parameter, gradient in zip(parameters, torch.autograd.grad(value, parameters, retain_graph=True), strict=True):
                parameter.grad = gradient
        for optimizer in self.optimizers:
            optimizer.step()
        with torch.no_grad():
            for averaged, trained in zip(self.decoder.parameters(), self.student.parameters(), strict=True):
                averaged.lerp_(trained, 1 - table["average"])


def to_torch(images):
    """Images (n, H, W, C) of any array type as a channels-last tensor (n, C, H, W)."""
    return torch.from_numpy(np.array(images, "float32")).to(DEVICE).permute(0, 3, 1, 2)


def speed(experiment, shape, steps, refining=False):
    """A function that trains the twin of a stage for so many steps on one batch in memory and returns the seconds."""
    twin = (RefinerTwin if refining else Twin)(experiment, shape, 100_000)
    batch = (experiment.second_stage if refining else experiment.training).batch
    images = to_torch(np.random.default_rng(0).uniform(-1, 1, (batch, *shape)))

    def seconds():
        began = time.perf_counter()
        for _ in range(steps):
            twin.step(images)
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    seconds()
    return seconds
