"""One file per paper: builders, official releases, key names, expected scores."""
