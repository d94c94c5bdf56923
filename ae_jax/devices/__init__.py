"""Device meshes, runs of several processes, and a report of this machine's devices."""
