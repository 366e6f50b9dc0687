"""UTM against published positions, and the statistics of the receiver's noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.errors import ConfigError
from reg_yolo.scenes.drives.geography import UtmZone
from reg_yolo.scenes.drives.gnss import Fix, NoiseModel, correlated_noise, draw_constants, noisy_fixes


@pytest.mark.parametrize(
    ("zone", "longitude", "latitude", "easting", "northing", "tolerance"),
    [
        # The example in the manual of GeographicLib's GeoConvert.
        ("38N", 44.4, 33.3, 444140.54, 3684706.36, 0.01),
        # The CN Tower, Toronto.
        ("17N", -(79 + 23 / 60 + 13.7 / 3600), 43 + 38 / 60 + 33.24 / 3600, 630084, 4833438, 1.0),
        # By definition: equator and central meridian.
        ("47N", 99.0, 0.0, 500000.0, 0.0, 1e-6),
        ("47S", 99.0, 0.0, 500000.0, 10000000.0, 1e-6),
    ],
)
def test_known_positions(
    zone: str, longitude: float, latitude: float, easting: float, northing: float, tolerance: float
) -> None:
    assert UtmZone.parse(zone).from_lon_lat(longitude, latitude) == pytest.approx((easting, northing), abs=tolerance)
    assert UtmZone.parse(zone).to_lon_lat(easting, northing) == pytest.approx(
        (longitude, latitude), abs=tolerance * 2e-5 + 1e-9
    )


@settings(max_examples=60, deadline=None)
@given(st.floats(-3.5, 3.5), st.floats(-80, 80), st.integers(1, 60))
def test_there_and_back(apart: float, latitude: float, number: int) -> None:
    zone = UtmZone(number, latitude >= 0)
    longitude = zone.central_meridian_deg + apart
    back = zone.to_lon_lat(*zone.from_lon_lat(longitude, latitude))
    assert back == pytest.approx((longitude, latitude), abs=1e-10)


def test_codes_and_wrong_zones() -> None:
    assert UtmZone.parse("47n") == UtmZone(47)
    assert (UtmZone(47).epsg, UtmZone(7, north=False).epsg, str(UtmZone(7, north=False))) == (32647, 32707, "7S")
    for text in ("0N", "61N", "47", "N47", ""):
        with pytest.raises(ConfigError, match="UTM zone"):
            UtmZone.parse(text)


def test_position_noise_has_the_stated_deviation_and_memory() -> None:
    model = NoiseModel()
    times = np.arange(0, 400, 0.5)
    tracks = np.array(
        [correlated_noise(np.random.default_rng(k), times, model.position_m, model.correlation_s) for k in range(200)]
    )
    assert tracks.mean() == pytest.approx(0.0, abs=0.25)
    assert tracks[:, 0].std() == pytest.approx(2.5, rel=0.15)
    assert tracks[:, -1].std() == pytest.approx(2.5, rel=0.15)
    assert tracks.std() == pytest.approx(2.5, rel=0.05)
    lag = round(model.correlation_s / 0.5)
    correlation = (tracks[:, lag:] * tracks[:, :-lag]).mean() / tracks.var()
    assert correlation == pytest.approx(np.exp(-1), abs=0.06)


def test_constant_errors_have_the_stated_deviations() -> None:
    model = NoiseModel()
    draws = [draw_constants(np.random.default_rng(k), model) for k in range(2000)]
    assert np.std([d.clock_s for d in draws]) == pytest.approx(0.1, rel=0.06)
    assert np.std([d.pitch_deg for d in draws]) == pytest.approx(0.5, rel=0.06)
    assert np.std([d.focal_factor for d in draws]) == pytest.approx(0.03, rel=0.06)
    assert np.mean([d.focal_factor for d in draws]) == pytest.approx(1.0, abs=0.003)


def test_noisy_fixes_shift_the_clock_and_both_axes_apart() -> None:
    fixes = [Fix(k / 10, 1000.0 + k, 2000.0, 50.0) for k in range(600)]
    noisy = noisy_fixes(np.random.default_rng(1), fixes, NoiseModel(), 0.07)
    assert np.array([b.time_s - a.time_s for a, b in zip(fixes, noisy, strict=True)]) == pytest.approx(0.07)
    east = np.array([b.easting_m - a.easting_m for a, b in zip(fixes, noisy, strict=True)])
    north = np.array([b.northing_m - a.northing_m for a, b in zip(fixes, noisy, strict=True)])
    assert not np.allclose(east, north)
    assert 0.2 < east.std() < 6
