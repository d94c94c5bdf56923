"""Hierarchical MusicVAE of sixteen bars: a conductor makes a code of each bar, from which the decoder starts anew.

Roberts et al. 2018, arXiv:1803.05428, and the finding that the flat decoder, that of `music_vae_16bar_flat`, falls
behind once it reads its own events. `:big` has the sizes of `hierdec-mel_16bar`, `:tiny` is for two CPU cores.

    python scripts/reproduce.py music_vae_16bar --seeds=3    (`:tiny`, after the flat decoder that it is compared with)
    python scripts/sweep.py --config=configs/music_vae_16bar.py:tiny --workdir=runs/16bar    (beta and free bits)
"""

from configs import common, music_vae_2bar

DATASETS = {name: count for name, count in music_vae_2bar.DATASETS.items() if name.endswith("16bar")}


def get_config(arg=""):
    _, arguments = common.start(arg, data="melodies_16bar", datasets=DATASETS, tiny=False, big=False)
    sizes = [size for size in ("tiny", "big") if arguments[size]]
    config = music_vae_2bar.get_config(",".join([arguments.data, *sizes]))
    config.model.conductor_hidden = (256,)
    if arguments.big:
        config.model.update(encoder_hidden=(2048, 2048), conductor_hidden=(1024, 1024), decoder_hidden=(1024, 1024))
    config.objective.free_bits = 256.0
    config.weights.kl = "linear:0:0.2:10000"
    if arguments.tiny:
        config.model.update(conductor_hidden=(128,), decoder_hidden=(192,))
        config.weights.kl = "linear:0.1:0.5:5000"
    if arguments.tiny and arguments.data == "melodies_16bar":
        config.data.validation = 0
        config.expected.accuracy_argmax = dict(row="music_vae_16bar_flat", tolerance=0.0, source="the flat decoder")
    return common.finish(config, arguments)


def sweep():
    return {"objective.free_bits": "128.0,256.0,384.0", "weights.kl": "0.2,0.5,1.0"}


def rows():
    return {"music_vae_16bar": "tiny"}
