"""serving/: the example service answers, batches and refuses; its configurations are read by what they are for."""

import importlib.util
import io
import threading

import numpy as np
import pytest
from conftest import CATS, ROOT
from fastapi.testclient import TestClient
from PIL import Image

from keras_ae import load
from keras_ae.images import pictures

FOLDER = ROOT / "serving"


def load_module(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def app():
    pytest.importorskip("onnxruntime")
    if not CATS.exists():
        pytest.skip("exported/cats is not in the sdist")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPORT", str(CATS))
        yield load_module("app")


@pytest.fixture(scope="module")
def client(app):
    with TestClient(app.app) as client:
        yield client


def picture(kind="jpeg"):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 70, 3), "uint8")).save(file, kind)
    return file.getvalue()


def read_png(answer):
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_pictures_are_those_of_the_package(client):
    one = read_png(client.get("/generate", params={"n": 1, "seed": 3}))
    np.testing.assert_array_equal(one, load(CATS, runtime="onnx").generate(1, 3)[0][0])
    assert read_png(client.get("/generate", params={"n": 9})).shape == (2 * 64 + 2, 8 * 64 + 7 * 2, 3)


def test_codes_and_back(client):
    codes = client.post("/encode", content=picture()).json()
    assert np.array(codes["codes"]).shape == (1, 128)
    decoded = read_png(client.post("/decode", json=codes))
    exported = load(CATS, runtime="onnx")
    pixels = pictures.decode(picture(), exported.input_shape, fit=exported.fit)
    np.testing.assert_array_equal(decoded, pictures.to_uint8(exported.reconstruct(pixels[None])[0]))


@pytest.mark.parametrize("name", list(load_module("clients").HOSTILE))
def test_hostile_requests_get_a_line(client, name):
    method, path, body = load_module("clients").HOSTILE[name]
    answer = client.request(method, path, content=body)
    assert answer.status_code in (400, 413, 422)
    assert answer.json()["detail"]


def test_requests_that_wait_are_computed_together(app, client):
    sizes, begun, proceed, compute = [], threading.Event(), threading.Event(), app.encode.compute

    def slowly(images):
        begun.set()
        assert proceed.wait(30)
        sizes.append(len(images))
        return compute(images)

    app.encode.compute = slowly
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(client.post("/encode", content=picture()))) for _ in range(5)]
    threads[0].start()
    assert begun.wait(30)
    for thread in threads[1:]:
        thread.start()
    while app.encode.waiting.qsize() < 4:
        pass
    proceed.set()
    for thread in threads:
        thread.join()
    app.encode.compute = compute
    assert sizes == [1, 4]
    assert {answer.status_code for answer in answers} == {200}


def test_who_waits_too_long_is_told_to_come_back(app, client, monkeypatch):
    monkeypatch.setattr(app, "SECONDS", 0.05)
    proceed, compute = threading.Event(), app.encode.compute
    app.encode.compute = lambda images: proceed.wait(30) and compute(images)
    answer = client.post("/encode", content=picture())
    proceed.set()
    app.encode.compute = compute
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
