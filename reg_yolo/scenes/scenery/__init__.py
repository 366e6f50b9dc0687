"""Models of everything that is no asset: vehicles, plants, buildings and other street furniture."""
