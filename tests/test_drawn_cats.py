import hashlib

import numpy as np
import pytest
from conftest import draw_cat, process

from keras_ae.data.drawn_cats import CLASSES, RANGES, SIMPLE, draw, draw_cats, factor_names, factor_value, sample_factors


@pytest.mark.parametrize(("size", "digest"), [(16, "e4bd2afb56c8f3d9"), (24, "390b5a5dc4465d25"), (64, "d798d14e1f0100be")])
def test_the_drawn_cats_never_change(size, digest):
    contents = hashlib.sha256()
    for index in range(150):
        contents.update(draw_cat(index, size, 7).tobytes())
    assert contents.hexdigest().startswith(digest)


def test_they_are_the_same_without_vector_instructions_and_need_numpy_alone():
    program = "from keras_ae.data.drawn_cats import draw, sample_factors; import hashlib, sys\n"
    program += "assert not {'tensorflow', 'keras', 'PIL', 'scipy', 'matplotlib', 'joblib'} & set(sys.modules)\n"
    program += "print(hashlib.sha256(b''.join(draw(sample_factors(7, index)).tobytes() for index in range(150))).hexdigest())"
    features = {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"}
    assert process("-W", "ignore", "-c", program, env=features).stdout.startswith("d798d14e1f0100be")


@pytest.mark.parametrize("simple", [False, True])
def test_factors_cover_their_classes_and_stay_within_their_ranges(simple):
    cats = [sample_factors(0, index, simple) for index in range(300)]
    for name, known in CLASSES.items():
        assert {getattr(cat, name) for cat in cats} == ({0} if simple else set(range(len(known))))
    for name, (low, high) in (SIMPLE if simple else RANGES).items():
        values = [getattr(cat, name) for cat in cats]
        assert np.float32(low) <= min(values) < max(values) <= np.float32(high)
    if simple:
        assert {name for name in (*RANGES, "texture") if len({getattr(cat, name) for cat in cats}) > 1} == set(SIMPLE)


def test_every_name_has_a_value():
    factors = sample_factors(0, 0)
    values = {name: factor_value(factors, name) for name in factor_names()}
    assert values["eye_size"] == factors.eye_size
    for factor in CLASSES:
        assert sum(value for name, value in values.items() if name.startswith(f"{factor}=")) == 1


def test_cats_are_drawn_in_the_shape_of_a_model():
    factors, colour = draw_cats(3, (16, 16, 3), seed=7)
    assert factors == [sample_factors(7, index) for index in range(3)]
    np.testing.assert_array_equal(colour[2], draw(factors[2], 16))
    _, grey = draw_cats(3, (16, 16, 1), seed=7)
    assert grey.shape == (3, 16, 16, 1)
    assert grey.dtype == "uint8"
    np.testing.assert_allclose(grey[..., 0], colour.mean(axis=-1), atol=0.51)


@pytest.mark.parametrize(("fit", "first"), [("crop", True), ("pad", False), ("stretch", True)])
def test_cats_are_cropped_padded_or_stretched_for_models_of_other_shapes(fit, first):
    _, images = draw_cats(2, (16, 24, 1), 0, fit=fit)
    assert images.shape == (2, 16, 24, 1)
    assert images[:, :, 0].any() == first
