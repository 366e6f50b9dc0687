"""What makes a drive harder than an ordinary one; every feature is off unless it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, fields

from reg_yolo.errors import ConfigError

DISTORTION = (-0.28, 0.09, 0.0008, -0.0006, -0.012)
"""k1, k2, p1, p2, k3 of OpenCV: the barrel of a dash camera with a wide lens."""


@dataclass(frozen=True)
class DriveFeatures:
    """Features of a drive.

    Args:
        speed: the car drives between 40 and 100 % of the stated speed.
        stops: it stops for some seconds about every 400 m.
        distortion: the lens bends the image by `DISTORTION`.
        tunnel: 180 m without a fix, once a kilometre.
        clock: the receiver's clock is 0.8 to 2 s off, on top of the noise model's error.
        twins: two pairs of equal warning signs a kilometre, 1 m apart.
        chevrons: a row of eight boards every 10 m along a bend, once a kilometre.
        hidden: a lorry hides a sign for about 3 s, once a kilometre and direction.
        lorries: signs on the backs and roofs of lorries, which are not assets.

    Example:
        >>> DriveFeatures.parse("stops, tunnel").names
        ('stops', 'tunnel')
    """

    speed: bool = False
    stops: bool = False
    distortion: bool = False
    tunnel: bool = False
    clock: bool = False
    twins: bool = False
    chevrons: bool = False
    hidden: bool = False
    lorries: bool = False

    @classmethod
    def parse(cls, text: str) -> DriveFeatures:
        """Features from names with commas between them, or from "all".

        Raises:
            ConfigError: a name is not one of them.
        """
        known = [entry.name for entry in fields(cls)]
        wanted = [name.strip() for name in text.split(",") if name.strip()]
        if wanted == ["all"]:
            wanted = known
        for name in wanted:
            if name not in known:
                raise ConfigError(f"features: unknown name {name!r}, expected {', '.join(known)} or all")
        return cls(**dict.fromkeys(wanted, True))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of those that are on."""
        return tuple(entry.name for entry in fields(self) if getattr(self, entry.name))
