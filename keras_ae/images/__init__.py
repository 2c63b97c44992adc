"""What people see: picture files, figures and charts."""

from keras_ae.images import melodies as melodies  # adds MIDI files to pictures.READERS and pictures.WRITERS
