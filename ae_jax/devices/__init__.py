"""Meshes of devices, several processes, and what JAX sees on this machine."""
