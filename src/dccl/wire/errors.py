"""Every error that a user may meet, in one small tree.

DcclError                exit code 1
├── ConfigError          2   a key, value or option that was given is wrong
├── DataError            3   a log is missing, malformed, empty or not the one expected
├── CheckpointError      4   saved state is damaged or belongs to something else
└── StorageError         5   a file could not be written (disk full, no permission)

A message names the thing, what was expected, what came, and what to do next. The command line prints it
without a traceback and exits with the code; an interrupt (ctrl-C) exits with 130 and leaves a resumable state.
"""


class DcclError(Exception):
    """Any failure that the user can act on; the message says how."""

    exit_code = 1


class ConfigError(DcclError):
    """A configuration key, value or command-line option is wrong."""

    exit_code = 2


class DataError(DcclError):
    """A log is missing, malformed, empty, or not the one that was expected."""

    exit_code = 3


class CheckpointError(DcclError):
    """Saved state is damaged, or belongs to other data or another configuration."""

    exit_code = 4


class StorageError(DcclError):
    """A file could not be written; what was there before is untouched."""

    exit_code = 5
