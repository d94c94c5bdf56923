"""The runs, figures and metrics that `behaviour.py` records, as command-line options."""

# {name: config file and overrides}
FAMILIES = {
    "music": "music_vae_2bar.py:scales_2bar model.encoder_hidden=16 model.decoder_hidden=16 model.latent_dim=8"
    " train.batch_size=32 weights.kl=0.1 optimizer.learning_rate=1e-2",
    "ladder": "iwae.py:digits,objective=elbo,k=1,layers=2 model.name=ladder model.norm=batch model.hidden=16"
    " model.upper_hidden=16 model.latent_dim=8 model.upper_dims=2 eval.metrics=elbo",
    "hierarchical": "iwae.py:digits,objective=elbo,k=1,layers=2 model.hidden=16 model.upper_hidden=16"
    " model.latent_dim=8 model.upper_dims=2 eval.metrics=elbo",
    "ae": "ae.py:digits model.hidden=32 model.latent_dim=8",
    "vae": "vae.py:digits model.hidden=32",
    "aae": "aae.py:digits,circle,labelled model.hidden=32 model.critic_hidden=32",
    "classifier": "classifier.py:digits model.hidden=32 model.latent_dim=8",
    "conditional": "cvae.py:digits model.hidden=32",
    "contractive": "contractive_ae.py:digits model.latent_dim=8",
}
FAMILY_LENGTH = "train.steps=200 train.log_every=50 train.eval_every=100 train.checkpoint_every=100"
PARTS = {
    "prior circle": "vae.py:smoke model.prior=circle",
    "prior flow": "vae.py:smoke model.prior=flow",
    "prior mixture": "vae.py:smoke model.prior=mixture",
    "prior vamp": "vae.py:smoke model.prior=vamp",
    "prior of a class": "cvae.py:smoke model.conditional_prior=true",
    "posterior iaf": "vae.py:smoke model.posterior=iaf",
    "posterior planar": "vae.py:smoke model.posterior=planar",
    "posterior radial": "vae.py:smoke model.posterior=radial",
    "likelihood gaussian": "vae.py:smoke model.likelihood=gaussian",
    "likelihood laplace": "vae.py:smoke model.likelihood=laplace",
    "objective free bits": "vae.py:smoke objective.free_bits=0.5 objective.num_samples=3",
    "objective capacity": "vae.py:smoke objective.capacity=linear:0:5:10",
    "objective miwae": "iwae.py:smoke,k=4,objective=miwae objective.groups=2",
    "objective piwae": "iwae.py:smoke,k=4,objective=piwae objective.groups=2",
    "objective ciwae": "iwae.py:smoke,k=4,objective=ciwae objective.beta=0.3",
    "objective stl": "iwae.py:smoke,k=4,objective=stl",
    "objective dreg": "iwae.py:smoke,k=4,objective=dreg",
    "objective sparse_kl": "sparse_ae.py:smoke model.code_activation=sigmoid objective.name=sparse_kl",
    "corruption masking": "denoising_ae.py:smoke,noise=masking corruption.level=linear:0:0.5:10",
    "corruption salt_and_pepper": "denoising_ae.py:smoke,noise=salt_and_pepper",
    "optimizer sgd": "ae.py:smoke optimizer.name=sgd optimizer.momentum=0.9 optimizer.clip=1.0",
    "optimizer adamw": "ae.py:smoke optimizer.name=adamw optimizer.weight_decay=1e-2 optimizer.b1=0.8",
    "optimizer schedule": "ae.py:smoke optimizer.learning_rate=cosine:1e-2:0:10",
    "train ema": "vae.py:smoke train.ema=0.9 weights.kl=cyclic:0:1:4",
    "train accumulate": "vae.py:smoke train.accumulate=2 data.binarize=fixed",
    "train precision": "conv_vae.py:smoke train.precision=bfloat16",
}
PART_LENGTH = "train.steps=10 train.log_every=5 train.eval_every=10 train.checkpoint_every=10"
SWEEP = (
    "--config=configs/vae.py:digits --config.model.hidden=16 --config.train.steps=20 --config.train.log_every=10"
    " --axis=weights.kl=1,4 --axis=seed=0:2"
)
WAYS = ("map", "threads", "vmap")  # not "auto", which measures which is fastest
SWEEP_FIGURES = ("heat_map", "learning_curves", "metric_curve", "rate_distortion", "sample_grid")
# {name: options}; RUNS stands for the folder with the runs of all families.
FIGURES = {
    "class_grid": "",
    "code_and_prior": "",
    "cross_data": "--cross_data_runs=RUNS/ae",
    "curves": "",
    "explorer": "--explorer_projection=pca",
    "from_noise": "",
    "generation": "--generation_runs=RUNS/ae",
    "interpolations": "",
    "latent_noise": "",
    "loss_comparison": "--loss_comparison_runs=RUNS/ae",
    "manifold": "--manifold_size=8",
    "melody_curves": "",
    "melody_samples": "--melody_samples_count=2",
    "pca_comparison": "--pca_comparison_runs=RUNS/ae",
    "reconstructions": "",
    "restoration": "",
    "samples": "--samples_count=20",
    "scatter": "",
    "traversals": "",
}
METRICS = {
    "accuracy": "",
    "active_units": "--active_units_samples=10",
    "aggregate_kl": "",
    "ais": "--ais_examples=4 --ais_chains=2 --ais_temperatures=20 --ais_leapfrog=2",
    "baselines": "",
    "bce": "",
    "bits_per_dimension": "--bits_per_dimension_samples=20",
    "collapse": "",
    "density_coverage": "--density_coverage_features=RUNS/classifier",
    "elbo": "--elbo_samples=3",
    "fid": "--fid_features=RUNS/classifier",
    "kid": "--kid_features=RUNS/classifier --kid_sampler=mixture",
    "kl_per_dimension": "",
    "mae": "",
    "mean_code": "",
    "melodies": "--melodies_train=50",
    "mmd_to_prior": "--mmd_to_prior_codes=100",
    "mse": "",
    "mutual_information": "",
    "nll": "--nll_samples=40 --nll_chunk=20 --nll_repeats=2",
    "own_mode": "",
    "pca_mse": "",
    "precision_recall": "--precision_recall_features=RUNS/classifier --precision_recall_sampler=gaussian",
    "probe": "--probe_train=300",
    "psnr": "",
    "reconstruction": "",
    "ssim": "",
    "training": "",
}
