"""Changed images against a slow oracle, pixel by pixel."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.engine.augment import Augment, Way, ways

BLACK = -0.5
HEIGHT, WIDTH = 5, 7


def image() -> NDArray[np.float32]:
    """Every pixel of its own value, none of them black."""
    return np.arange(1, HEIGHT * WIDTH + 1, dtype=np.float32).reshape(HEIGHT, WIDTH)


def changed(augment: Augment, rows: int = 20_000) -> NDArray[np.float32]:
    """The same image that many times, each as it was changed (rows, height, width)."""
    torch.manual_seed(0)
    images = torch.from_numpy(image()).flatten().repeat(rows, 1)
    untouched = images.clone()
    found, _ = augment(images, torch.zeros(rows))
    assert torch.equal(images, untouched)
    return found.view(-1, HEIGHT, WIDTH).numpy()


def augment(*, flip: bool = False, shift_pixels: int = 0, erase_pixels: int = 0) -> Augment:
    return Augment(HEIGHT, WIDTH, BLACK, ways(flip=flip, shift_pixels=shift_pixels), erase_pixels)


def moved(source: NDArray[np.float32], down: int, right: int) -> NDArray[np.float32]:
    """What comes in from outside is black."""
    target = np.full_like(source, BLACK)
    for y, x in product(range(HEIGHT), range(WIDTH)):
        if 0 <= y + down < HEIGHT and 0 <= x + right < WIDTH:
            target[y + down, x + right] = source[y, x]
    return target


def blanked(source: NDArray[np.float32], centre_y: int, centre_x: int, edge: int) -> NDArray[np.float32]:
    """A square of ``edge`` pixels about a pixel, as far as it lies inside."""
    target = source.copy()
    for y, x in product(range(edge), range(edge)):
        at_y, at_x = centre_y - edge // 2 + y, centre_x - edge // 2 + x
        if 0 <= at_y < HEIGHT and 0 <= at_x < WIDTH:
            target[at_y, at_x] = BLACK
    return target


def shares(found: NDArray[np.float32]) -> dict[bytes, float]:
    """How often each way of changing the image came up."""
    return {way: count / len(found) for way, count in Counter(each.tobytes() for each in found).items()}


def test_half_are_mirrored() -> None:
    found = shares(changed(augment(flip=True)))
    assert set(found) == {image().tobytes(), image()[:, ::-1].tobytes()}
    assert found[image().tobytes()] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("flip", [False, True])
def test_images_are_moved_every_way_the_further_the_rarer_and_black_comes_in(flip: bool) -> None:
    sources = [image(), image()[:, ::-1]] if flip else [image()]
    share_of = {-2: 1 / 9, -1: 2 / 9, 0: 3 / 9, 1: 2 / 9, 2: 1 / 9}
    expected = {
        moved(source, down, right).tobytes(): share_of[down] * share_of[right] / len(sources)
        for source in sources
        for down, right in product(share_of, share_of)
    }
    found = shares(changed(augment(flip=flip, shift_pixels=2), rows=400_000))
    assert set(found) == set(expected)
    for way, share in expected.items():
        assert found[way] == pytest.approx(share, rel=0.4)


@pytest.mark.parametrize("shift_pixels", [7, 9])
def test_an_image_may_be_moved_out_of_sight(shift_pixels: int) -> None:
    found = set(shares(changed(augment(shift_pixels=shift_pixels))))
    steps = range(-shift_pixels, shift_pixels + 1)
    assert found <= {moved(image(), down, right).tobytes() for down in steps for right in steps}
    assert np.full_like(image(), BLACK).tobytes() in found


@pytest.mark.parametrize("edge", [1, 2, 3, 4, 100])
def test_half_stay_whole_and_the_others_lose_a_square_anywhere(edge: int) -> None:
    found = shares(changed(augment(erase_pixels=edge), rows=100_000))
    places = list(product(range(HEIGHT), range(WIDTH)))
    assert set(found) == {image().tobytes()} | {blanked(image(), y, x, edge).tobytes() for y, x in places}
    assert found[image().tobytes()] == pytest.approx(0.5, abs=0.05)


def test_changes_are_put_together() -> None:
    """Mirrored, moved, then blanked: a pixel is black or one of the image, and stands where the oracle puts it."""
    steps = (-1, 0, 1)
    expected = {
        blanked(moved(source, down, right), y, x, 2).tobytes()
        for source in (image(), image()[:, ::-1])
        for down, right in product(steps, steps)
        for y, x in product(range(HEIGHT), range(WIDTH))
    } | {
        moved(source, down, right).tobytes()
        for source in (image(), image()[:, ::-1])
        for down, right in product(steps, steps)
    }
    found = set(shares(changed(augment(flip=True, shift_pixels=1, erase_pixels=2), rows=100_000)))
    assert found <= expected
    assert len(found) > 0.9 * len(expected)


@pytest.mark.parametrize("rows", [1, 2, 15, 16, 17, 33])
def test_any_number_of_rows_is_changed(rows: int) -> None:
    assert changed(augment(shift_pixels=1), rows).shape == (rows, HEIGHT, WIDTH)


def test_the_random_state_alone_chooses() -> None:
    choose = augment(flip=True, shift_pixels=2, erase_pixels=2)
    assert np.array_equal(changed(choose, 100), changed(choose, 100))


@pytest.mark.parametrize("way", [Way(flip=False, down=0, right=0), Way(flip=True, down=1, right=-2)])
def test_all_can_be_seen_in_one_way(way: Way) -> None:
    images = torch.from_numpy(image()).flatten().repeat(3, 1)
    found = augment(erase_pixels=3).seen(images, way).view(-1, HEIGHT, WIDTH)
    expected = moved(image()[:, ::-1] if way.flip else image(), way.down, way.right)
    assert all(np.array_equal(each, expected) for each in found.numpy())


@pytest.mark.parametrize("rows", [1, 16, 100])
def test_targets_of_each_way_give_way_to_those_of_the_one_taken(rows: int) -> None:
    chosen = augment(flip=True, shift_pixels=1)
    images = torch.from_numpy(image()).flatten().repeat(rows, 1)
    numbers = torch.arange(len(chosen.ways) * 2.0).view(1, -1, 2).repeat(rows, 1, 1)
    changed_images, targets = chosen(images, numbers + 1000 * torch.arange(rows).view(-1, 1, 1))
    assert targets.shape == (rows, 2)
    for row, (found, target) in enumerate(zip(changed_images, targets, strict=True)):
        way = chosen.ways[(int(target[0]) - 1000 * row) // 2]
        assert torch.equal(found, chosen.seen(images[:1], way)[0])


def test_other_targets_stay_as_they_are() -> None:
    labels = torch.arange(40)
    _, found = augment(flip=True)(torch.zeros(40, HEIGHT * WIDTH), labels)
    assert torch.equal(found, labels)
