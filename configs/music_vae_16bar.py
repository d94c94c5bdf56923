"""Hierarchical MusicVAE of sixteen bars: a conductor LSTM guides the decoder per bar.

Roberts et al. 2018, arXiv:1803.05428. The decoder starts anew in each bar. The paper finds that a flat decoder, here
`music_vae_16bar_flat`, is worse once it reads its own events. After the 4,000 steps of `:tiny` the two do not differ
beyond the error. `:big` has the sizes of `hierdec-mel_16bar`, and `:tiny`
is for two CPU cores. Both decoders see as many examples, for low and high numbers of free bits and small and large KL
weights.

    python scripts/reproduce.py music_16bar                  (the table: both decoders, every setting)
    python scripts/reproduce.py music_vae_16bar --seeds=3    (one setting, after the flat decoder)
    python scripts/train.py --config=configs/music_vae_16bar.py:tiny,bits=64,beta=1.0 --workdir=runs/16bar
"""

from configs import common, music_vae_2bar

DATASETS = {name: count for name, count in music_vae_2bar.DATASETS.items() if name.endswith("16bar")}
# The size; the free bits, and the weight of the KL beyond them.
WORDS = dict(tiny=False, big=False, bits=256.0, beta=0.2)
_TRIED = [(bits, beta) for bits in (256, 64) for beta in (0.2, 1.0)]


def get_config(arg=""):
    _, arguments = common.start(arg, data="melodies_16bar", datasets=DATASETS, **WORDS)
    sizes = [size for size in ("tiny", "big") if arguments[size]]
    config = music_vae_2bar.get_config(",".join([arguments.data, *sizes]))
    config.model.conductor_hidden = (256,)
    if arguments.big:
        config.model.update(encoder_hidden=(2048, 2048), conductor_hidden=(1024, 1024), decoder_hidden=(1024, 1024))
    config.objective.free_bits = arguments.bits
    config.weights.kl = f"linear:0:{arguments.beta:g}:10000"
    if arguments.tiny:
        # So short a training would not learn to remember for 256 steps. The encoder therefore reads each bar by itself,
        # and then the sequence of bars. The decoder's own events would be mostly wrong, so teacher forcing never ends.
        config.model.update(encoder_hidden=(96,), encoder_part=16, memory=16, sampling=None)
        config.model.update(conductor_hidden=(128,), decoder_hidden=(96,))
        config.weights.kl = f"linear:0.1:{arguments.beta:g}:1000"
        config.optimizer.learning_rate = "cosine:2e-3:1e-5:4000"
        config.train.update(steps=4000, batch_size=32, log_every=250, eval_every=2000, checkpoint_every=500)
    if arguments.tiny and arguments.data == "melodies_16bar":
        config.data.validation = 0
        flat = name("music_vae_16bar_flat", arguments.bits, arguments.beta)
        config.expected.accuracy_argmax = dict(row=flat, source="the flat decoder")
    return common.finish(config, arguments)


def name(model, bits, beta):
    """Return the name of the row of a model with these free bits and KL weight."""
    usual = (WORDS["bits"], WORDS["beta"])
    return model if (bits, beta) == usual else f"{model}_{bits:g}_bits_beta_{beta:g}"


def rows(model="music_vae_16bar"):
    return {name(model, bits, beta): f"tiny,bits={bits:g},beta={beta:g}" for bits, beta in _TRIED}


def tables():
    columns = {"hierarchical": "music_vae_16bar", "flat": "music_vae_16bar_flat"}
    lines = {}
    for bits, beta in _TRIED:
        row = {column: name(model, bits, beta) for column, model in columns.items()}
        lines[f"{bits:g} free bits, KL weight {beta:g}"] = row
    return {"music_16bar": dict(metrics=("accuracy_argmax", "accuracy_teacher_forced", "kl_bits"), lines=lines)}
