"""Hierarchical MusicVAE of sixteen bars: a conductor makes a code of each bar, from which the decoder starts anew.

Roberts et al. 2018, arXiv:1803.05428, and the finding that the flat decoder, that of `music_vae_16bar_flat`, falls
behind once it reads its own events. `:big` has the sizes of `hierdec-mel_16bar`, `:tiny` is for two CPU cores: both
decoders see as many examples, with few bits and with more, with a light and a heavy KL weight.

    python scripts/reproduce.py music_16bar                  (the table: both decoders, every setting)
    python scripts/reproduce.py music_vae_16bar --seeds=3    (one setting, after the flat decoder)
    python scripts/train.py --config=configs/music_vae_16bar.py:tiny,bits=64,beta=1.0 --workdir=runs/16bar
"""

from configs import common, music_vae_2bar

DATASETS = {name: count for name, count in music_vae_2bar.DATASETS.items() if name.endswith("16bar")}
WORDS = dict(tiny=False, big=False, bits=256.0, beta=0.2)  # size; free bits, and the weight of the KL beyond them
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
        # So short a training would not learn to remember for 256 steps: bars are read one by one, and then as a whole.
        # Nor would it learn from events of its own, which are mostly wrong: it reads the true ones throughout.
        config.model.update(encoder_hidden=(96,), encoder_part=16, memory=16, sampling=None)
        config.model.update(conductor_hidden=(128,), decoder_hidden=(96,))
        config.weights.kl = f"linear:0.1:{arguments.beta:g}:1000"
        config.optimizer.learning_rate = "cosine:2e-3:1e-5:4000"
        config.train.update(steps=4000, batch_size=32, log_every=250, eval_every=2000, checkpoint_every=500)
    if arguments.tiny and arguments.data == "melodies_16bar":
        config.data.validation = 0
        flat = name("music_vae_16bar_flat", arguments.bits, arguments.beta)
        config.expected.accuracy_argmax = dict(row=flat, tolerance=0.0, source="the flat decoder")
    return common.finish(config, arguments)


def name(model, bits, beta):
    """The row of a model trained with these; with the usual ones, that of its own name."""
    usual = (WORDS["bits"], WORDS["beta"])
    return model if (bits, beta) == usual else f"{model}_{bits:g}_bits_beta_{beta:g}"


def rows(model="music_vae_16bar"):
    return {name(model, *tried): "tiny,bits={:g},beta={:g}".format(*tried) for tried in _TRIED}


def tables():
    columns = {"hierarchical": "music_vae_16bar", "flat": "music_vae_16bar_flat"}
    line = lambda *tried: {column: name(model, *tried) for column, model in columns.items()}
    lines = {"{:g} free bits, KL weight {:g}".format(*tried): line(*tried) for tried in _TRIED}
    return {"music_16bar": dict(metrics=("accuracy_argmax", "accuracy_teacher_forced", "kl_bits"), lines=lines)}
