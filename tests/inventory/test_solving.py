"""The adjustment of a pass: its Jacobian, its elimination, and what it finds from exact rays."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import sparse

from reg_yolo.inventory.solve import elimination
from reg_yolo.inventory.solve import normal as normal_equations
from reg_yolo.inventory.solve.adjustment import adjust
from reg_yolo.inventory.solve.normal import NormalEquations
from reg_yolo.inventory.solve.problem import GLOBALS, PER_OBJECT, Anchors, Priors, Problem, Sights, Views


def _problem(noise: float = 0.0, yaw: float = 0.0) -> tuple[Problem, np.ndarray]:
    rng = np.random.default_rng(3)
    count = 60
    track = np.arange(count) * 3.0
    bend = 0.004 * track
    position = np.cumsum(np.stack([np.sin(bend), np.cos(bend)], 1) * 3.0, axis=0)
    velocity = np.stack([np.sin(bend), np.cos(bend)], 1) * (18 + 4 * np.sin(track / 40))[:, None]
    rate = np.full(count, 0.004 * 18)
    views = Views(position, bend, rate, velocity, track, np.full(count, math.radians(0.5)))
    true = []
    for n in range(12):
        k = 8 + 4 * n
        side = 7.0 if n % 2 else -6.0
        ahead = np.array([np.sin(bend[k]), np.cos(bend[k])])
        true.append([*(position[k] + side * np.array([ahead[1], -ahead[0]])), 2.0 + 0.2 * n, -1.0, 0.9, 0.0])
    objects = np.array(true)
    looks = [(n, f) for n in range(12) for f in range(count) if 8 < (8 + 4 * n - f) * 3 < 60]
    at, frame = np.array(looks).T
    anchors = Anchors(
        np.full(12, -0.5), np.full(12, 0.5), np.full((12, 4), -0.5), np.zeros(12), np.ones(12), np.full(12, np.inf)
    )
    priors = Priors(math.radians(1), math.radians(1), 0.01, 0.1)
    sights = Sights(at, frame, np.zeros((len(at), 4)), np.full((len(at), 4), 0.002), np.zeros(len(at)))
    x = np.concatenate([np.zeros(Problem(views, sights, anchors, priors).first_object), objects.ravel()])
    x[0] = yaw
    sides, _ = Problem(views, sights, anchors, priors).predict(x)
    sides = sides + rng.normal(0, 1, sides.shape) * noise
    return Problem(views, Sights(at, frame, sides, sights.sigma, sights.delay_s), anchors, priors), objects


def test_the_jacobian_is_the_derivative() -> None:
    problem, objects = _problem()
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 0.01, problem.first_object), objects.ravel()])
    _, parts = problem.predict(x)
    jacobian = _dense(problem, problem.jacobian(x, parts))
    for column in rng.choice(problem.size, 40, replace=False):
        step = np.zeros(problem.size)
        step[column] = 1e-6
        slope = (problem.predict(x + step)[0] - problem.predict(x - step)[0]).ravel() / 2e-6
        assert jacobian[:, column] == pytest.approx(slope, abs=2e-5)


def _dense(problem: Problem, rows: np.ndarray) -> np.ndarray:
    """Return what each look knows of as a whole Jacobian, shape (4K, size)."""
    whole = np.zeros((len(rows), 4, problem.size))
    for k, (low, at) in enumerate(zip(problem.low.tolist(), problem.sights.object.tolist(), strict=True)):
        knots = GLOBALS + np.array([low, low + 1, problem.knots + low, problem.knots + low + 1])
        own = problem.first_object + PER_OBJECT * at + np.arange(PER_OBJECT)
        whole[k][:, [*knots, *range(GLOBALS), *own]] = rows[k]
    return whole.reshape(-1, problem.size)


@pytest.mark.parametrize("narrow", [True, False])
def test_elimination_solves_what_a_dense_solver_solves(narrow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not narrow:
        monkeypatch.setattr(elimination, "_NARROW", 0)
    # Blocks as small as they may be, so that there are several.
    monkeypatch.setattr(elimination, "_BLOCK", 1)
    monkeypatch.setattr(normal_equations, "_CHUNK", 20)
    problem, objects = _problem()
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(0, 0.01, problem.first_object), objects.ravel()])
    sides, parts = problem.predict(x)
    scaled, weight = (problem.sights.sides - sides) / 0.002, rng.uniform(0.2, 1.0, sides.shape)
    jacobian = _dense(problem, problem.jacobian(x, parts)) / 0.002
    prior, pull = problem.prior_terms(x)
    dense = jacobian.T @ (jacobian * weight.reshape(-1, 1)) + prior.toarray()
    parted, gradient = NormalEquations(problem).at(x, parts, scaled, weight, np.full(sides.shape, 1 / 0.002))
    assert gradient == pytest.approx(pull - jacobian.T @ (scaled * weight).ravel(), rel=1e-9, abs=1e-6)
    right = rng.normal(size=problem.size)
    factored = elimination.Eliminated(parted)
    assert factored.solve(right) == pytest.approx(np.linalg.solve(dense, right), rel=1e-4, abs=1e-7)
    damped = dense + 0.1 * np.diag(np.diag(dense))
    solved = elimination.Eliminated(parted.damped(0.1)).solve(right)
    assert solved == pytest.approx(np.linalg.solve(damped, right), rel=1e-4, abs=1e-7)
    inverse = np.linalg.inv(dense)
    blocks, camera = factored.covariances()
    for n in range(len(objects)):
        first = problem.first_object + PER_OBJECT * n
        assert blocks[n] == pytest.approx(inverse[first : first + 2, first : first + 2], rel=1e-4)
    assert camera == pytest.approx(np.sqrt(np.diag(inverse)[:GLOBALS]), rel=1e-4)


def test_the_inverse_of_a_band_is_right_near_its_diagonal() -> None:
    rng = np.random.default_rng(4)
    root = np.triu(np.tril(rng.normal(size=(23, 23)), 2), -1) + 3 * np.eye(23)
    matrix = root @ root.T
    inverse = np.linalg.inv(matrix)
    pairs = elimination.SelectedInverse(sparse.coo_matrix(matrix), 5).pairs
    for n in range(5):
        some = inverse[5 * n : 5 * n + 10, 5 * n : 5 * n + 10]
        assert pairs[n, : len(some), : len(some)] == pytest.approx(some, rel=1e-9, abs=1e-12)


def test_exact_rays_give_exact_places_and_the_turn_of_the_mount() -> None:
    problem, objects = _problem(yaw=math.radians(0.8))
    start = objects + np.random.default_rng(2).normal(0, 1.0, objects.shape) * [1, 1, 0.2, 0.2, 0.1, 0]
    solved = adjust(problem, start)
    assert np.linalg.norm(solved.objects[:, :2] - objects[:, :2], axis=1).max() < 0.25
    assert math.degrees(solved.camera[0]) == pytest.approx(0.8, abs=0.1)


def test_stated_covariances_hold_for_noisy_rays() -> None:
    problem, objects = _problem(noise=0.002)
    solved = adjust(problem, objects)
    apart = solved.objects[:, :2] - objects[:, :2]
    distance = np.einsum("ni,nij,nj->n", apart, np.linalg.inv(solved.covariance), apart)
    assert np.median(distance) < 4.0
