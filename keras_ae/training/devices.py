"""The devices that train: one, all of this machine, or those of several processes, with `tf.distribute`.

Several processes are workers; TensorFlow reads from the variable TF_CONFIG which there are. All do the same, each in a folder
of a run of its own, but for one, the chief: its folder is the run, the others have temporary ones.
"""

import contextlib
import functools
import json
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_ae.errors import UserError, first_line
from keras_ae.files import written_whole

EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
# GPUs with bfloat16 units have at least this compute capability
AMPERE = (8, 0)


def _processor_has_bfloat16():
    """Whether this processor multiplies bfloat16 natively (Linux; elsewhere False)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in text or "amx_bf16" in text


def has_fast_bfloat16():
    """Whether training gains from bfloat16: on all GPUs, or on the processor where there is none."""
    gpus = tf.config.list_physical_devices("GPU")
    # a GPU of another vendor has no compute capability
    return (
        all(tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) >= AMPERE for gpu in gpus)
        if gpus
        else _processor_has_bfloat16()
    )


def compiles():
    """Whether to compile training steps with XLA: on one GPU. On CPUs it was 0.6 times the speed; replicas cannot use it."""
    return bool(tf.config.list_physical_devices("GPU")) and not tf.distribute.has_strategy()


class WorkerLost(UserError):
    """Another process of the training ended, or cannot be reached."""


# what TensorFlow raises then
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.InternalError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnknownError,
)


class Devices:
    """Where a run trains. strategy: of `tf.distribute`, or None for one device. chief: whether this process keeps the run."""

    def __init__(self, strategy=None, chief=True):
        self.strategy = strategy
        self.chief = chief

    @property
    def replicas(self):
        """How many devices share each batch."""
        return self.strategy.num_replicas_in_sync if self.strategy else 1

    @property
    def workers(self):
        """Whether there are other processes."""
        return isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy)

    def __str__(self):
        kind = "workers" if self.workers else "devices"
        return f"{self.replicas} {kind}" if self.replicas > 1 else ""

    def scope(self):
        """Build and train a model inside it."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def stream(self, dataset):
        """A tf.data of batches that the devices share."""
        return self.strategy.experimental_distribute_dataset(dataset) if self.strategy else dataset

    def check_batch(self, table, batch):
        """UserError unless the devices can share a batch evenly."""
        if batch % self.replicas:
            fitting = -(-batch // self.replicas) * self.replicas
            raise UserError(f"{table}.batch must be a multiple of the {self}, such as {fitting}. Received: {batch}")

    def _from_chief(self, numbers):
        """The sum of integers (n,) of each process, where those of all but the chief are 0."""
        values = tf.constant(numbers, tf.int64)
        zeros = tf.zeros_like(values)

        def of_replica(context):
            return values if self.chief and context.replica_id_in_sync_group == 0 else zeros

        each = self.strategy.experimental_distribute_values_from_function(of_replica)
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None).numpy()

    def send(self, path):
        """Give the chief's file `path` to the other processes, at the same path in their folders. They wait for it.

        path: in each process, the path of the file in its own folder. Nothing happens where the chief has no such file.
        """
        if not self.workers:
            return
        content = path.read_bytes() if self.chief and path.exists() else b""
        (size,) = self._from_chief([len(content)])
        if size:
            whole = np.zeros(-(-size // 8), "int64")
            whole.view("uint8")[: len(content)] = np.frombuffer(content, "uint8")
            whole = self._from_chief(whole)
            if not self.chief:
                with written_whole(path) as partial:
                    partial.write_bytes(whole.view("uint8")[:size].tobytes())

    def send_run(self, run):
        """Give the chief's run to the other processes: configuration, state, what the second stage begins with."""
        for path in (run.folder / "config.json", run.folder / "state.npz", run.weights, run.first_stage, run.prior):
            self.send(path)

    def wait(self):
        """Wait until every process is here."""
        if self.workers:
            self._from_chief([0])

    @contextlib.contextmanager
    def quiet(self):
        """Nothing is printed but by the chief; errors are."""
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.nullcontext() if self.chief else contextlib.redirect_stdout(nowhere),
        ):
            yield

    @contextlib.contextmanager
    def explained(self):
        """Errors of TensorFlow because another process ended, as a `WorkerLost` that says how to go on."""
        try:
            yield
        except LOST as error:
            if not self.workers:
                raise
            reason = first_line(error).rpartition("}} ")[2]
            raise WorkerLost(
                f"another worker ended, or cannot be reached ({reason}). All whole epochs are saved; the same command with "
                "--resume goes on, in every worker"
            ) from error


def _worker():
    """Whether this process is the chief, and how many workers TF_CONFIG names. Raises UserError."""
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        raise UserError(
            "training.devices = workers needs the variable TF_CONFIG, which names all workers; --workers 2 starts two on this "
            "machine"
        )
    try:
        config = json.loads(text)
        cluster, kind, index = config["cluster"], config["task"]["type"], int(config["task"]["index"])
        known = kind in ("chief", "worker") and set(cluster) <= {"chief", "worker"} and 0 <= index < len(cluster[kind])
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise UserError(f"TF_CONFIG must be JSON such as {EXAMPLE}. Received: {text[:200]}")
    return kind == "chief" or ("chief" not in cluster and index == 0), sum(map(len, cluster.values()))


@functools.cache
def _mirrored(names):
    # one in a process: a second one would number its collective operations as the first did
    return tf.distribute.MirroredStrategy(list(names))


def opened(name):
    """The Devices that `training.devices` names. Open them before TensorFlow computes anything. Raises UserError."""
    if name == "all":
        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return Devices(_mirrored(tuple(device.name for device in found))) if len(found) > 1 else Devices()
    if name == "workers":
        chief, workers = _worker()
        return Devices(tf.distribute.MultiWorkerMirroredStrategy(), chief) if workers > 1 else opened("all")
    return Devices()
