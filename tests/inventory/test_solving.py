"""The adjustment of a pass: its Jacobian, its elimination, and what it finds from exact rays."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import sparse

from reg_yolo.inventory.solve.adjustment import adjust
from reg_yolo.inventory.solve.elimination import Eliminated
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
    sights = Sights(at, frame, np.zeros((len(at), 4)), np.full((len(at), 4), 0.002))
    x = np.concatenate([np.zeros(Problem(views, sights, anchors, priors).first_object), objects.ravel()])
    x[0] = yaw
    sides, _ = Problem(views, sights, anchors, priors).predict(x)
    sides = sides + rng.normal(0, 1, sides.shape) * noise
    return Problem(views, Sights(at, frame, sides, sights.sigma), anchors, priors), objects


def test_the_jacobian_is_the_derivative() -> None:
    problem, objects = _problem()
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 0.01, problem.first_object), objects.ravel()])
    _, parts = problem.predict(x)
    jacobian = problem.jacobian(x, parts).toarray()
    for column in rng.choice(problem.size, 40, replace=False):
        step = np.zeros(problem.size)
        step[column] = 1e-6
        slope = (problem.predict(x + step)[0] - problem.predict(x - step)[0]).ravel() / 2e-6
        assert jacobian[:, column] == pytest.approx(slope, abs=2e-5)


def test_elimination_solves_what_a_dense_solver_solves() -> None:
    problem, objects = _problem()
    x = np.concatenate([np.zeros(problem.first_object), objects.ravel()])
    _, parts = problem.predict(x)
    jacobian = problem.jacobian(x, parts) / 0.002
    normal = sparse.csr_matrix(jacobian.T @ jacobian + problem.prior_terms(x)[0])
    right = np.random.default_rng(1).normal(size=problem.size)
    factored = Eliminated(normal, problem.knots, problem.objects)
    assert factored.solve(right) == pytest.approx(np.linalg.solve(normal.toarray(), right), rel=1e-4, abs=1e-7)
    inverse = np.linalg.inv(normal.toarray())
    blocks, camera = factored.covariances()
    first = problem.first_object + PER_OBJECT * 3
    assert blocks[3] == pytest.approx(inverse[first : first + 2, first : first + 2], rel=1e-4)
    assert camera == pytest.approx(np.sqrt(np.diag(inverse)[:GLOBALS]), rel=1e-4)


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
