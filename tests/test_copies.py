import numpy as np
import pytest
from conftest import draw_cat

from keras_ae.data import copies


def grouped_by_hand(thumbnails, crowd):
    """The definition of `groups`, with all pairs compared one by one."""
    n = len(thumbnails)
    values = thumbnails.astype("float64")
    mirrored = values.reshape(n, copies.SIDE, copies.SIDE)[:, :, ::-1].reshape(n, -1)
    near = np.zeros((n, n), bool)
    for a in range(n):
        for b in range(n):
            if a != b and values[a].any() and values[b].any():
                correlation = max(np.mean(values[a] * values[b]), np.mean(values[a] * mirrored[b]))
                near[a, b] = correlation > 1 - copies.NEAR**2 / 2
    crowded = near.sum(axis=1) > crowd
    near[crowded] = near[:, crowded] = False
    leaders = np.arange(n)
    # each image takes the smallest index among its near-copies until nothing changes
    for _ in range(n):
        leaders = np.array([min([leaders[a], *leaders[near[a]]]) for a in range(n)])
    sizes = np.bincount(leaders, minlength=n)
    return np.where(sizes[leaders] > crowd, np.arange(n), leaders)


# 1: one image, one pair at a time
@pytest.mark.parametrize(("piece", "crowd"), [(1, 4), (1000, 2), (1000, copies.CROWD)])
def test_groups_equal_those_of_a_comparison_of_all_pairs(crowd, piece, monkeypatch):
    for name in ("BLOCK", "WIDE", "PAIRS"):
        monkeypatch.setattr(copies, name, piece)
    random = np.random.default_rng(0)
    images = []
    # chains of noisier and noisier versions, some mirrored: groups of one to eleven
    for index in range(12):
        image = draw_cat(index, 64).astype(int)
        for _ in range(index):
            image = np.clip(image + random.integers(-30, 31, (8, 8, 3)).repeat(8, axis=0).repeat(8, axis=1), 0, 255)
            images.append((image[:, ::-1] if random.random() < 0.3 else image).astype("uint8"))
    images += [np.full((64, 64, 3), grey, "uint8") for grey in (0, 0, 255)]
    thumbnails = np.stack([copies.thumbnail(images[index]) for index in random.permutation(len(images))])
    found = copies.groups(thumbnails, crowd)
    np.testing.assert_array_equal(found, grouped_by_hand(thumbnails, crowd))
    assert 3 < len(set(found)) < len(found)


def test_flat_images_one_image_and_a_crowd_of_similar_ones_are_groups_of_their_own():
    flat = np.stack([copies.thumbnail(np.full((16, 16, 3), grey, "uint8")) for grey in range(200)])
    assert len(set(copies.groups(flat))) == 200
    np.testing.assert_array_equal(copies.groups(copies.thumbnail(draw_cat(0, 64))[None]), [0])
    random, frame = np.random.default_rng(0), draw_cat(0, 32).astype(int)
    frames = [np.clip(frame + random.integers(-8, 9, frame.shape), 0, 255).astype("uint8") for _ in range(500)]
    thumbnails = np.stack([copies.thumbnail(image) for image in [*frames, draw_cat(1, 64), draw_cat(1, 64)[:, ::-1]]])
    found = copies.groups(thumbnails)
    assert len(set(found[:500])) == 500
    assert found[500] == found[501]


def test_copies_are_found_in_whichever_strips_they_lie():
    random = np.random.default_rng(0)
    images = [draw_cat(index, 16) for index in range(150)]
    images += [np.clip(image[:, ::-1] + random.integers(-20, 21, image.shape), 0, 255).astype("uint8") for image in images]
    thumbnails = np.stack([copies.thumbnail(image) for image in images])
    pairs = {tuple(pair) for pair in copies.near_pairs(thumbnails)}
    rows = thumbnails.astype("float32")
    near = copies._near(rows[:, None], rows[None])
    assert pairs == {(a, b) for a, b in np.argwhere(near).tolist() if a < b}
    assert len(pairs) >= 150


def test_images_are_never_farther_apart_in_what_is_compared_first_than_their_thumbnails():
    thumbnails = np.stack([copies.thumbnail(draw_cat(index, 16)) for index in range(50)]).astype("float32")
    positions = copies.positions(thumbnails)
    mirrored = copies.positions(thumbnails.reshape(-1, copies.SIDE, copies.SIDE)[:, :, ::-1].reshape(thumbnails.shape))
    np.testing.assert_allclose(mirrored, positions, atol=1e-5)
    apart = np.sqrt(np.mean(np.square(thumbnails[:, None] - thumbnails[None]), axis=-1))
    assert (np.linalg.norm(positions[:, None] - positions[None], axis=-1) <= apart + 1e-5).all()


def test_black_bars_do_not_make_copies_of_pictures_of_the_same_shape():
    tall = np.stack([np.pad(draw_cat(index, 24)[:, 8:16], [[0, 0], [8, 8], [0, 0]]) for index in range(40)])
    assert copies.trim(tall[0]).shape == (24, 8, 3) and copies.trim(np.zeros((8, 8, 3), "uint8")).shape == (8, 8, 3)
    assert len(copies.near_pairs(np.stack([copies.thumbnail(image) for image in tall]))) > 0
    assert len(copies.near_pairs(np.stack([copies.thumbnail(copies.trim(image)) for image in tall]))) == 0
