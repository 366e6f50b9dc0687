"""Models of everything that is not an asset: vehicles, plants, buildings and other street furniture."""
