"""The experiments of a course on autoencoders, drawn and measured: python -m keras_ae.study NAME

A study is a function of exports {name: Exported}, pictures (`keras_ae.data.Pictures`), a seed and a folder; it writes pictures
NAME*.png into the folder and returns numbers. To add one, write a function and name its module in `STUDIES`.
"""

# name of the function: its module, so that a list of them needs no TensorFlow
STUDIES = {
    "sampling": "sampling",
    "priors": "sampling",
    "latent_map": "codes",
    "code_noise": "codes",
    "plane": "codes",
    "labels": "sampling",
    "neighbours": "codes",
    "clusters": "codes",
    "denoising": "restoration",
    "upscaling": "restoration",
    "sizes": "sizes",
    "attributes": "factors",
    "disentanglement": "factors",
    "melodies": "melodies",
}
