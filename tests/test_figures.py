import numpy as np
import pytest
from PIL import Image

from keras_ae.errors import UserError
from keras_ae.images import charts, figures
from keras_ae.images.pictures import to_uint8

RANDOM = np.random.default_rng(0)


def noise(n, side, channels=3):
    """Images without two equal ones, in which every pixel matters; none is white."""
    return RANDOM.uniform(-1, 0.9, (n, side, side, channels)).astype("float32")


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def enlarged(image, scale):
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def place(picture, image):
    """(top, left, scale) of the only place where the picture shows the image, each pixel as a square of whole pixels."""
    image = np.broadcast_to(to_uint8(image), (*image.shape[:2], 3)).astype(int)
    found = []
    first = np.pad(np.all(picture == image[0, 0], axis=-1), ((1, 0), (1, 0)))
    # the corners of squares of the colour of the first pixel
    for top, left in np.argwhere(first[1:, 1:] & ~first[:-1, 1:] & ~first[1:, :-1]):
        for scale in range(1, 17):
            shown = picture[top : top + scale * len(image), left : left + scale * len(image)]
            if np.array_equal(shown[::scale, ::scale], image) and np.array_equal(shown, enlarged(image, scale)):
                found.append((top, left, scale))
    (only,) = found
    return only


DRAWN = {
    "rows": lambda images, path: figures.rows(
        [images[:4], images[4:8]], ["one", "a label of many words that wraps"], path, "t"
    ),
    "headed": lambda images, path: figures.rows([images[:4], images[4:8]], [], path, "t", ["a", "b", "c", "last one"]),
    "samples": lambda images, path: figures.samples(images[:8], path, "t"),
    "reconstructions": lambda images, path: figures.reconstructions({"a": images[:4], "b": images[4:8]}, path, "t"),
    "shown": lambda images, path: figures.show(images[:8], columns=4).save(path),
    "shown rows": lambda images, path: figures.show({"one": images[:4], "a label": to_uint8(images[4:8])}).save(path),
}


@pytest.mark.parametrize(("side", "channels"), [(8, 3), (64, 1), (128, 3)])
@pytest.mark.parametrize("kind", DRAWN)
def test_every_pixel_of_every_image_is_a_square_of_whole_pixels(tmp_path, kind, side, channels):
    images = noise(8, side, channels)
    DRAWN[kind](images, tmp_path / "figure.png")
    picture = pixels(tmp_path / "figure.png")
    places = [place(picture, image) for image in images]
    scales = {scale for _, _, scale in places}
    assert len(scales) == 1
    # small images are enlarged, and a row of four fits on a page
    assert scales == {max(1, min(figures.WIDTH // (4 * side), figures.CELL // side))} or kind == "samples"
    assert side > 64 or scales.pop() * side >= 56
    assert picture.shape[1] < 900


def test_frames_stand_in_their_order_and_thumbnails_where_their_codes_lie(tmp_path):
    frames = noise(31, 16)
    figures.interpolation(frames, tmp_path / "way.png", "way")
    picture = pixels(tmp_path / "way.png")
    assert place(picture, frames[0])[1] < place(picture, frames[-1])[1]
    assert Image.open(tmp_path / "way.gif").n_frames == 31 + 29
    images = noise(3, 28, 1)
    places = np.array([[0.0, 0.0], [1.0, 5.0], [3.0, 1.0]])
    figures.thumbnails(places, images, tmp_path / "map.png", "codes")
    picture = pixels(tmp_path / "map.png")
    (y0, x0, _), (y1, x1, _), (y2, x2, _) = (place(picture, image) for image in images)
    assert x0 < x1 < x2
    assert (x1 - x0) / (x2 - x0) == pytest.approx(1 / 3, abs=0.01)
    # upwards is less
    assert y1 < y2 < y0


def test_curves_leave_out_what_is_always_zero_and_the_loss_of_a_refinement_whose_meaning_changes(tmp_path):
    values = {"loss": 3.0, "neg_elbo": 3.0, "reconstruction": 3.0, "kl": 0.0, "psnr": 10.0}
    rows = [{"epoch": epoch, "val_psnr": 9.0} | values for epoch in (1, 2)]
    # without KL the negative ELBO is the reconstruction
    assert charts.shown_curves(rows) == ["reconstruction", "psnr"]
    keys = ("loss", "neg_elbo", "kl", "adversarial", "critic")
    assert charts.shown_curves([dict.fromkeys(keys[:3], 1.0), dict.fromkeys(keys, 2.0)]) == list(keys[1:])
    charts.curves(rows, tmp_path / "curves.png")
    for name in ("one.png", "two.png"):
        charts.kl_per_dimension({"a": np.arange(4.0)}, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert all(Image.open(tmp_path / f"{name}.png").size[0] > 200 for name in ("one", "curves"))


@pytest.mark.parametrize(
    "images", [np.zeros((8, 8, 3)), np.zeros((0, 8, 8, 3)), {}, {"a": np.zeros((2, 8, 8, 3)), "b": np.zeros((3, 8, 8, 3))}]
)
def test_show_says_what_it_takes(images):
    with pytest.raises(UserError, match=r"show takes images of shape \(n, H, W, C\)"):
        figures.show(images)
