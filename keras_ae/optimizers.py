"""Learning-rate schedules and optimizers, by name, for experiment files.

A schedule takes the number of steps of an epoch and of epochs and returns (learning rate, callbacks): Keras wants a schedule
object where the rate follows the step count and a plain number where a callback changes it. Both kinds survive a resumed run:
the step count and the rate are optimizer variables.
"""

import keras


def constant(steps_per_epoch, epochs, *, learning_rate: float = 1e-3):
    """The same learning rate throughout."""
    return learning_rate, []


def halve_every(steps_per_epoch, epochs, *, learning_rate: float = 1e-3, every: int = 10, factor: float = 0.5):
    """Multiply the learning rate by `factor` after each `every` epochs (StepLR)."""
    return keras.optimizers.schedules.ExponentialDecay(learning_rate, every * steps_per_epoch, factor, staircase=True), []


def halve_on_plateau(steps_per_epoch, epochs, *, learning_rate: float = 1e-3, patience: int = 3, factor: float = 0.5):
    """Multiply the learning rate by `factor` when the held-out bound has not fallen for `patience` epochs."""
    return learning_rate, [keras.callbacks.ReduceLROnPlateau("val_neg_elbo", factor=factor, patience=patience, mode="min")]


def cosine(steps_per_epoch, epochs, *, learning_rate: float = 1e-3, warmup_steps: int = 300, final: float = 0.02):
    """Rise linearly over `warmup_steps`, then fall along half a cosine to `final` times the learning rate."""
    steps = steps_per_epoch * epochs
    warmup_steps = min(warmup_steps, steps // 10)
    decay = keras.optimizers.schedules.CosineDecay(
        learning_rate / 100 if warmup_steps else learning_rate,
        max(1, steps - warmup_steps),
        alpha=final,
        warmup_target=learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    return decay, []


def adam(learning_rate, *, beta_2: float = 0.999, weight_decay: float = 0.0, clip_norm: float = 0.0):
    """Adam (Kingma & Ba 2015); `weight_decay` is decoupled (AdamW), `clip_norm` bounds the global gradient norm; 0 is off."""
    return keras.optimizers.Adam(
        learning_rate, beta_2=beta_2, weight_decay=weight_decay or None, global_clipnorm=clip_norm or None
    )


SCHEDULES = {
    "constant": constant,
    "halve_every": halve_every,
    "halve_on_plateau": halve_on_plateau,
    "cosine": cosine,
}
OPTIMIZERS = {"adam": adam}
