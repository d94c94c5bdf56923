"""Time the steps of `iwae_k50.py` with 5 samples per image.

python benchmarks/iwae_k5.py --data=path/to/mnist [--torch_python=path/to/python] [--runs=5]
"""

import functools

import iwae_k50
import pairs

if __name__ == "__main__":
    sides = {name: functools.partial(getattr(iwae_k50, name), k=5) for name in ("ours", "torch")}
    pairs.main(__file__, __doc__, sides)
