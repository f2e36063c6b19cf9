"""Helpers for every plugin in Python: failures, and checks of signatures.

An exception that is not `Err(Failure(..))` becomes a failure with the code `plugin.error`, and its traceback stands in the
plugin's log.
"""

import functools

from componentize_py_types import Err
from wit_world.imports.types import Failure


#: The name under which a source's plugin finds the secret that the source was created with.
SIGNING_SECRET = "signing-secret"


def failure(code, message):
    """A failure that trying again cannot help; raise it. The code is `noun.problem`."""
    return Err(Failure(str(code), str(message), None))


def retry(code, message, milliseconds=0):
    """A failure after which the step is retried, not before this number of milliseconds; 0 leaves the delay to the step."""
    return Err(Failure(str(code), str(message), int(milliseconds)))


def verified(check):
    """Whether a check of the host's succeeds: false for a wrong code or token, which the sender is to blame for.

    A check that could not be made, as without the secret, raises.
    """
    try:
        check()
    except Err as error:
        if error.value.code == "signature.wrong":
            return False
        raise
    return True


def guarded(function):
    """Decorates an entry that tests call directly; the build guards the plugin's exports automatically."""

    @functools.wraps(function)
    def entry(*arguments):
        try:
            return function(*arguments)
        except Err:
            raise
        except Exception as error:
            raise failure("plugin.error", f"{type(error).__name__}: {error}") from None

    return entry
