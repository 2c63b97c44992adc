"""Rows of batches: of R replicas, number r has the rows r, r + R, r + 2R ... of each batch, in the order of one device.

So the batch is the same, whatever the number of devices, and the first rows, some of which are treated in another way, are
spread over all of them.
"""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows of one replica of `replicas` in a batch of `n`; numbers or scalar tensors. One replica has all rows."""

    replica: int = 0
    replicas: int = 1
    n: int | None = None

    def of(self, values, axis=0):
        """These rows of what was drawn for the whole batch."""
        if self.replicas == 1:
            return values
        return values[self.replica :: self.replicas] if axis == 0 else values[:, self.replica :: self.replicas]

    def shape(self, images):
        """The shape of the whole batch, of which `images` are these rows."""
        shape = tf.shape(images)
        return shape if self.replicas == 1 else tf.concat([[self.n], shape[1:]], axis=0)

    def before(self, n):
        """How many of these rows are among the first `n` of the batch."""
        return n if self.replicas == 1 else (n - self.replica + self.replicas - 1) // self.replicas


ALL = Rows()


@dataclasses.dataclass(frozen=True)
class Share:
    """What one process computes: the replicas `first` ... `first + here - 1` of `replicas`."""

    first: int
    here: int
    replicas: int

    def taken(self, dataset):
        """Pairs (number, batch) as one element for each replica of this process: (number, rows of the batch, (replica, n))."""

        def split(number, batch):
            n = tf.shape(batch)[0]

            def part(index):
                replica = self.first + tf.cast(index, tf.int32)
                return number, batch[replica :: self.replicas], (replica, n)

            return tf.data.Dataset.range(self.here).map(part)

        return dataset.flat_map(split)
