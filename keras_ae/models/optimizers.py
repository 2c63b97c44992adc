"""Learning-rate schedules and optimizers, by name, for experiment files.

A schedule takes the number of steps of an epoch and of epochs and returns (learning rate, callbacks): Keras wants a schedule
where the rate follows the step count and a plain number where a callback changes it. Both survive a resumed run.
"""

import math
from typing import Annotated

import keras
from annotated_types import Ge, Gt, Le, Lt
from keras import ops

Rate = Annotated[float, Gt(0), Le(10)]
Factor = Annotated[float, Gt(0), Le(1)]
Reduction = Annotated[float, Gt(0), Lt(1)]
Epochs = Annotated[int, Ge(1), Le(1_000_000)]
Warmup = Annotated[int, Ge(0), Le(10**9)]
Share = Annotated[float, Ge(0), Le(1)]
Norm = Annotated[float, Ge(0), Le(1e9)]


def constant(steps_per_epoch, epochs, *, learning_rate: Rate = 1e-3):
    """The same learning rate throughout."""
    return learning_rate, []


def halve_every(steps_per_epoch, epochs, *, learning_rate: Rate = 1e-3, every: Epochs = 10, factor: Factor = 0.5):
    """Multiply the learning rate by `factor` after each `every` epochs (StepLR)."""
    return keras.optimizers.schedules.ExponentialDecay(learning_rate, every * steps_per_epoch, factor, staircase=True), []


def halve_on_plateau(steps_per_epoch, epochs, *, learning_rate: Rate = 1e-3, patience: Epochs = 3, factor: Reduction = 0.5):
    """Multiply the learning rate by `factor` when the held-out loss has not fallen for `patience` epochs."""
    return learning_rate, [keras.callbacks.ReduceLROnPlateau("val_loss", factor=factor, patience=patience, mode="min")]


def cosine(steps_per_epoch, epochs, *, learning_rate: Rate = 1e-3, warmup_steps: Warmup = 300, final: Share = 0.02):
    """Rise linearly over `warmup_steps`, then fall along half a cosine to `final` times the learning rate."""
    steps = steps_per_epoch * epochs
    warmup_steps = min(warmup_steps, steps // 10)
    warmup = {"warmup_target": learning_rate, "warmup_steps": warmup_steps}
    return keras.optimizers.schedules.CosineDecay(learning_rate / 100, max(1, steps - warmup_steps), final, **warmup), []


def adam(learning_rate, *, clip_norm: Norm = 0.0):
    """Adam (Kingma & Ba 2015); `clip_norm` limits the global norm of the gradients, 0 does not."""
    return keras.optimizers.Adam(learning_rate, global_clipnorm=clip_norm or None)


@keras.saving.register_keras_serializable("keras_ae")
class Muon(keras.optimizers.Muon):
    """Muon (Jordan 2024) for matrices, such as kernels of dense layers and embeddings; Adam for everything else.

    Kernels of convolutions, which Keras' own sends to Adam, are flattened to (height x width x in, out). A step is the momentum
    with all its singular values made about 1, scaled to the size of Adam's steps, so that both share one learning rate (Liu et
    al. 2025, arXiv:2502.16982). The Newton-Schulz polynomial is that of the smaller Gram matrix: fewer products.
    """

    def _should_use_adamw(self, variable):
        # a matrix with a side of a few channels has too few singular values to even out
        return len(variable.shape) < 2 or min(self._flattened(variable.shape)) <= 3

    @staticmethod
    def _flattened(shape):
        return math.prod(shape[:-1]), shape[-1]

    def zeropower_via_newtonschulz5(self, x, steps, scale=1.0):
        """`scale` times x with its singular values made about 1; x of any shape is flattened as kernels are."""
        matrix = ops.reshape(x, self._flattened(x.shape))
        tall = matrix.shape[0] > matrix.shape[1]
        gram = ops.matmul(ops.transpose(matrix), matrix) if tall else ops.matmul(matrix, ops.transpose(matrix))
        # the squared Frobenius norm, without a pass over the matrix
        squared = ops.trace(gram) + 1e-14
        gram, identity = gram / squared, ops.eye(gram.shape[0])
        whole = scale * ops.rsqrt(squared) * identity
        for _ in range(steps):
            factor = self.muon_a * identity + self.muon_b * gram + self.muon_c * ops.matmul(gram, gram)
            whole = ops.matmul(factor, whole)
            gram = ops.matmul(factor, ops.matmul(gram, factor))
        even = ops.matmul(matrix, whole) if tall else ops.matmul(whole, matrix)
        return ops.reshape(even, x.shape)

    def _muon_update_step(self, gradient, variable, lr, m):
        momentum = m.assign(self.momentum * m + gradient)
        ahead = gradient + self.momentum * momentum if self.nesterov else momentum
        size = self.rms_rate * math.sqrt(max(self._flattened(variable.shape)))
        variable.assign_sub(self.zeropower_via_newtonschulz5(ahead, self.ns_steps, size * lr))


def muon(learning_rate, *, clip_norm: Norm = 0.0):
    """Muon for kernels, Adam for the rest, at one learning rate; `clip_norm` limits the global norm of the gradients."""
    return Muon(learning_rate, weight_decay=None, adam_weight_decay=None, global_clipnorm=clip_norm or None)


SCHEDULES = {"constant": constant, "halve_every": halve_every, "halve_on_plateau": halve_on_plateau, "cosine": cosine}
OPTIMIZERS = {"adam": adam, "muon": muon}
