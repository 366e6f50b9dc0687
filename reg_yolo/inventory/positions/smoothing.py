"""The way of a vehicle from its fixes: filterpy's Kalman filter and RTS smoother, with the receiver's drift as a state.

A receiver's error drifts (first-order Gauss-Markov) rather than jumping from fix to fix. The state of each axis is
position, velocity, acceleration and drift; the vehicle's jerk is white noise whose density is chosen by likelihood.
Drift and a long bend look alike to the filter, so what it takes for slow drift is given back: the result has the fixes'
own place in the long run and the smooth way in the short.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from reg_yolo.errors import ConfigError

FloatArray = NDArray[np.float64]

_DENSITIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Candidates of the jerk's spectral density in m^2/s^5."""
_GIVEN_BACK_S = 5.0
_SAMPLE = 300


@dataclass(frozen=True)
class Drift:
    """What is assumed of a receiver's error on each horizontal axis.

    Attributes:
        sigma_m: Its standard deviation.
        correlation_s: Time after which it has forgotten 63 % of itself.
    """

    sigma_m: float = 2.5
    correlation_s: float = 40.0


@dataclass(frozen=True)
class Smoothed:
    """A smoothed stretch.

    Attributes:
        time_s: Shape (N,).
        position_m, velocity_mps: Shape (N, 2).
        position_sigma_m, velocity_sigma_mps: Shape (N,), of each axis.
    """

    time_s: FloatArray
    position_m: FloatArray
    velocity_mps: FloatArray
    position_sigma_m: FloatArray
    velocity_sigma_mps: FloatArray


def roughness(time_s: FloatArray, position_m: FloatArray) -> float:
    """Return the variance a second (m^2/s) by which fixes wander, from second differences about 1 s wide or less.

    A smooth way has second differences near zero; drift adds independent increments of this variance.
    """
    step = np.median(np.diff(time_s)) if len(time_s) > 2 else 1.0
    second = position_m[2:] - 2 * position_m[1:-1] + position_m[:-2]
    if not len(second):
        return 0.0
    spread = 1.4826 * float(np.median(np.abs(second)))
    return spread**2 / (2 * float(step))


def smooth(time_s: FloatArray, position_m: FloatArray, drift: Drift) -> Smoothed:
    """Smooth one stretch of fixes.

    Args:
        time_s: Shape (N,), increasing.
        position_m: Shape (N, 2).
        drift: The receiver's error.

    Raises:
        ConfigError: If filterpy is missing.
    """
    measured = roughness(time_s, position_m)
    # What shows in the short run sets how much is smoothed; a good receiver's way is left as it is.
    wander = min(math.sqrt(measured * drift.correlation_s / 2), drift.sigma_m)
    inner = Drift(max(wander, 0.02), drift.correlation_s)
    white = min(max(0.1 * math.sqrt(measured), 0.005), 0.05)
    sample = slice(0, min(len(time_s), _SAMPLE))
    likelihoods = [_filter(time_s[sample], position_m[sample], inner, white, q).likelihood for q in _DENSITIES]
    density = _DENSITIES[int(np.argmax(likelihoods))]
    run = _filter(time_s, position_m, inner, white, density)
    states, covariances = _smoothed(run)
    position, velocity = states[:, :, 0], states[:, :, 1]
    step = float(np.median(np.diff(time_s)))
    slow = gaussian_filter1d(position_m - position, _GIVEN_BACK_S / step, axis=0, mode="nearest")
    if len(time_s) > 2:
        velocity = velocity + np.gradient(slow, time_s, axis=0)
    sigma = np.full(len(time_s), drift.sigma_m)
    return Smoothed(time_s, position + slow, velocity, sigma, np.sqrt(covariances[:, 1, 1]))


@dataclass(frozen=True)
class _Run:
    """What the filter leaves for the smoother: states (2, N, 4, 1), their covariances (N, 4, 4), and its dynamics."""

    likelihood: float
    states: FloatArray
    covariances: FloatArray
    transitions: FloatArray
    noises: FloatArray
    origin: FloatArray


def _filter(time_s: FloatArray, position_m: FloatArray, drift: Drift, white_m: float, density: float) -> _Run:
    """Run the filter over both axes, which share their covariances."""
    kalman_filter = _library()
    transitions, noises = _dynamics(np.diff(time_s, prepend=time_s[0]), drift, density)
    states = np.empty((2, len(time_s), 4, 1))
    covariances = np.empty((len(time_s), 4, 4))
    likelihood = 0.0
    for axis in range(2):
        kalman = kalman_filter(dim_x=4, dim_z=1)
        speed = (position_m[1, axis] - position_m[0, axis]) / (time_s[1] - time_s[0])
        kalman.x = np.array([[0.0], [speed], [0.0], [0.0]])
        kalman.P = np.diag([1e4, 900.0, 1.0, drift.sigma_m**2])
        kalman.H = np.array([[1.0, 0.0, 0.0, 1.0]])
        kalman.R = np.array([[white_m**2]])
        for k, value in enumerate(position_m[:, axis] - position_m[0, axis]):
            kalman.predict(F=transitions[k], Q=noises[k])
            kalman.update(value)
            states[axis, k], covariances[k] = kalman.x, kalman.P
            if k > 3:
                likelihood -= 0.5 * float(kalman.y[0, 0] ** 2 / kalman.S[0, 0] + math.log(kalman.S[0, 0]))
    return _Run(likelihood, states, covariances, transitions, noises, position_m[0])


def _smoothed(run: _Run) -> tuple[FloatArray, FloatArray]:
    """Return the smoothed states, shape (N, 2, 4), and covariances (N, 4, 4)."""
    count = len(run.covariances)
    states = np.empty((count, 2, 4))
    covariances = run.covariances
    for axis in range(2):
        smoothed, covariances, _, _ = _library()(dim_x=4, dim_z=1).rts_smoother(
            run.states[axis], run.covariances, run.transitions, run.noises
        )
        states[:, axis] = smoothed[:, :, 0]
    states[:, :, 0] += run.origin
    return states, covariances


def _library() -> Any:
    try:
        from filterpy.kalman import KalmanFilter
    except ImportError:
        raise ConfigError('Smoothing needs filterpy; install it with pip install "reg-yolo[inventory]"') from None
    return KalmanFilter


def _dynamics(steps: FloatArray, drift: Drift, density: float) -> tuple[FloatArray, FloatArray]:
    """Return transitions and noises, shape (N, 4, 4), of position, velocity, acceleration and drift."""
    keep = np.exp(-steps / drift.correlation_s)
    transitions, noises = np.zeros((2, len(steps), 4, 4))
    for row in range(3):
        for column in range(3):
            if column >= row:
                transitions[:, row, column] = steps ** (column - row) / math.factorial(column - row)
            a, b = 2 - row, 2 - column
            scale = (a + b + 1) * math.factorial(a) * math.factorial(b)
            noises[:, row, column] = density * steps ** (a + b + 1) / scale
    transitions[:, 3, 3] = keep
    noises[:, 3, 3] = drift.sigma_m**2 * (1 - keep**2)
    return transitions, noises
