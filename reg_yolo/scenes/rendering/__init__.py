"""From a world to pixels: camera, light, projection, painting, sky, grain and weather."""
