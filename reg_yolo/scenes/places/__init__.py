"""Where things stand: a place with its styles, assets beside its road, scenery around them."""
