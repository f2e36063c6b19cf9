"""The layer between the plugin and the interpreter.

The build imports it before the plugin's own module and wraps what that exports, so that the clock, random numbers and
printing are the host's, and no mistake ends in a trap that says nothing.
"""

import datetime as _datetime
import functools
import importlib
import inspect
import io
import os
import pkgutil
import random as _random
import sys
import time as _time
import types
import typing

import wit_world.imports
from componentize_py_types import Err
from wit_world.imports import clock, log
from wit_world.imports import random as _host_random
from wit_world.imports.types import Failure

# Modules are run when the component is built, where there is no host: until the first call the interpreter's own clock and
# random numbers answer.
_called = False


# --- the clock: one instant for the whole of a call ---------------------------------------------------------------------

_OWN = {
    name: getattr(_time, name) for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "gmtime")
}


def _seconds():
    return clock.now_ms() / 1000 if _called else _OWN["time"]()


def _nanoseconds():
    return int(clock.now_ms()) * 1_000_000 if _called else _OWN["time_ns"]()


def _gmtime(seconds=None):
    return _OWN["gmtime"](_seconds() if seconds is None else seconds)


def _with_now(function, place):
    """A function of `time` whose last argument is the present unless it is given."""

    @functools.wraps(function)
    def call(*given):
        return function(*given) if len(given) > place else function(*given, _gmtime())

    return call


_time.time = _time.monotonic = _time.perf_counter = _time.process_time = _seconds
_time.time_ns = _time.monotonic_ns = _time.perf_counter_ns = _time.process_time_ns = _nanoseconds
_time.gmtime = _time.localtime = _gmtime
_time.strftime = _with_now(_time.strftime, 1)
_time.asctime = _with_now(_time.asctime, 0)
_time.ctime = lambda seconds=None: _time.asctime(_gmtime(seconds))
_time.sleep = lambda seconds: None


class _OfBoth(type):
    """Values that the interpreter makes are of the class as well."""

    def __instancecheck__(cls, value):
        return isinstance(value, cls.__mro__[1])


class _Date(_datetime.date, metaclass=_OfBoth):
    @classmethod
    def today(cls):
        return cls.fromtimestamp(_seconds())

    @classmethod
    def fromtimestamp(cls, timestamp):
        found = _datetime.datetime.fromtimestamp(timestamp, _datetime.timezone.utc)
        return cls(found.year, found.month, found.day)


_own_datetime = _datetime.datetime


class _Datetime(_own_datetime, metaclass=_OfBoth):
    """The zone of the machine is UTC."""

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(_seconds(), tz)

    @classmethod
    def utcnow(cls):
        return cls.now()

    @classmethod
    def today(cls):
        return cls.now()

    @classmethod
    def fromtimestamp(cls, timestamp, tz=None):
        # Without a time zone the interpreter would read the machine's.
        if tz is None:
            return super().fromtimestamp(timestamp, _datetime.timezone.utc).replace(tzinfo=None)
        return super().fromtimestamp(timestamp, tz)


_Date.__name__ = _Date.__qualname__ = "date"
_Datetime.__name__ = _Datetime.__qualname__ = "datetime"
_Date.__module__ = _Datetime.__module__ = "datetime"
_datetime.datetime = _Datetime
_datetime.date = _Date


# --- random numbers -----------------------------------------------------------------------------------------------------

_own_urandom = os.urandom


def _urandom(size):
    if not _called:
        return _own_urandom(size)
    parts = []
    while size > 0:
        part = min(size, 65_536)
        parts.append(_host_random.bytes(part))
        size -= part
    return b"".join(parts)


os.urandom = _urandom
_random._urandom = _urandom


# --- what is printed ----------------------------------------------------------------------------------------------------


class _Log(io.TextIOBase):
    def writable(self):
        return True

    def write(self, text):
        if _called:
            log.print(text.encode("utf-8", "replace"))
        return len(text)


# --- types --------------------------------------------------------------------------------------------------------------


def _named(kind):
    return getattr(kind, "__name__", str(kind))


def _shown(value):
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:79] + '…'} ({_named(type(value))})"


def _mistake(kind, value, path):
    """What is wrong with a value where a type is required; None if it is valid."""
    if isinstance(kind, typing.ForwardRef) or isinstance(kind, (str, typing.TypeVar)) or kind is typing.Any:
        return None
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        found = [_mistake(one, value, path) for one in inner]
        if None in found:
            return None
        # Of the alternatives, the most similar one gives the best message.
        deeper = [text for text in found if not text.startswith(f"{path} is ")]
        return deeper[0] if deeper else f"{path} is {_shown(value)}: one of {', '.join(map(_named, inner))} expected"
    wanted = origin or kind
    if wanted is None or wanted is type(None):
        return None if value is None else f"{path} is {_shown(value)}: None expected"
    if not isinstance(wanted, type):
        return None
    fits = isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))
    if wanted is float:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    if wanted is bytes:
        fits = isinstance(value, (bytes, bytearray))
    if not fits:
        awaited = "; the answer is awaited by nobody: make it a plain function" if inspect.isawaitable(value) else ""
        return f"{path} is {_shown(value)}: {_named(wanted)} expected{awaited}"
    if wanted is list and inner:
        return next(filter(None, (_mistake(inner[0], one, f"{path}[{n}]") for n, one in enumerate(value))), None)
    if wanted is tuple and inner:
        if len(value) != len(inner):
            return f"{path} is {_shown(value)}: a tuple of {len(inner)} expected"
        pairs = zip(inner, value)
        return next(filter(None, (_mistake(one, it, f"{path}[{n}]") for n, (one, it) in enumerate(pairs))), None)
    if hasattr(wanted, "__dataclass_fields__"):
        hints = _hints(wanted)
        fields = ((name, hints.get(name, typing.Any)) for name in wanted.__dataclass_fields__)
        return next(filter(None, (_mistake(one, getattr(value, name), f"{path}.{name}") for name, one in fields)), None)
    return None


@functools.cache
def _hints(of):
    try:
        return typing.get_type_hints(of)
    except Exception:
        return dict(getattr(of, "__annotations__", {}))


def _checked(name, function):
    """A function of the host that names the argument that it cannot take. The interpreter would trap."""
    hints = _hints(function)
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*given, **named):
        bound = signature.bind(*given, **named)
        for parameter, value in bound.arguments.items():
            wrong = _mistake(hints.get(parameter, typing.Any), value, parameter)
            if wrong is not None:
                raise TypeError(f"{name}: {wrong}")
        return function(*bound.args)

    return call


for _found in pkgutil.iter_modules(wit_world.imports.__path__):
    _module = importlib.import_module(f"wit_world.imports.{_found.name}")
    if _found.name in ("log", "clock"):
        continue
    for _name, _function in list(vars(_module).items()):
        if isinstance(_function, types.FunctionType) and _function.__module__ == _module.__name__:
            setattr(_module, _name, _checked(f"{_found.name}.{_name}", _function))


# --- the calls ----------------------------------------------------------------------------------------------------------


def frames(error):
    """The stack trace of an exception, the innermost frame last. Source files are not available."""
    found, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if "hookwright" not in code.co_filename.rsplit("/", 1)[-1]:
            found.append(f"{code.co_filename.removeprefix('/0/')}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    return found


def explained(error):
    """An exception in one line, and in the log with its stack trace."""
    said, places = f"{type(error).__name__}: {error}", frames(error)
    log.write("error", said, [])
    for place in places:
        log.write("error", f"  at {place}", [])
    return f"{said} ({places[-1]})" if places else said


def _guarded(name, function, answer, fails):
    @functools.wraps(function)
    def entry(*given):
        global _called
        _called = True
        _random.seed(_host_random.bytes(16))
        try:
            result = function(*given)
            wrong = _mistake(answer, result, "the answer")
        except Err:
            raise
        except BaseException as error:
            said = explained(error)
            if not fails:
                # Only a trap is left; the host reports the last printed error.
                log.write("error", said, [])
                raise
            raise Err(Failure("plugin.error", said, None)) from None
        if wrong is not None:
            log.write("error", f"{name}: {wrong}", [])
            if not fails:
                raise TypeError(f"{name}: {wrong}")
            raise Err(Failure("plugin.result_invalid", f"{name}: {wrong}", None))
        return result

    return entry


def exported(module, name, calls):
    """The class that the plugin exports under a name, with every exception converted to a failure for the host."""
    own = getattr(module, name, None)
    if not isinstance(own, type):
        raise ImportError(f"{module.__name__} has no class `{name}`, which the plugin's world exports")
    wrapped = {}
    for call, fails in calls:
        function = getattr(own, call, None)
        if function is None or getattr(function, "__isabstractmethod__", False):
            raise ImportError(f"the class `{name}` of {module.__name__} has no method `{call}`")
        declared = next((base for base in own.__mro__[1:] if call in vars(base)), None)
        hints = _hints(vars(declared)[call]) if declared else {}
        wrapped[call] = _guarded(f"{name}.{call}", function, hints.get("return", typing.Any), fails)
    return type(name, (own,), wrapped)


sys.stdout = sys.stderr = _Log()
