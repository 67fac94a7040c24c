"""Parts of networks; strangers to codecs."""
