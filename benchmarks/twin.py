"""Compare the test negative ELBO of `vae_mlp` with PyTorch's, from the same initial weights.

Both train the same network for 10 epochs.

python benchmarks/twin.py --data=path/to/mnist [--torch_python=path/to/python]
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import pairs
import vae_mlp

_EPOCHS = 10
# (path of our layer, name of PyTorch's). Our kernels are [in, out], PyTorch's weights [out, in].
_NAMES = [
    (("encoder", "Mlp_0", "Dense_0"), "encoder.0"),
    (("q_z", "z_mean"), "mean"),
    (("q_z", "z_log_sigma"), "log_sigma"),
    (("decoder", "Mlp_0", "Dense_0"), "decoder.0"),
    (("decoder", "Dense_0"), "decoder.2"),
]


def ours(data: pathlib.Path, weights: pathlib.Path) -> float:
    """Write the initial weights, train, and return the test negative ELBO in nats.

    Args:
      data: the folder of MNIST.
      weights: the .npz file that is written.
    """
    import jax
    import numpy as np

    from ae_jax.experiments import analysis, configuration, eval_data, experiment
    from ae_jax.training import loop

    config = configuration.load("configs/vae_mlp.py:mnist")
    with config.unlocked():
        config.data.update(source="idx", dir=str(data), validation=0)
        config.train.epochs = _EPOCHS
    built = experiment.build(config)
    state, arrays = built.init(jax.random.key(0)), {}
    for path, name in _NAMES:
        layer = state.params
        for part in path:
            layer = layer[part]
        arrays |= {f"{name}.weight": np.array(layer["kernel"]).T, f"{name}.bias": np.array(layer["bias"])}
    np.savez(weights, **arrays)
    state, _ = loop.fit(state, built.batches("train"), built.step, built.hparams, steps=built.steps)
    scores = analysis.evaluate(built, {"params": state.params}, ["elbo"], eval_data.data_of(built))
    return -scores["elbo"]


def torch(data: pathlib.Path, weights: pathlib.Path) -> float:
    """Train in PyTorch from these weights, and return the test negative ELBO in nats."""
    import numpy as np
    import torch

    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    model = vae_mlp.torch_model()
    model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in np.load(weights).items()})
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    loss_of = torch.nn.functional.binary_cross_entropy_with_logits

    def negative_elbo(x):
        logits, mean, log_sigma = model(x)
        kl = 0.5 * (mean.square() + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum()
        return (loss_of(logits, x, reduction="sum") + kl) / len(x)

    train, test = (
        torch.from_numpy(pairs.mnist_images(data, part).copy()).float().div(255).flatten(1)
        for part in ("train", "t10k")
    )
    for _ in range(_EPOCHS):
        for index in torch.randperm(len(train)).split(128):
            loss = negative_elbo(train[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return float(negative_elbo(test))


def main():
    """Run one side, or both in turn, and report the difference."""
    options = pairs.arguments(__doc__)
    data = pathlib.Path(options.data)
    if options.side:
        side, weights = options.side.split(":")
        print({"ours": ours, "torch": torch}[side](data, pathlib.Path(weights)))
        return
    with tempfile.TemporaryDirectory() as folder:
        answers = {}
        for side, python in (("ours", sys.executable), ("torch", options.torch_python)):
            command = [python, __file__, f"--side={side}:{folder}/weights.npz", f"--data={data}"]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            answers[side] = float(printed.split()[-1])
    difference = 100 * (answers["ours"] / answers["torch"] - 1)
    rounded = {side: round(nats, 3) for side, nats in answers.items()}
    pairs.report("twin", negative_elbo_nats=rounded, difference_percent=round(difference, 3))


if __name__ == "__main__":
    main()
