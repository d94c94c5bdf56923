"""MusicVAE of two bars: a bidirectional LSTM encoder and an LSTM decoder of melodies.

Roberts et al. 2018, arXiv:1803.05428. The default has the sizes of `cat-mel_2bar_small`; `:big` has those of the larger
published model, and `:tiny` is for two CPU cores.

    python scripts/reproduce.py music_vae_2bar    (`:tiny`, whole corpus: held-out melodies that come back)
    python scripts/train.py --config=configs/music_vae_2bar.py:tiny --workdir=runs/melodies
    python scripts/apply.py --workdir=runs/melodies --task=reconstruct --input=tune.mid --output=again/ --render
"""

from configs import common

DATASETS = {"scales_2bar": 64, "melodies_2bar": 2000, "scales_16bar": 64, "melodies_16bar": 500}


def get_config(arg=""):
    config, arguments = common.start(arg, data="melodies_2bar", datasets=DATASETS, tiny=False, big=False)
    config.data.transpose = 5
    config.model = dict(
        name="music",
        encoder="recurrent",
        decoder="autoregressive",
        likelihood="categorical",
        prior="standard_normal",
        posterior="diagonal_normal",
        latent_dim=256,
        bidirectional=True,
        encoder_hidden=(512,),
        decoder_hidden=(256, 256),
        conductor_hidden=(),
        sampling="sigmoid:1000",
    )
    config.objective.update(free_bits=48.0, free_bits_on="sum")
    config.weights.kl = "linear:0:0.2:10000"
    config.optimizer.update(learning_rate="cosine:1e-3:1e-5:50000", clip=1.0)
    config.train.update(steps=50000, batch_size=512, log_every=500, eval_every=5000, checkpoint_every=1000)
    config.eval.update(metrics=("melodies", "elbo"), criterion="note_f1_argmax")
    if arguments.big:
        config.model.update(latent_dim=512, encoder_hidden=(2048,), decoder_hidden=(2048, 2048, 2048))
    if arguments.tiny:
        config.model.update(latent_dim=128, encoder_hidden=(128,), decoder_hidden=(256,))
        config.objective.free_bits = 63.0
        config.weights.kl = "linear:0.1:0.5:4000"
        config.optimizer.learning_rate = "cosine:2e-3:1e-5:26000"
        config.train.update(steps=26000, batch_size=64, eval_every=5200)
    if arguments.tiny and arguments.data == "melodies_2bar":
        config.data.validation = 0
        baselines = dict(accuracy_argmax="accuracy_most_likely", note_f1_argmax="note_f1_eighth_notes")
        for score, baseline in baselines.items():
            config.expected[score] = dict(metric=baseline, source=f"{baseline}, without a model")
    return common.finish(config, arguments)


def rows():
    return {"music_vae_2bar": "tiny"}
