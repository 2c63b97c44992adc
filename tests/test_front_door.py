"""What programs expect of `import keras_ae`: quick, no change of the process, names with documentation and types."""

import inspect
import typing

import pytest
from conftest import process

import keras_ae
from keras_ae.training.experiment import Experiment

# the public names, and the class that `read` returns
PUBLIC = {name: getattr(keras_ae, name) for name in keras_ae.__all__} | {"Experiment": Experiment}

USE = """
import logging, os, random, signal, sys, warnings

def state():
    \"\"\"What belongs to the process and not to a library.\"\"\"
    import keras, numpy, PIL.Image, PIL.ImageFile
    from tensorflow.python.eager import context
    loggers = [logging.getLogger(name) for name in (None, "tensorflow", "absl", "keras", "PIL", "matplotlib")]
    return {
        "environment": dict(os.environ),
        "descriptors": [os.fstat(number)[:3] for number in range(3)],
        "streams": [sys.stdin, sys.stdout, sys.stderr, sys.excepthook],
        "Pillow": (PIL.Image.MAX_IMAGE_PIXELS, PIL.ImageFile.LOAD_TRUNCATED_IMAGES),
        "seeds": (context.global_seed(), list(seeds)),
        "Keras": (keras.config.dtype_policy().name, keras.config.floatx(), keras.config.image_data_format()),
        "NumPy": numpy.geterr(),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)],
        "levels": [(logger.level, list(logger.handlers)) for logger in loggers],
        "warnings": list(warnings.filters),
        "folder": os.getcwd(),
    }

import keras_ae
assert not {"tensorflow", "keras", "numpy", "PIL"} & set(sys.modules)
assert {"VAE", "Gaussian", "load", "load_data", "read"} <= set(dir(keras_ae))
# what others do to the process when they are imported, or TensorFlow when it saves, is not ours
import keras, matplotlib.pyplot, numpy, sklearn.mixture, tensorflow, tf2onnx
module = tensorflow.Module()
module.serve = tensorflow.function(lambda x: {"y": x}, [tensorflow.TensorSpec(())])
tensorflow.saved_model.save(module, "other", module.serve.get_concrete_function())
# Keras draws seeds from Python's generator, which nobody may set
seeds = []
for owner, name in ((random, "seed"), (numpy.random, "seed"), (tensorflow.random, "set_seed")):
    setattr(owner, name, lambda *_, name=name: seeds.append(name))
before = state()
for name in keras_ae.__all__:
    getattr(keras_ae, name)
images = keras_ae.load_data("digits")[0][0][:64]
encoder = keras_ae.conv_encoder((8, 8, 1), keras_ae.Gaussian(2), widths=[4])
vae = keras_ae.VAE(encoder, keras_ae.conv_decoder((8, 8, 1), 2, widths=[4]))
vae.compile("adam")
vae.fit(images, epochs=1, verbose=0)
keras_ae.save(vae, "made", images)
for runtime in ("onnx", "tensorflow"):
    keras_ae.load("made", runtime=runtime).generate(2)
after = state()
for name in before:
    assert before[name] == after[name], (name, before[name], after[name])
"""


def test_importing_and_using_the_package_changes_nothing_in_the_process(tmp_path):
    done = process("-c", USE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_is_an_attribute_error_and_the_version_is_known():
    assert keras_ae.__version__
    with pytest.raises(AttributeError, match="VAEE"):
        _ = keras_ae.VAEE


def functions_of(public):
    """{name: function} of a function, or of a class: its public methods and properties that keras_ae defines."""
    if inspect.isfunction(public):
        return {public.__name__: public}
    members = {}
    for owner in public.__mro__:
        if owner.__module__.startswith("keras_ae"):
            for name, member in vars(owner).items():
                function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                if inspect.isfunction(function) and (not name.startswith("_") or name in ("__init__", "__call__")):
                    members.setdefault(name, function)
    return members


@pytest.mark.parametrize("name", PUBLIC)
def test_every_parameter_and_result_of_the_public_interface_has_a_type(name):
    functions = functions_of(PUBLIC[name])
    assert functions
    for function in functions.values():
        hints = typing.get_type_hints(function, include_extras=True)
        expected = {key for key in inspect.signature(function).parameters if key not in ("self", "cls")}
        # that of __init__ is None
        expected |= set() if function.__name__ == "__init__" else {"return"}
        assert not expected - set(hints), f"{name}.{function.__name__}"
