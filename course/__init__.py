"""Studies of a course on autoencoders (docs/course.md), beside the package keras_ae and on its public functions.

`python -m course NAME` draws and measures one of them; `make -C course` trains what they need and runs all.
"""
