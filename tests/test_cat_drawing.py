import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_ae.data.sets import cat_drawing
from keras_ae.data.sets.cat_drawing import draw, drawn
from keras_ae.data.sets.cat_factors import CLASSES, RANGES, SIMPLE, factor_names, factor_value, sample_factors


@pytest.mark.parametrize(("size", "digest"), [(16, "e4bd2afb56c8f3d9"), (24, "390b5a5dc4465d25"), (64, "d798d14e1f0100be")])
def test_the_drawn_cats_never_change(size, digest):
    contents = hashlib.sha256()
    for index in range(150):
        contents.update(draw(sample_factors(7, index), size).tobytes())
    assert contents.hexdigest().startswith(digest)


def test_the_drawn_cats_are_the_same_without_the_processors_vector_instructions():
    program = "from keras_ae.data.sets.cat_drawing import draw, sample_factors; import hashlib\n"
    program += "print(hashlib.sha256(b''.join(draw(sample_factors(7, index)).tobytes() for index in range(150))).hexdigest())"
    found = set()
    for disabled in ("", "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"):
        environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": disabled}
        ran = subprocess.run([sys.executable, "-W", "ignore", "-c", program], env=environment, capture_output=True, check=True)
        found.add(ran.stdout)
    assert len(found) == 1


def test_factors_cover_their_classes_and_stay_within_their_ranges():
    cats = [sample_factors(0, index) for index in range(300)]
    for name, known in CLASSES.items():
        assert {getattr(cat, name) for cat in cats} == set(range(len(known)))
    for name, (low, high) in RANGES.items():
        values = [getattr(cat, name) for cat in cats]
        assert np.float32(low) <= min(values) < max(values) <= np.float32(high)


def test_every_name_has_a_value():
    factors = sample_factors(0, 0)
    values = {name: factor_value(factors, name) for name in factor_names()}
    assert values["eye_size"] == factors.eye_size
    for factor in CLASSES:
        assert sum(value for name, value in values.items() if name.startswith(f"{factor}=")) == 1


def test_cats_are_drawn_in_the_shape_of_a_model():
    factors, colour = drawn(3, (16, 16, 3), seed=7)
    assert factors == [sample_factors(7, index) for index in range(3)]
    np.testing.assert_array_equal(colour[2], draw(factors[2], 16))
    _, grey = drawn(3, (16, 16, 1), seed=7)
    assert grey.shape == (3, 16, 16, 1)
    assert grey.dtype == "uint8"
    np.testing.assert_allclose(grey[..., 0], colour.mean(axis=-1), atol=0.51)


def test_drawing_imports_numpy_alone():
    heavy = "{'tensorflow', 'keras', 'PIL', 'scipy', 'matplotlib'}"
    program = f"import sys; import keras_ae.data.sets.cat_drawing; assert not {heavy} & set(sys.modules), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_cats_drawn_on_all_cores_are_the_same(monkeypatch):
    factors, images = drawn(5, (16, 16, 1), 3)
    monkeypatch.setattr(cat_drawing, "MANY", 5)
    again, same = drawn(5, (16, 16, 1), 3)
    assert again == factors
    np.testing.assert_array_equal(same, images)


def test_a_program_without_a_main_guard_draws_on_all_cores(tmp_path):
    # processes of multiprocessing would run the program again, without end
    program = tmp_path / "program.py"
    program.write_text(
        "from keras_ae.data.sets import cat_drawing\n"
        "cats = list(cat_drawing.draw_all([(0, index, False) for index in range(cat_drawing.MANY)], 8))\n"
        "print(len(cats), all((cats[-1][1] == cat_drawing.draw(cats[-1][0], 8)).flat))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, env=environment, timeout=120)
    assert (done.stdout, done.stderr) == ("2000 True\n", "")


def test_simple_cats_differ_in_position_size_and_hue_alone():
    cats = [sample_factors(0, index, simple=True) for index in range(50)]
    varied = {name for name in (*CLASSES, *RANGES, "texture") if len({getattr(one, name) for one in cats}) > 1}
    assert varied == set(SIMPLE)
    for name, (low, high) in SIMPLE.items():
        assert low <= min(getattr(one, name) for one in cats) < max(getattr(one, name) for one in cats) <= high
