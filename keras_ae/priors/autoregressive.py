"""A learned prior of discrete codes: a causal transformer that draws one cell after another.

The probability of a code is the product of those of its cells, each given the cells before it (van den Oord et al. 2017,
arXiv:1711.00937, section 3.2; Vaswani et al. 2017, arXiv:1706.03762). Training evaluates all cells of a code at once; drawing
evaluates one at a time, and keeps keys and values of the earlier ones in a cache.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from keras_ae.errors import UserError
from keras_ae.priors import space
from keras_ae.priors.draws import BLOCK, gumbel
from keras_ae.priors.prior import Blocks, Decay, Learned, Rate, Steps, Width, minimize


@dataclasses.dataclass(frozen=True)
class Autoregressive(Learned):
    """A transformer over the cells of discrete codes.

    codebook: the values of the entries, (entries, channels). cells: of a code. width, blocks, classes: of `transformer`.
    weights: all of its weights in one row, float16. Temperature divides the logits of each cell: at 0, each has its most likely
    entry.
    """

    codebook: np.ndarray
    cells: int
    width: int
    blocks: int
    classes: int
    weights: np.ndarray

    @classmethod
    def fit(
        cls,
        codes: ArrayLike,
        seed: int = 0,
        labels: ArrayLike | None = None,
        classes: int | None = None,
        codebook: ArrayLike | None = None,
        *,
        width: Width = 128,
        blocks: Blocks = 3,
        steps: Steps = 3000,
        learning_rate: Rate = 2e-3,
        weight_decay: Decay = 0.05,
    ) -> Self:
        """Train a transformer on codes (n, latent_dim), or (views, n, latent_dim), with the cells of a discrete latent.

        labels, classes: as for `Flow.fit`, which trains in the same way. codebook: (entries, channels), of the latent. Raises
        UserError without one.
        """
        if codebook is None:
            raise UserError("prior.name = 'autoregressive' needs a discrete code: latent.name = 'fsq' or 'vq'")
        codebook, codes = np.asarray(codebook, "float32"), np.asarray(codes)
        tokens = find_entries(codes, codebook).reshape(-1, codes.shape[-2], codes.shape[-1] // codebook.shape[1])
        classes = 0 if labels is None else classes or int(np.max(labels)) + 1
        whole, _ = transformer(tokens.shape[-1], len(codebook), width, blocks, classes, dropout=0.1, seed=seed)

        def loss(tokens, labels, numbers):
            return tf.reduce_mean(_nats(whole, tokens, labels, training=True))

        def test(network, tokens, labels):
            return tf.reduce_mean(_nats(network, tf.constant(tokens[:512]), tf.constant(labels[:512])))

        weights = minimize(whole, loss, test, tokens, labels, 64, seed, steps, learning_rate, weight_decay)
        return cls(codebook, tokens.shape[-1], width, blocks, classes, weights)

    @property
    def latent_dim(self) -> int:
        """Length of a code."""
        return self.cells * self.codebook.shape[1]

    def networks(self) -> tuple[keras.Model, keras.Model]:
        """The trained networks, as `transformer` describes them."""
        whole, step = transformer(self.cells, len(self.codebook), self.width, self.blocks, self.classes)
        return self.load_weights(whole), step

    def drawing_network(self) -> keras.Model:
        """The second of them."""
        return self.networks()[1]

    def neg_log_likelihood(self, codes: ArrayLike, labels: ArrayLike | None = None) -> np.ndarray:
        """-log p(code) of codes (n, latent_dim) in nats, (n,); of a conditional model given their labels (n,)."""
        whole, _ = self.networks()
        tokens = find_entries(codes, self.codebook).reshape(len(codes), self.cells)
        labels = np.zeros(len(tokens), "int32") if labels is None else np.asarray(labels, "int32")
        return space.batched(lambda rows: _nats(whole, tokens[rows], labels[rows]), np.arange(len(tokens)))

    def pool(self, n: int, seed: int = 0, label: ArrayLike | None = None) -> np.ndarray:
        """Draw n codes (n, latent_dim) for training, other codes than those of `sample` with a seed from 0."""
        return np.asarray(self.sample(n, -1 - seed, label=label))

    def draw_block(
        self, evaluate: Callable[..., Any], seeds: tf.Tensor, temperature: tf.Tensor, labels: tf.Tensor
    ) -> tf.Tensor:
        entries = len(self.codebook)
        uniform = [tf.random.stateless_uniform((self.cells, entries), seeds[row]) for row in range(BLOCK)]
        noise = temperature * gumbel(tf.stack(uniform, axis=1), tf.math)

        def draw_cell(cell, token, cache, tokens):
            logits, cache = evaluate([token, tf.fill((BLOCK,), cell), cache, labels])
            token = tf.argmax(logits + noise[cell], axis=1, output_type=tf.int32)
            return cell + 1, token, cache, tokens.write(cell, token)

        cache = tf.zeros((BLOCK, 2 * self.blocks, self.cells, self.width))
        begin = 0, tf.fill((BLOCK,), entries), cache, tf.TensorArray(tf.int32, self.cells)
        *_, tokens = tf.while_loop(lambda cell, *_: cell < self.cells, draw_cell, begin)
        return tf.reshape(tf.gather(self.codebook, tf.transpose(tokens.stack())), (BLOCK, -1))


def find_entries(codes, codebook):
    """The numbers of the entries that are nearest to the cells of codes (..., latent_dim), int32 in one row."""
    _, nearest = KDTree(codebook).query(np.reshape(codes, (-1, codebook.shape[1])))
    return nearest.astype("int32")


def transformer(cells, entries, width, blocks, classes=0, dropout=0.0, seed=0):
    """Two functional models with the same weights.

    whole: tokens (batch, cells) -> logits (batch, cells, entries), of each cell given those before it. step: token (batch,) of
    the cell before, `entries` where there is none; position (batch,); cache (batch, 2 * blocks, cells, width) -> logits
    (batch, entries), and the cache with this cell. Where there are `classes`, both take the label (batch,) last.
    """
    seeds = iter(range(seed * 1000, (seed + 1) * 1000))
    heads = math.gcd(width, 4)

    def dense(units):
        return layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(next(seeds)), dtype="float32")

    def embedding(count):
        return layers.Embedding(count, width, keras.initializers.RandomUniform(seed=next(seeds)), dtype="float32")

    def norm():
        return layers.LayerNormalization(dtype="float32")

    of_token, of_place, of_class = embedding(entries + 1), embedding(cells), embedding(classes) if classes else None
    stack = [(norm(), dense(3 * width), dense(width), norm(), dense(4 * width), dense(width)) for _ in range(blocks)]
    drop, last, head = layers.Dropout(dropout, seed=next(seeds), dtype="float32"), norm(), dense(entries)

    def split(x):
        return ops.transpose(ops.reshape(x, (-1, x.shape[1], heads, width // heads)), (0, 2, 1, 3))

    def attend(query, keys, values, hidden):
        scores = ops.matmul(split(query), ops.transpose(split(keys), (0, 1, 3, 2))) / math.sqrt(width // heads)
        mixed = ops.matmul(ops.softmax(scores - 1e9 * hidden), split(values))
        return ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, query.shape[1], width))

    def evaluate(tokens, places, label, hidden, keep):
        """Logits (batch, n, entries). hidden: 1 where a cell may not look. keep: keys or values of n cells -> of all cells."""
        x = of_token(tokens) + of_place(places)
        x = x + of_class(*label)[:, None] if classes else x
        # normalization at the start of each branch: Xiong et al. 2020 (arXiv:2002.04745)
        for before, project, join, between, widen, narrow in stack:
            query, keys, values = ops.split(project(before(x)), 3, axis=-1)
            x = x + drop(join(attend(query, keep(keys), keep(values), hidden)))
            x = x + drop(narrow(ops.silu(widen(between(x)))))
        return head(last(x))

    label = [keras.Input((), name="label", dtype="int32")] if classes else []
    tokens = keras.Input((cells,), name="tokens", dtype="int32")
    shifted = ops.concatenate([0 * tokens[:, :1] + entries, tokens[:, :-1]], axis=1)
    places = ops.cumsum(0 * tokens + 1, axis=1) - 1
    logits = evaluate(shifted, places, label, np.triu(np.ones((cells, cells), "float32"), 1), lambda x: x)
    whole = keras.Model([tokens, *label], logits, name="whole")

    token, position = (keras.Input((), name=name, dtype="int32") for name in ("token", "position"))
    cache, kept, numbers = keras.Input((2 * blocks, cells, width), name="cache"), [], np.arange(cells, dtype="int32")

    def keep(x):
        here = ops.equal(numbers, position[:, None])[:, :, None]
        kept.append(ops.where(here, x, cache[:, len(kept)]))
        return kept[-1]

    hidden = ops.cast(ops.greater(numbers, position[:, None]), "float32")[:, None, None]
    logits = evaluate(token[:, None], position[:, None], label, hidden, keep)
    return whole, keras.Model([token, position, cache, *label], [logits[:, 0], ops.stack(kept, axis=1)], name="step")


def _nats(whole, tokens, labels, training=False):
    """-log p of tokens (n, cells) with labels (n,), tensor (n,)."""
    logits = whole([tokens, labels][: len(whole.inputs)], training=training)
    return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(tokens, logits), axis=1)
