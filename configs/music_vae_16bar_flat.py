"""MusicVAE of sixteen bars with a flat decoder, the baseline of `music_vae_16bar`.

Roberts et al. 2018, arXiv:1803.05428, section 6.2. The decoder is wider, so that both models have as many parameters.

    python scripts/reproduce.py music_vae_16bar_flat --seeds=3
"""

from configs import common, music_vae_16bar

DATASETS = music_vae_16bar.DATASETS


def get_config(arg=""):
    _, arguments = common.start(arg, data="melodies_16bar", datasets=DATASETS, **music_vae_16bar.WORDS)
    sizes = [size for size in ("tiny", "big") if arguments[size]]
    words = [arguments.data, *sizes, f"bits={arguments.bits}", f"beta={arguments.beta}"]
    config = music_vae_16bar.get_config(",".join(words))
    # These widths give as many parameters as the hierarchical model has at each size.
    widths = (320, 320)
    if arguments.big:
        widths = (1536, 1536)
    if arguments.tiny:
        widths = (140,)
    config.model.update(conductor_hidden=(), decoder_hidden=widths)
    if config.expected:
        expected = dict(metric="accuracy_most_likely", source="the likeliest event of each position")
        config.expected.accuracy_argmax = expected
    return common.finish(config, arguments)


def rows():
    return music_vae_16bar.rows("music_vae_16bar_flat")
