"""The devices that train: one, all of this machine, or those of several processes, with `tf.distribute` as it comes.

Several processes are workers, which TensorFlow reads from the variable TF_CONFIG. All do the same with the same arguments, and
share the folder of the run; only one of them, the chief, writes to it.
"""

import functools
import json
import os
from pathlib import Path

import tensorflow as tf

from keras_ae.data import pipeline
from keras_ae.errors import UserError

EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'


def has_fast_bfloat16():
    """Whether training gains from bfloat16: on all GPUs, or on the processor where there is none (known on Linux)."""
    if gpus := tf.config.list_physical_devices("GPU"):
        # a GPU of another vendor has no compute capability
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(one.get("compute_capability", (0, 0)) >= (8, 0) for one in details)
    known = Path("/proc/cpuinfo")
    return known.exists() and bool({"avx512_bf16", "amx_bf16"} & set(known.read_text(encoding="utf-8").split()))


def compiles():
    """Whether to compile training steps with XLA: on one GPU. On CPUs it was 0.6 times the speed; replicas cannot use it."""
    return bool(tf.config.list_physical_devices("GPU")) and not tf.distribute.has_strategy()


class _Reduces:
    """A strategy that reduces what Keras passes it in `fit`."""

    def reduce(self, reduce_op, value, axis):
        # a batch with names, to look at its shapes (keras issue 20585)
        if isinstance(value, dict):
            return {name: self.experimental_local_results(part)[0] for name, part in value.items()}
        # logs, over an axis that scalars do not have
        is_scalar = self.experimental_local_results(value)[0].shape.rank == 0
        return super().reduce(reduce_op, value, None if is_scalar else axis)


class AllDevices(_Reduces, tf.distribute.MirroredStrategy):
    """The strategy of the devices of one machine."""


class Workers(_Reduces, tf.distribute.MultiWorkerMirroredStrategy):
    """The strategy of several processes."""


# a second strategy in a process would number its collective operations as the first did
@functools.cache
def open_strategy(name):
    """The strategy of `training.devices`; workers are opened before TensorFlow computes anything. Raises UserError."""
    if name == "workers":
        text = os.environ.get("TF_CONFIG", "")
        try:
            config = json.loads(text)
            config["cluster"][config["task"]["type"]][int(config["task"]["index"])]
        except (ValueError, LookupError, TypeError):
            raise UserError(f"workers of a training need TF_CONFIG={EXAMPLE}. Received: {text[:200] or 'nothing'}") from None
        return Workers()
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    # the default: one device
    return AllDevices([device.name for device in found]) if name == "all" and len(found) > 1 else tf.distribute.get_strategy()


def is_chief(strategy):
    """Whether this process writes the run."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    with_chief = "chief" in resolver.cluster_spec().as_dict()
    return resolver.task_type == "chief" or (not with_chief and resolver.task_id == 0)


def wait(strategy):
    """Wait until every worker is here."""
    if strategy.cluster_resolver is not None:
        strategy.run(lambda: tf.distribute.get_replica_context().all_reduce("sum", tf.ones(())))


def datasets(strategy, image_set, experiment, batch, first_epoch, variation):
    """Batches of a stage as devices share them: of training, without end, and of a held-out pass, and how many of these."""
    replicas, seed, task = strategy.num_replicas_in_sync, experiment.training.seed, experiment.task()
    n, size = image_set.n_test - image_set.n_test % replicas, batch - batch % replicas
    training = pipeline.training(image_set, batch, seed, first_epoch, variation, task)
    held_out = pipeline.batches(image_set, "test", batch, task)
    if replicas > 1:
        # each worker takes its part of every batch, and every device gets some of the last held-out one, too
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        held_out = held_out.unbatch().take(n).batch(size).with_options(options)
        training = training.with_options(options)
    return training, held_out, -(-n // size)
