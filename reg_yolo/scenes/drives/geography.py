"""Transverse Mercator on WGS 84: UTM grid to longitude and latitude and back.

Krüger's series to the sixth power of the third flattening (as in Karney, *Transverse Mercator with an accuracy of a few
nanometers*, J. Geodesy 85, 2011, equations 7 to 15 and 35 to 36), far below a millimetre within a zone.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass

from reg_yolo.errors import ConfigError

_SEMI_MAJOR_M = 6378137.0
_FLATTENING = 1 / 298.257223563
_SCALE = 0.9996
_FALSE_EASTING_M = 500_000.0
_FALSE_NORTHING_M = 10_000_000.0
_N = _FLATTENING / (2 - _FLATTENING)
_ECCENTRICITY = math.sqrt(_FLATTENING * (2 - _FLATTENING))


@dataclass(frozen=True)
class UtmZone:
    """A UTM zone: number 1 to 60 and hemisphere."""

    number: int
    north: bool = True

    @classmethod
    def parse(cls, text: str) -> UtmZone:
        """Zone from text such as "47N".

        Raises:
            ConfigError: it is not a zone.
        """
        found = re.fullmatch(r"(\d{1,2})([NS])", text.strip().upper())
        if not found or not 1 <= int(found[1]) <= 60:
            raise ConfigError(f"The UTM zone must be a number from 1 to 60 and N or S, such as 47N, got {text!r}.")
        return cls(int(found[1]), found[2] == "N")

    @property
    def epsg(self) -> int:
        """EPSG code on WGS 84."""
        return (32600 if self.north else 32700) + self.number

    @property
    def central_meridian_deg(self) -> float:
        """Longitude of the zone's middle, degrees east."""
        return self.number * 6.0 - 183.0

    def __str__(self) -> str:
        return f"{self.number}{'N' if self.north else 'S'}"

    def to_lon_lat(self, easting_m: float, northing_m: float) -> tuple[float, float]:
        """Longitude and latitude in degrees of a grid position in metres."""
        radius, _, beta, delta = _series()
        shifted = northing_m if self.north else northing_m - _FALSE_NORTHING_M
        xi = shifted / (_SCALE * radius)
        eta = (easting_m - _FALSE_EASTING_M) / (_SCALE * radius)
        xi_prime, eta_prime = xi, eta
        for j, b in enumerate(beta, 1):
            xi_prime -= b * math.sin(2 * j * xi) * math.cosh(2 * j * eta)
            eta_prime -= b * math.cos(2 * j * xi) * math.sinh(2 * j * eta)
        conformal = math.asin(math.sin(xi_prime) / math.cosh(eta_prime))
        latitude = conformal + sum(d * math.sin(2 * j * conformal) for j, d in enumerate(delta, 1))
        longitude = math.atan2(math.sinh(eta_prime), math.cos(xi_prime))
        return self.central_meridian_deg + math.degrees(longitude), math.degrees(latitude)

    def from_lon_lat(self, longitude_deg: float, latitude_deg: float) -> tuple[float, float]:
        """Easting and northing in metres of a longitude and latitude in degrees."""
        radius, alpha, _, _ = _series()
        latitude = math.radians(latitude_deg)
        longitude = math.radians(longitude_deg - self.central_meridian_deg)
        sine = math.sin(latitude)
        t = math.sinh(math.atanh(sine) - _ECCENTRICITY * math.atanh(_ECCENTRICITY * sine))
        xi_prime = math.atan2(t, math.cos(longitude))
        eta_prime = math.asinh(math.sin(longitude) / math.hypot(t, math.cos(longitude)))
        xi, eta = xi_prime, eta_prime
        for j, a in enumerate(alpha, 1):
            xi += a * math.sin(2 * j * xi_prime) * math.cosh(2 * j * eta_prime)
            eta += a * math.cos(2 * j * xi_prime) * math.sinh(2 * j * eta_prime)
        northing = _SCALE * radius * xi + (0.0 if self.north else _FALSE_NORTHING_M)
        return _FALSE_EASTING_M + _SCALE * radius * eta, northing


@functools.cache
def _series() -> tuple[float, tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Rectifying radius in metres and the coefficients alpha, beta and delta."""
    n = _N
    radius = _SEMI_MAJOR_M / (1 + n) * (1 + n**2 / 4 + n**4 / 64 + n**6 / 256)
    alpha = (
        n / 2 - 2 * n**2 / 3 + 5 * n**3 / 16 + 41 * n**4 / 180 - 127 * n**5 / 288 + 7891 * n**6 / 37800,
        13 * n**2 / 48 - 3 * n**3 / 5 + 557 * n**4 / 1440 + 281 * n**5 / 630 - 1983433 * n**6 / 1935360,
        61 * n**3 / 240 - 103 * n**4 / 140 + 15061 * n**5 / 26880 + 167603 * n**6 / 181440,
        49561 * n**4 / 161280 - 179 * n**5 / 168 + 6601661 * n**6 / 7257600,
        34729 * n**5 / 80640 - 3418889 * n**6 / 1995840,
        212378941 * n**6 / 319334400,
    )
    beta = (
        n / 2 - 2 * n**2 / 3 + 37 * n**3 / 96 - n**4 / 360 - 81 * n**5 / 512 + 96199 * n**6 / 604800,
        n**2 / 48 + n**3 / 15 - 437 * n**4 / 1440 + 46 * n**5 / 105 - 1118711 * n**6 / 3870720,
        17 * n**3 / 480 - 37 * n**4 / 840 - 209 * n**5 / 4480 + 5569 * n**6 / 90720,
        4397 * n**4 / 161280 - 11 * n**5 / 504 - 830251 * n**6 / 7257600,
        4583 * n**5 / 161280 - 108847 * n**6 / 3991680,
        20648693 * n**6 / 638668800,
    )
    delta = (
        2 * n - 2 * n**2 / 3 - 2 * n**3 + 116 * n**4 / 45 + 26 * n**5 / 45 - 2854 * n**6 / 675,
        7 * n**2 / 3 - 8 * n**3 / 5 - 227 * n**4 / 45 + 2704 * n**5 / 315 + 2323 * n**6 / 945,
        56 * n**3 / 15 - 136 * n**4 / 35 - 1262 * n**5 / 105 + 73814 * n**6 / 2835,
        4279 * n**4 / 630 - 332 * n**5 / 35 - 399572 * n**6 / 14175,
        4174 * n**5 / 315 - 144838 * n**6 / 6237,
        601676 * n**6 / 22275,
    )
    return radius, alpha, beta, delta
