"""The scikit-learn transformer keeps scikit-learn's contract."""

import numpy as np
import pytest
import sklearn.datasets
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from ae_jax.experiments.estimator import AutoencoderTransformer


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_finds_nothing_wrong():
    check_estimator(AutoencoderTransformer(hidden=(8,), steps=2), expected_failed_checks={})


def test_it_works_in_a_pipeline_and_in_a_search():
    X = sklearn.datasets.load_iris().data
    steps = make_pipeline(StandardScaler(), AutoencoderTransformer(hidden=(8,), steps=2))
    search = GridSearchCV(steps, {"autoencodertransformer__latent_dim": [1, 2]}, cv=2).fit(X)
    best = search.best_estimator_
    z = best.transform(X)
    assert z.shape == (150, search.best_params_["autoencodertransformer__latent_dim"])
    error = np.square(best.inverse_transform(z) - X)
    scaled = error / best[0].var_
    assert best.score(X) == pytest.approx(-scaled.mean(), rel=1e-4)
