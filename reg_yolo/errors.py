"""What can go wrong with a user's input, one class for each place it can be wrong.

Every message is one or two plain sentences that say what is wrong, where, what was expected and how to mend it. The
command line prints them without a traceback and exits with code 2.
"""


class RegYoloError(Exception):
    """Base of every error that the user's input causes."""


class ConfigError(RegYoloError):
    """A configuration file, an override or an argument is wrong."""


class DataError(RegYoloError):
    """A data set is missing, empty or malformed."""


class MediaError(RegYoloError):
    """An image or a video cannot be read or written."""


class WeightsError(RegYoloError):
    """A checkpoint is missing, cut off, foreign or does not fit."""
