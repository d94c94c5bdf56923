"""Melodies: grids of events, and the files that hold them. Pure NumPy; times are in sixteenths."""
