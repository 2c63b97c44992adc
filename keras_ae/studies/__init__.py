"""Experiments of a course on autoencoders, one module each: python -m keras_ae.study NAME

A study is a module with `run(models, image_set, seed, folder)`; it writes pictures NAME*.png and returns numbers.
"""
