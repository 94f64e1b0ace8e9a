"""A pickle read by a machine of our own, which builds plain values and runs nothing.

The security boundary of the project. Python's unpickler calls whatever a pickle names; this one knows the names in
`lcfs.reading.builders`, an allow-list, and turns every other one into an inert `Stub`. It never imports, never looks up
an attribute, and calls nothing that came out of the file. Its values are None, numbers, text, bytes, lists, tuples,
dicts, tensors, `Global`, `Stub` and `Unread`; sets become lists.
"""

import pickletools
from collections.abc import Callable
from typing import IO, Any

from lcfs.reading.arrays import Shell
from lcfs.reading.builders import BUILDERS, is_known
from lcfs.reading.values import Global, MalformedError, Stub, keyed

_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
_TEXTS = ("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
_BYTES = ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8")
_PUSHED = frozenset(_NUMBERS + _TEXTS + _BYTES)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict, "EMPTY_SET": list}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NOTHING = frozenset(("PROTO", "FRAME"))


class Machine:
    """Reads pickles from a stream, one at a time.

    Args:
        stream: bytes with `read` and `readline`.
        persistent: what stands for a persistent id, which is how torch's pickles mention storages.

    Attributes:
        met: names of the classes and functions that became stubs, in the order in which they were met.
    """

    def __init__(self, stream: IO[bytes] | Any, persistent: Callable[[Any], Any] | None = None) -> None:
        self._stream, self._persistent = stream, persistent
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self.met: dict[str, None] = {}

    def load(self) -> Any:
        """The next pickle's value. Raises MalformedError if it is none."""
        self._stack, self._below, self._memo = [], [], {}
        try:
            for opcode, argument, _ in pickletools.genops(self._stream):
                if opcode.name == "STOP":
                    return self._stack[-1]
                self._step(opcode.name, argument)
        except MalformedError:
            raise
        except (
            ValueError,
            TypeError,
            IndexError,
            KeyError,
            OverflowError,
            AttributeError,
            RecursionError,
            RuntimeError,
        ) as error:
            raise MalformedError(f"its pickle is invalid: {str(error)[:80]}") from None
        raise MalformedError("its pickle does not end")

    def _step(self, name: str, argument: Any) -> None:
        if name in _PUSHED:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self._stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            self._stack[-count:] = [tuple(self._stack[-count:])] if len(self._stack) >= count else self._short()
        elif name not in _NOTHING:
            _STEPS[name](self, argument)

    def _short(self) -> list[Any]:
        raise MalformedError("its pickle is invalid: a value is missing")

    def _marked(self) -> list[Any]:
        """What was pushed since the last mark."""
        values, self._stack = self._stack, self._below.pop()
        return values

    def _mark(self, _: Any) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._stack = self._below.pop()

    def _pop_mark(self, _: Any) -> None:
        self._marked()

    def _get(self, key: int) -> None:
        self._stack.append(self._memo[key])

    def _put(self, key: int) -> None:
        self._memo[key] = self._stack[-1]

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _append(self, _: Any) -> None:
        value = self._stack.pop()
        self._extend([value])

    def _extend(self, values: list[Any]) -> None:
        last = self._stack[-1]
        if isinstance(last, list):
            last.extend(values)
        elif isinstance(last, Stub):
            last.items.extend(values)
        else:
            raise MalformedError(f"its pickle appends to a {type(last).__name__}")

    def _set_items(self, values: list[Any]) -> None:
        last = self._stack[-1]
        entries = last.entries if isinstance(last, Stub) else last
        if not isinstance(entries, dict) or len(values) % 2:
            raise MalformedError(f"its pickle sets keys of a {type(last).__name__}")
        entries.update(keyed(values))

    def _set_item(self, _: Any) -> None:
        value = self._stack.pop()
        self._set_items([self._stack.pop(), value])

    def _global(self, argument: str) -> None:
        self._name(argument.replace(" ", ".", 1))

    def _stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise MalformedError("its pickle names something by what is no text")
        self._name(f"{module}.{name}")

    def _name(self, name: str) -> None:
        if not is_known(name):
            self.met.setdefault(name)
        self._stack.append(Global(name))

    def _extension(self, code: int) -> None:
        self._name(f"copyreg.extension.{code}")

    def _call(self, function: Any, arguments: Any) -> None:
        """Make what a function would have made of its arguments; only builders of our own are called."""
        if not isinstance(arguments, tuple):
            raise MalformedError("its pickle calls something with what is no tuple of arguments")
        if isinstance(function, Global):
            build = BUILDERS.get(function.name)
            value = build(*arguments) if build else Stub(function.name, arguments)
        elif isinstance(function, Stub):  # a function that a call returned, such as functools.partial's
            value = Stub(function.name, (function, *arguments))
        else:
            raise MalformedError(f"its pickle calls a {type(function).__name__}")
        self._stack.append(value)

    def _reduce(self, _: Any) -> None:
        arguments = self._stack.pop()
        self._call(self._stack.pop(), arguments)

    def _new_with_keywords(self, _: Any) -> None:
        keywords, arguments = self._stack.pop(), self._stack.pop()
        if keywords:
            arguments = (*arguments, keywords)
        self._call(self._stack.pop(), arguments)

    def _instance(self, argument: str) -> None:
        arguments = tuple(self._marked())
        self._global(argument)
        self._call(self._stack.pop(), arguments)

    def _object(self, _: Any) -> None:
        function, *arguments = self._marked()
        self._call(function, tuple(arguments))

    def _build(self, _: Any) -> None:
        state, last = self._stack.pop(), self._stack[-1]
        if isinstance(last, Shell):
            last.fill(state)
        elif isinstance(last, Stub):
            last.state = state
        elif not isinstance(last, dict):  # an OrderedDict may have attributes: _metadata of state dicts
            raise MalformedError(f"its pickle gives a {type(last).__name__} attributes")

    def _persistent_id(self, key: Any) -> None:
        if self._persistent is None:
            raise MalformedError("its pickle mentions storages, which the file does not hold")
        self._stack.append(self._persistent(key))

    def _refuse(self, _: Any) -> None:
        raise MalformedError("its pickle keeps its buffers elsewhere (out-of-band buffers of protocol 5)")


def _collect(make: Callable[[list[Any]], Any]) -> Callable[[Machine, Any], None]:
    def step(machine: Machine, _: Any) -> None:
        values = machine._marked()
        machine._stack.append(make(values))

    return step


_STEPS: dict[str, Callable[[Machine, Any], None]] = {
    "MARK": Machine._mark,
    "POP": Machine._pop,
    "POP_MARK": Machine._pop_mark,
    "DUP": lambda machine, _: machine._stack.append(machine._stack[-1]),
    "LIST": _collect(lambda values: values),
    "TUPLE": _collect(tuple),
    "DICT": _collect(keyed),
    "FROZENSET": _collect(lambda values: values),
    "APPEND": Machine._append,
    "APPENDS": lambda machine, _: machine._extend(machine._marked()),
    "ADDITEMS": lambda machine, _: machine._extend(machine._marked()),
    "SETITEM": Machine._set_item,
    "SETITEMS": lambda machine, _: machine._set_items(machine._marked()),
    "GLOBAL": Machine._global,
    "STACK_GLOBAL": Machine._stack_global,
    "REDUCE": Machine._reduce,
    "NEWOBJ": Machine._reduce,
    "NEWOBJ_EX": Machine._new_with_keywords,
    "INST": Machine._instance,
    "OBJ": Machine._object,
    "BUILD": Machine._build,
    "MEMOIZE": Machine._memoize,
    "PERSID": Machine._persistent_id,
    "BINPERSID": lambda machine, _: machine._persistent_id(machine._stack.pop()),
    "NEXT_BUFFER": Machine._refuse,
    "READONLY_BUFFER": Machine._refuse,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine._get),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Machine._put),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), Machine._extension),
}
