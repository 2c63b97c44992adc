"""Image data sets: opened by name, decoded once into a cache, streamed with tf.data."""
