"""Models of the seven asset classes in true size."""
