"""What to say where the library that a door stands on is not installed: which extra brings it along."""


def lacking(missing: ModuleNotFoundError, library: str, extra: str) -> ModuleNotFoundError:
    """The error to raise for `missing`; itself, where something else is not there than `library`."""
    if missing.name is None or missing.name.partition(".")[0] != library:
        return missing
    text = f"No module named {library!r}: it comes with pip install 'strongdm-auth[{extra}]'"
    return ModuleNotFoundError(text, name=missing.name)
