"""Likelihoods p(x|z), one a file: `Likelihood`, a module from decoder outputs to a distribution over x.

`Likelihood.outputs_per_value` says how many numbers the decoder gives for each value of x;
`Likelihood.needs_dequantised` whether pixels must be dequantised lest the density grow without bound;
`Likelihood.needs_mean` whether it starts from the mean training example, which is then batch["mean"] when it is made.
"""
