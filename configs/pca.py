"""Autoencoder 784-256-128-k against PCA with k components, for k from 2 to 64.

Hinton and Salakhutdinov 2006, Science 313: the comparison that made deep autoencoders known. The loss is the squared
error with weight decay, and the table reports the test error per pixel. With k = 32 the error still falls after 40
epochs, on training images too (0.0066), so the rows of MNIST train for 80.

    python scripts/reproduce.py pca              (all ten rows, half an hour on two cores)
    python scripts/train.py --config=configs/pca.py:mnist,k=2 --workdir=runs/pca2
"""

from configs import ae, common

# {data set: {k: squared error per pixel of the test images that we obtained earlier}}.
_OBTAINED = {
    "mnist": {2: 0.03502, 8: 0.01577, 16: 0.009638, 32: 0.006006, 64: 0.005105},
    "fashion_mnist": {2: 0.02441, 8: 0.01335, 16: 0.01088, 32: 0.009001, 64: 0.007196},
}


def get_config(arg=""):
    config, arguments = common.start(arg, data="mnist", parent=ae, k=2, epochs=40)
    config.model.update(hidden=(256, 128), latent_dim=arguments.k, likelihood="gaussian", scale=0.1, activation="gelu")
    # 469 batches of 128 make an epoch of 60,000 images.
    steps = 469 * arguments.epochs if arguments.data != "digits" else 2000
    config.optimizer.update(name="adamw", weight_decay=1e-4, learning_rate=f"cosine:3e-3:0:{steps}")
    config.train.update(steps=steps, epochs=None)
    config.data.validation = 0
    config.eval.update(metrics=("mse", "pca_mse"), criterion="mse_per_pixel")
    config.expected.mse_over_pca = dict(value=1.0, judged=False, source="PCA, beside")
    if value := _OBTAINED.get(arguments.data, {}).get(arguments.k):
        config.regression = dict(mse_per_pixel=dict(value=value))
    return common.finish(config, arguments, expected_on=("mnist", "fashion_mnist"))


def rows():
    found = {f"pca_mnist_{k}": f"mnist,k={k}" for k in _OBTAINED["mnist"]}
    found["pca_mnist_32"] += ",epochs=80"
    found |= {f"pca_fashion_mnist_{k}": f"fashion_mnist,k={k}" for k in (2, 8, 16, 32, 64)}
    return found
