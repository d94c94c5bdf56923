"""Melodies in files (MIDI, ABC, MusicXML), as notes and as grids; times are in sixteenths."""
