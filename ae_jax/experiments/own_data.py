"""Keys of section `data` that follow a user's own data, unless the user set them.

Whoever names a file of their own should not have to undo what the config says of the data that it was written for.
"""

from collections.abc import Collection

from ml_collections import ConfigDict

from ae_jax.data import splits

# The sources whose data.path is not a file or folder of examples to be read by `files`.
_READ_PATH = ("files", "melodies", "codes")
# The keys that say where the examples of a source are, with the values that mean nothing.
_PLACES = {"dir": "", "path": "", "size": None}


def source_for(config: ConfigDict, assigned: Collection[str]) -> str:
    """Return the data source that a user means by setting keys of a config.

    Args:
      config: the config before the keys are set.
      assigned: the dotted keys that the user sets.
    """
    source = config.data.source
    reads_path = source in _READ_PATH or ":" in source
    if "data.path" not in assigned or reads_path or {"data.source", "data.name"} & set(assigned):
        return source
    return "files"


def follow(config: ConfigDict, before: str, assigned: Collection[str]) -> None:
    """Reset the keys that described the data of another source, and the expected values.

    Args:
      config: the config, whose keys are set; it is changed.
      before: the data source that it had before.
      assigned: the dotted keys that the user set.
    """
    section = config.data
    if section.source != before:
        takes = splits.keys_of(section.source)
        for key in set(section) - set(splits.READ_HERE) - {"name", "cache"}:
            if f"data.{key}" in assigned:
                continue
            if key in _PLACES:
                section[key] = _PLACES[key]
            elif key not in takes:
                # A key that the new source does not take would be refused as unknown.
                section[key] = None
    if section.source != before or {"data.path", "data.dir"} & set(assigned):
        config.expected = {}
