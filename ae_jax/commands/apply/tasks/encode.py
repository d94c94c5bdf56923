"""Codes of the user's examples."""

from ae_jax.commands.apply import shared


def run(
    trained,
    source,
    key,
    *,
    resize: bool = False,
    label: tuple = (),
    batch_size: int = 500,
    track: int = -1,
    start_bar: int = 0,
) -> shared.Result:
    """STEM.npz with "code" [N, D] float32 (posterior means, where there is a posterior) and "names" [N]; STEM.csv with
    the same, in nine digits, which give back every float32.
    """
    examples = shared.read(trained, source, resize, track, start_bar)
    code = shared.codes_of(trained, examples, key, label, batch_size)
    header = ["file", *(f"z{d}" for d in range(code.shape[1]))]
    table = [header, *([name, *(f"{z:.9g}" for z in row)] for name, row in zip(examples.names, code, strict=True))]
    files = {f"{examples.stem}.npz": {"code": code, "names": examples.names}, f"{examples.stem}.csv": table}
    return shared.Result(files, examples.originals, examples.unreadable)
