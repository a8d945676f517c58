"""The rule for make that -M prints."""

import re


def prerequisites(text):
    """Their names, unquoted; none when there is no rule."""
    _, _, names = text.replace("\\\n", " ").partition(":")
    return [re.sub(r"\\([ #:])", r"\1", name).replace("$$", "$") for name in re.findall(r"(?:\\.|[^\s\\])+", names)]
