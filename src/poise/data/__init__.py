"""Data sets: samples read from files or drawn, checks and statistics of annotation files."""
