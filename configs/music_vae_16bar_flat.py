"""MusicVAE of sixteen bars with a flat decoder, wider, so that it has as many parameters as the hierarchical one.

Roberts et al. 2018, arXiv:1803.05428, section 6.2.

    python scripts/reproduce.py music_vae_16bar_flat --seeds=3
"""

from configs import common, music_vae_16bar

DATASETS = music_vae_16bar.DATASETS


def get_config(arg=""):
    _, arguments = common.start(arg, data="melodies_16bar", datasets=DATASETS, **music_vae_16bar.WORDS)
    sizes = [size for size in ("tiny", "big") if arguments[size]]
    words = [arguments.data, *sizes, f"bits={arguments.bits}", f"beta={arguments.beta}"]
    config = music_vae_16bar.get_config(",".join(words))
    width = (140,) if arguments.tiny else (1536, 1536) if arguments.big else (320, 320)
    config.model.update(conductor_hidden=(), decoder_hidden=width)
    if config.expected:
        expected = dict(metric="accuracy_most_likely", tolerance=0.0, source="the likeliest event of each position")
        config.expected.accuracy_argmax = expected
    return common.finish(config, arguments)


def rows():
    return music_vae_16bar.rows("music_vae_16bar_flat")
