"""What a scene is made of, in metres: classes, models out of faces, the road and objects put next to it."""
