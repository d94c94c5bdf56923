"""MusicVAE of two bars: a bidirectional LSTM reads a melody, an LSTM writes it again, event by event.

Roberts et al. 2018, arXiv:1803.05428: `cat-mel_2bar_small`; `:tiny` is for two CPU cores, `:big` as published too.

    python scripts/train.py --config=configs/music_vae_2bar.py:tiny --workdir=runs/melodies
    python scripts/evaluate.py --workdir=runs/melodies --metrics=melodies,elbo
    python scripts/apply.py --workdir=runs/melodies --task=reconstruct --input=tune.mid --output=again/ --render
"""

from configs import common

DATASETS = {"scales_2bar": 64, "melodies_2bar": 2000}


def get_config(arg=""):
    config, arguments = common.start(arg, data="melodies_2bar", datasets=DATASETS, tiny=False, big=False)
    config.data.transpose = 5
    encoder, decoder, latents, batch = (512,), (256, 256), 256, 512
    if arguments.tiny:
        encoder, decoder, latents, batch = (128,), (256,), 128, 64
    elif arguments.big:
        encoder, decoder, latents, batch = (2048,), (2048, 2048, 2048), 512, 512
    config.model = dict(
        name="music",
        encoder="recurrent",
        decoder="autoregressive",
        likelihood="categorical",
        prior="standard_normal",
        posterior="diagonal_normal",
        latent_dim=latents,
        bidirectional=True,
        encoder_hidden=encoder,
        decoder_hidden=decoder,
        sampling="sigmoid:1000",
    )
    config.objective.update(free_bits=48.0, free_bits_on="sum")
    config.weights.kl = "linear:0:0.2:10000"
    config.optimizer.update(learning_rate="cosine:1e-3:1e-5:50000", clip=1.0)
    config.train.update(steps=50000, batch_size=batch, log_every=500, eval_every=5000, checkpoint_every=1000)
    config.eval.update(metrics=("melodies", "elbo"), criterion="note_f1_argmax")
    return common.finish(config, arguments)
