"""What every plugin in Python wants: failures, and an entry that never traps.

An exception that is not `Err(Failure(..))` is a trap when it reaches the host, and its message is lost. `guarded` turns
it into a failure with the code `plugin.error`.
"""

import functools

from componentize_py_types import Err
from wit_world.imports.types import Failure


def failure(code, message):
    """A failure that trying again cannot help; raise it. The code is `noun.problem`."""
    return Err(Failure(str(code), str(message), None))


def retry(code, message, milliseconds=0):
    """A failure after which the step is tried again, not before so many milliseconds; 0 leaves it to the step."""
    return Err(Failure(str(code), str(message), int(milliseconds)))


def guarded(function):
    """Decorates the plugin's entry."""

    @functools.wraps(function)
    def entry(*arguments):
        try:
            return function(*arguments)
        except Err:
            raise
        except Exception as error:
            raise failure("plugin.error", f"{type(error).__name__}: {error}") from None

    return entry
