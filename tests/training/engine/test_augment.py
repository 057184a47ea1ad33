"""Augmented images against a slow oracle, pixel by pixel."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.engine.augment import Augment, Transform, transforms

BLACK = -0.5
HEIGHT, WIDTH = 5, 7


def image() -> NDArray[np.float32]:
    """Every pixel has a different value, none of them black."""
    return np.arange(1, HEIGHT * WIDTH + 1, dtype=np.float32).reshape(HEIGHT, WIDTH)


def changed(augment: Augment, rows: int = 20_000) -> NDArray[np.float32]:
    """Augmented copies of the same image (rows, height, width)."""
    torch.manual_seed(0)
    images = torch.from_numpy(image()).flatten().repeat(rows, 1)
    untouched = images.clone()
    found, _ = augment(images, torch.zeros(rows))
    assert torch.equal(images, untouched)
    return found.view(-1, HEIGHT, WIDTH).numpy()


def augment(*, flip: bool = False, shift_pixels: int = 0, erase_pixels: int = 0) -> Augment:
    return Augment(HEIGHT, WIDTH, BLACK, transforms(flip=flip, shift_pixels=shift_pixels), erase_pixels)


def moved(source: NDArray[np.float32], down: int, right: int) -> NDArray[np.float32]:
    """Shift the image and fill with black."""
    target = np.full_like(source, BLACK)
    for y, x in product(range(HEIGHT), range(WIDTH)):
        if 0 <= y + down < HEIGHT and 0 <= x + right < WIDTH:
            target[y + down, x + right] = source[y, x]
    return target


def blanked(source: NDArray[np.float32], centre_y: int, centre_x: int, edge: int) -> NDArray[np.float32]:
    """Blank the part inside the image of a square with edges of ``edge`` pixels around a centre."""
    target = source.copy()
    for y, x in product(range(edge), range(edge)):
        at_y, at_x = centre_y - edge // 2 + y, centre_x - edge // 2 + x
        if 0 <= at_y < HEIGHT and 0 <= at_x < WIDTH:
            target[at_y, at_x] = BLACK
    return target


def shares(found: NDArray[np.float32]) -> dict[bytes, float]:
    """The share of each augmented image."""
    return {each: count / len(found) for each, count in Counter(each.tobytes() for each in found).items()}


def test_half_of_the_images_are_mirrored() -> None:
    found = shares(changed(augment(flip=True)))
    assert set(found) == {image().tobytes(), image()[:, ::-1].tobytes()}
    assert found[image().tobytes()] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("flip", [False, True])
def test_larger_shifts_are_rarer_and_fill_with_black(flip: bool) -> None:
    sources = [image(), image()[:, ::-1]] if flip else [image()]
    share_of = {-2: 1 / 9, -1: 2 / 9, 0: 3 / 9, 1: 2 / 9, 2: 1 / 9}
    expected = {
        moved(source, down, right).tobytes(): share_of[down] * share_of[right] / len(sources)
        for source in sources
        for down, right in product(share_of, share_of)
    }
    found = shares(changed(augment(flip=flip, shift_pixels=2), rows=400_000))
    assert set(found) == set(expected)
    for each, share in expected.items():
        assert found[each] == pytest.approx(share, rel=0.4)


@pytest.mark.parametrize("shift_pixels", [7, 9])
def test_an_image_can_be_shifted_out_of_view(shift_pixels: int) -> None:
    found = set(shares(changed(augment(shift_pixels=shift_pixels))))
    steps = range(-shift_pixels, shift_pixels + 1)
    assert found <= {moved(image(), down, right).tobytes() for down in steps for right in steps}
    assert np.full_like(image(), BLACK).tobytes() in found


@pytest.mark.parametrize("edge", [1, 2, 3, 4, 100])
def test_half_of_the_images_lose_a_square_anywhere(edge: int) -> None:
    found = shares(changed(augment(erase_pixels=edge), rows=100_000))
    centres = list(product(range(HEIGHT), range(WIDTH)))
    assert set(found) == {image().tobytes()} | {blanked(image(), y, x, edge).tobytes() for y, x in centres}
    assert found[image().tobytes()] == pytest.approx(0.5, abs=0.05)


def test_changes_are_combined() -> None:
    """Mirror, shift, then erase."""
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
def test_any_number_of_rows_is_augmented(rows: int) -> None:
    assert changed(augment(shift_pixels=1), rows).shape == (rows, HEIGHT, WIDTH)


def test_results_depend_on_the_random_state_only() -> None:
    choose = augment(flip=True, shift_pixels=2, erase_pixels=2)
    assert np.array_equal(changed(choose, 100), changed(choose, 100))


@pytest.mark.parametrize("transform", [Transform(flip=False, down=0, right=0), Transform(flip=True, down=1, right=-2)])
def test_one_transform_of_all_images(transform: Transform) -> None:
    images = torch.from_numpy(image()).flatten().repeat(3, 1)
    found = augment(erase_pixels=3).transformed(images, transform).view(-1, HEIGHT, WIDTH)
    expected = moved(image()[:, ::-1] if transform.flip else image(), transform.down, transform.right)
    assert all(np.array_equal(each, expected) for each in found.numpy())


@pytest.mark.parametrize("rows", [1, 16, 100])
def test_targets_are_those_of_the_transform_applied(rows: int) -> None:
    augmented = augment(flip=True, shift_pixels=1)
    images = torch.from_numpy(image()).flatten().repeat(rows, 1)
    numbers = torch.arange(len(augmented.transforms) * 2.0).view(1, -1, 2).repeat(rows, 1, 1)
    changed_images, targets = augmented(images, numbers + 1000 * torch.arange(rows).view(-1, 1, 1))
    assert targets.shape == (rows, 2)
    for row, (found, target) in enumerate(zip(changed_images, targets, strict=True)):
        transform = augmented.transforms[(int(target[0]) - 1000 * row) // 2]
        assert torch.equal(found, augmented.transformed(images[:1], transform)[0])


def test_other_targets_are_unchanged() -> None:
    labels = torch.arange(40)
    _, found = augment(flip=True)(torch.zeros(40, HEIGHT * WIDTH), labels)
    assert torch.equal(found, labels)
