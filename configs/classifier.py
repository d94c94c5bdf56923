"""Classifier whose latent is a feature extractor for FID, KID and similar metrics.

The metrics `fid`, `kid`, `precision_recall` and `density_coverage` compare features of images. A reconstruction term
with a small weight keeps features that do not depend on the class. Training takes a minute on MNIST.

    python scripts/train.py --config=configs/classifier.py:mnist --workdir=runs/classifier
    python scripts/evaluate.py --workdir=runs/vae --metrics=fid --fid_features=runs/classifier
"""

from configs import ae, common


def get_config(arg=""):
    config, arguments = common.start(arg, parent=ae)
    config.model.update(name="classifier", latent_dim=64, hidden=(256,))
    config.weights = dict(reconstruction=0.01, label=1.0)
    config.eval.update(metrics=("accuracy", "bce"), criterion="accuracy")
    if arguments.data == "digits":
        config.train.steps = 2000
    else:
        config.train.epochs = 10
    return common.finish(config, arguments)
