"""The batch of all devices, seen from one of them: what a training step needs so that many devices train as one does.

`tf.distribute` runs a step in R replicas at once, one on each device. Replica r has the rows r, r + R, r + 2R ... of the batch
(`keras_ae.data.rows`). Outside of such a step, as on one device, R is 1, and each function here adds nothing.
"""

import tensorflow as tf
from keras import ops


def count():
    """How many replicas compute the present step."""
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context else 1


def on_workers():
    """Whether the replicas belong to several processes."""
    strategy = tf.distribute.get_strategy()
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and count() > 1


def _reduced(how, values):
    return tf.distribute.get_replica_context().all_reduce(how, values)


def summed(numbers):
    """The sum of whole numbers over the replicas."""
    # float32 is what every kind of device can add up
    return numbers if count() == 1 else tf.cast(_reduced(tf.distribute.ReduceOp.SUM, tf.cast(numbers, tf.float32)), tf.int32)


def averaged(values):
    """The means of tensors over the replicas: a list, or a dict of scalars, which are reduced together."""
    if count() == 1:
        return values
    if isinstance(values, dict):
        return dict(zip(values, tf.unstack(averaged([tf.stack(list(values.values()))])[0]), strict=True))
    return _reduced(tf.distribute.ReduceOp.MEAN, values)


def mean(values):
    """The share of this replica in the mean over the batch, a scalar: its mean over the replicas is the mean over the batch.

    The gradient of a sum of such shares, averaged over the replicas, is the gradient on one device. Replicas may have different
    numbers of rows, or none.
    """
    if count() == 1:
        return ops.mean(values)
    return count() * ops.sum(values) / ops.cast(_size(values), values.dtype)


def _size(values):
    """How many numbers all replicas have."""
    # batches of training have a size that is known before, and is the same in each replica
    known = values.shape.num_elements()
    return count() * known if known else summed(tf.size(values))


def rows(draw, shape):
    """The rows of this replica of what `draw(shape)` draws for the whole batch. shape: of the rows of this replica.

    Otherwise all replicas, which have the same seeds, would draw the same numbers.
    """
    if count() == 1:
        return draw(shape)
    n, *rest = shape
    if isinstance(n, int):
        return draw((count() * n, *rest))[_number() :: count()]
    # a last batch of Keras' own data sets is divided in another way than ours: into rows that follow each other
    sizes = summed(n * tf.one_hot(_number(), count(), dtype=tf.int32))
    total, numbers = tf.reduce_sum(sizes), tf.range(count())
    ours = tf.reduce_all(sizes == (total - numbers + count() - 1) // count())
    begin = tf.where(ours, _number(), tf.reduce_sum(tf.where(numbers < _number(), sizes, 0)))
    return tf.gather(draw((total, *rest)), begin + tf.where(ours, count(), 1) * tf.range(n))


def together(numbers):
    """The whole numbers (n,) of all rows of the batch in their order, from those of each replica, which has as many rows."""
    # float32 is what every kind of device can add up
    return numbers if count() == 1 else tf.cast(gathered(tf.cast(numbers, tf.float32)), tf.int32)


def gathered(values):
    """The rows (n, ...) of all replicas in the order of the batch, from those of each, which has as many: differentiable."""
    if count() == 1:
        return values
    n = values.shape[0]
    places = tf.range(n) * count() + _number()
    return _reduced(tf.distribute.ReduceOp.SUM, tf.scatter_nd(places[:, None], values, (n * count(), *values.shape[1:])))


def first(n, values):
    """This replica's part of the first `n` rows of the batch, and the weight of each row, so that `mean` is that of n rows.

    The parts have the same size in all replicas; the weight is 0 for a row that is none of the n.
    """
    if count() == 1:
        return values[:n], None
    most = -(-n // count())
    numbers = tf.range(most) * count() + _number()
    return values[:most], tf.cast(numbers < n, "float32") * (most * count() / n)


def _number():
    return tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32)


def step(optimizer, gradients, variables):
    """Apply the gradients of `mean`s, averaged over the replicas.

    Keras' optimizers clip the gradients of each replica and add up what is left. Here the averages are clipped before, and each
    replica gives its share of the sum.
    """
    if count() > 1:
        pairs = [(gradient, variable) for gradient, variable in zip(gradients, variables, strict=True) if gradient is not None]
        gradients = averaged([tf.convert_to_tensor(gradient) for gradient, _ in pairs])
        variables = [variable for _, variable in pairs]
        if norm := optimizer.global_clipnorm:
            gradients, _ = tf.clip_by_global_norm(gradients, norm)
        elif norm := optimizer.clipnorm:
            gradients = [tf.clip_by_norm(gradient, norm) for gradient in gradients]
        elif limit := optimizer.clipvalue:
            gradients = [tf.clip_by_value(gradient, -limit, limit) for gradient in gradients]
        gradients = [gradient / count() for gradient in gradients]
    optimizer.apply(gradients, variables)
