"""Functions of users as programs: traced anew at each public call, compiled once for each program.

`jax.jit` knows a function by its identity. What the function reads from outside (a global, an attribute, a NumPy
table, a variable of the function around it) is frozen into the compiled code at the first call, and later calls get
the old numbers. So a function is traced at the entry of each public call. What it reads becomes an array that is
handed to the compiled code, and functions with the same program share that code.
"""

import functools
import itertools
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend import core as jex
from jax.extend.core import primitives

from ._jaxprs import calls_of_python
from ._modes import in_own_modes
from ._program_keys import Same, key_of, kind_of
from ._typing import Array

_Shape = jax.ShapeDtypeStruct
_Public = TypeVar("_Public", bound=Callable)

# JAX keeps what it traced of inner functions (bodies of loops, functions that the user jitted) by their identity, and
# misses what it kept under another value of this context
_context: Any = jax.make_user_context(0)
_contexts = itertools.count(1)


class Program:
    """A traced program, equal to any other that computes the same in the same way.

    Attributes:
      key: what tells it from others.
      jaxpr: the program, without constants.
      structure: of the tree that it returns.
    """

    def __init__(self, key: Any, jaxpr: Any = None, structure: Any = None):
        self.key, self.jaxpr, self.structure = key, jaxpr, structure
        self._hash = hash(key)  # keys are long, and `jit` asks for it at every call

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: Any) -> bool:
        return self is other or (isinstance(other, Program) and self._hash == other._hash and self.key == other.key)

    def __repr__(self) -> str:
        return "Program()"  # no text tells programs apart


# weak, so that programs that nobody uses any more are forgotten
_programs: weakref.WeakValueDictionary[Program, Program] = weakref.WeakValueDictionary()


def _shared(program: Program) -> Program:
    """Return the one program of its kind, so that comparisons are quick."""
    return _programs.setdefault(program, program)


class AbstractStandIn(eqx.Module):
    """A module in place of a user's function, which shows the fields of that function as its own."""

    shown: ClassVar[str]
    """The field that holds the function."""

    def __getattr__(self, name: str) -> Any:
        # a field that is not set yet would be looked for in itself, without end
        if name.startswith("__") or name in type(self).__dataclass_fields__:
            raise AttributeError(name)
        return getattr(getattr(self, self.shown), name)


class TracedFunction(AbstractStandIn):
    """A function as a program, with what it reads as arrays.

    Attributes:
      own: the function, with its arrays alone.
      constants: what else it reads.
      numbers: the floating numbers among its literals.
      program: from all of these and the arguments to the result.
    """

    own: Any
    constants: tuple[Array, ...]
    numbers: Array
    program: Program = eqx.field(static=True)
    shown: ClassVar[str] = "own"
    takes_lanes: ClassVar[bool] = False  # it is the program of one game, whatever the function says of itself

    def __call__(self, /, *arguments: Any, **named: Any) -> Any:
        # a tangent of zero would become NaN in the derivative of a power or a logarithm
        numbers = jax.lax.stop_gradient(self.numbers)
        arguments = (*arguments, *named.values())  # parameters of a game, always in its order
        inputs = [*jax.tree.leaves(self.own), *self.constants, *(numbers[i] for i in range(len(numbers))), *arguments]
        typed = [_typed(x, v.aval) for x, v in zip(inputs, self.program.jaxpr.invars, strict=True)]
        outputs = jex.jaxpr_as_fun(jex.ClosedJaxpr(self.program.jaxpr, ()))(*typed)
        return jax.tree.unflatten(self.program.structure, outputs)


class KeyedFunction(AbstractStandIn):
    """A function that is called as it is, but compiled anew if its program, or a number that it reads, has changed.

    Attributes:
      function: the user's.
      key: of its program, with all that it reads.
      takes_lanes: what the function says of itself.
    """

    function: Any
    key: Program = eqx.field(static=True)
    takes_lanes: bool = eqx.field(static=True)
    shown: ClassVar[str] = "function"

    def __call__(self, /, *arguments: Any, **named: Any) -> Any:
        with _context(next(_contexts)):
            return self.function(*arguments, **named)


class ObservedFunction:
    """A function that compiled code takes for a constant: equal to another if both have the same program.

    Attributes:
      function: the user's.
      key: of its program, with all that it reads.
    """

    def __init__(self, function: Callable, key: Program):
        self.function, self.key = function, key

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, ObservedFunction) and self.key == other.key

    def __call__(self, *arguments: Any) -> Any:
        with _context(next(_contexts)):
            return self.function(*arguments)


def trace(
    function: Callable, *arguments: Any, dtype: Any = None, params: Mapping[str, Any] | None = None
) -> TracedFunction:
    """Trace a function at arrays of given shapes into a program.

    Args:
      function: if it is a tree, such as an `equinox.Module`, its arrays are inputs of the program.
      arguments: arrays, or their shapes and kinds.
      dtype: the precision of the arrays in the program; None: their own.
      params: of the game, handed over by name; the program takes them behind the arguments.
    """
    arrays, without_arrays = eqx.partition(function, _is_array)
    shapes = jax.tree.map(lambda leaf: kind_of(leaf, dtype), arrays)
    named_shapes: dict[str, Any] = {name: kind_of(value, dtype) for name, value in (params or {}).items()}

    def call(own: Any, *inputs: Any) -> Any:
        named = dict(zip(named_shapes, inputs[len(arguments) :], strict=True))
        return eqx.combine(own, without_arrays)(*inputs[: len(arguments)], **named)

    closed, structure = _traced(call, shapes, *arguments, *named_shapes.values())
    # of the mean field, which has the game's precision; a schedule has a whole number alone
    kind = jnp.dtype(arguments[-1].dtype)
    floating = kind if jnp.issubdtype(kind, jnp.floating) else None
    lift, equations, count = _Lift(floating), [], len(jax.tree.leaves(shapes))
    outputs, inputs = lift.block(closed, {}, equations), closed.jaxpr.invars
    lifted = [variable for variable, _ in (*lift.constants, *lift.numbers)]
    jaxpr = _rebuilt(closed.jaxpr, [*inputs[:count], *lifted, *inputs[count:]], outputs, equations)
    program = _shared(Program((key_of(jaxpr), len(lift.constants), structure), jaxpr, structure))
    # without numbers the empty array needs a kind, too
    numbers = _copied(np.array([value for _, value in lift.numbers], floating or np.float32))
    return TracedFunction(jax.tree.map(_copied, arrays), tuple(_copied(x) for _, x in lift.constants), numbers, program)


def keyed(
    function: Callable, *arguments: Any, takes_lanes: bool = False, params: Mapping[str, Any] | None = None
) -> KeyedFunction | None:
    """Return a function with the key of its program at arguments of some shapes; None if it reads traced numbers."""
    closed, structure = _traced_call(function, *arguments, params=params)
    if any(isinstance(constant, Tracer) for constant in closed.consts):
        return None
    return KeyedFunction(function, _shared(Program((key_of(closed), structure))), takes_lanes)


def unshared(function: Callable) -> KeyedFunction:
    """Return a function that is always compiled anew, because what it reads is not known."""
    return KeyedFunction(function, Program(Same(object())), False)


def key_of_call(function: Callable, *arguments: Any) -> Program:
    """Return the key of a function's program at trees of arrays or shapes, with everything the function reads."""
    return _shared(Program(key_of(_traced_call(function, *arguments))))


def _traced_call(function: Callable, *arguments: Any, params: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
    """Return the jaxpr of a call, and the structure of its result; all arrays of function and arguments are inputs."""
    arrays, without_arrays = eqx.partition(
        (function, arguments, params or {}), lambda leaf: _is_array(leaf) or isinstance(leaf, _Shape)
    )

    def call(arrays: Any) -> Any:
        function, called_with, named = eqx.combine(arrays, without_arrays)
        return function(*called_with, **named)

    return _traced(call, jax.tree.map(lambda leaf: kind_of(leaf, None), arrays))


def as_it_is_now(function: _Public) -> _Public:
    """Return a public function that compiles anew for responses, solvers and learners of the user's own classes.

    What their methods read is not known, and compiled code would keep the numbers of the first call. The function
    runs in the library's modes.
    """

    @in_own_modes
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        received = (*arguments, *named.values())
        if not any(isinstance(argument, eqx.Module) and _is_foreign(argument) for argument in received):
            return function(*arguments, **named)
        with _context(next(_contexts)):
            return function(*arguments, **named)

    return cast(_Public, call)


def _is_foreign(argument: Any) -> bool:
    # functions of users are traced, or have a key
    return not callable(argument) and not type(argument).__module__.startswith("mfgjax.")


def users_function(standing_in: Any, users: Any) -> Any:
    """Return the user's function behind a stand-in, with the arrays of the stand-in."""
    if isinstance(standing_in, TracedFunction):
        return eqx.combine(standing_in.own, eqx.partition(users, _is_array)[1])
    return (
        users_function(getattr(standing_in, standing_in.shown), users)
        if isinstance(standing_in, AbstractStandIn)
        else standing_in
    )


def users_programs(tree: Any) -> list[TracedFunction | KeyedFunction]:
    """Return the traced functions in a tree."""
    kinds = (TracedFunction, KeyedFunction)
    return [x for x in jax.tree.leaves(tree, is_leaf=lambda x: isinstance(x, kinds)) if isinstance(x, kinds)]


def calls_python(tree: Any) -> bool:
    """Tell whether a traced function in a tree calls Python while it runs, as by `jax.pure_callback`."""
    programs = (function.program for function in users_programs(tree) if isinstance(function, TracedFunction))
    return any(next(calls_of_python(program.jaxpr), None) is not None for program in programs)


def named_path(tree: Any, keys: Sequence[Any]) -> list[Any] | None:
    """Return the path of a leaf as a user knows it; None for a leaf that only a traced function has."""
    names = []
    for key in keys:
        if not isinstance(tree, AbstractStandIn):
            names.append(key)
        elif key.name != tree.shown:
            return None
        tree = _child(tree, key)
    return names


def owner_of(tree: Any, keys: Sequence[Any]) -> Any:
    """Return the module of a tree that holds a leaf as its field: for an array of the user's, the user's own."""
    owner = tree
    for key in keys:
        owner, tree = tree if isinstance(tree, eqx.Module) else owner, _child(tree, key)
    return owner


def _child(tree: Any, key: Any) -> Any:
    if hasattr(key, "name"):
        return getattr(tree, key.name)
    if isinstance(key, jax.tree_util.FlattenedIndexKey):  # of a tree whose kind names no children, as a `Partial`
        return jax.tree.leaves(tree, is_leaf=lambda part: part is not tree)[key.key]
    return tree[key.idx] if hasattr(key, "idx") else tree[key.key]


def _is_array(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, np.ndarray)


def _typed(x: Any, kind: Any) -> Any:
    # random keys cannot be cast
    return x if jnp.issubdtype(kind.dtype, jax.dtypes.extended) else jnp.asarray(x, kind.dtype)


def _copied(x: Any) -> Any:
    """Return an array of JAX that shares no memory with the user's array, and whose type is not weak."""
    if isinstance(x, jax.Array):
        return jax.lax.convert_element_type(x, x.dtype) if getattr(x, "weak_type", False) else x
    with jax.ensure_compile_time_eval():  # known inside `jit`, too
        # on a CPU JAX may share the memory of a NumPy array, which its owner may change
        return jnp.array(x, copy=True)


def _traced(function: Callable, *arguments: Any) -> tuple[Any, Any]:
    """Return the jaxpr of a function, as it is now, and the structure of what it returns."""
    # a new lambda, as JAX keeps what it traced by identity; and a new context, as it keeps inner functions, too: also
    # its own (`jnp.piecewise`), which may call functions of the user
    with _context(next(_contexts)):
        closed, result = jax.make_jaxpr(lambda *inputs: function(*inputs), return_shape=True)(*arguments)
    return closed, jax.tree.structure(result)


class _Lift:
    """Rewrite a program: its constants and floating literals become inputs, and plain inner jits are inlined.

    Literals in the bodies of loops and branches stay: they are part of the key, so that another value compiles anew.
    """

    def __init__(self, floating: Any):
        self.floating = floating
        self.constants: list[tuple[Any, Any]] = []
        self.numbers: list[tuple[Any, Any]] = []

    def atom(self, atom: Any, known: dict, equation: Any = None) -> Any:
        if not isinstance(atom, jex.Literal):
            return known.get(atom, atom)
        # XLA knows what to do with x ** 2.0
        is_power = equation is not None and equation.primitive.name == "pow"
        if kind_of(atom.aval, None).dtype != self.floating or np.ndim(atom.val) or is_power:
            return atom
        self.numbers.append((jex.Var(atom.aval.update(weak_type=False)), atom.val))
        return self.numbers[-1][0]

    def constant(self, variable: Any, value: Any) -> Any:
        self.constants.append((jex.Var(variable.aval.update(weak_type=False)), value))
        return self.constants[-1][0]

    def block(self, closed: Any, known: dict, equations: list) -> list[Any]:
        """Append the equations of a program, rewritten, and return its outputs."""
        for variable, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
            known[variable] = self.constant(variable, value)
        for equation in closed.jaxpr.eqns:
            inputs = [self.atom(atom, known, equation) for atom in equation.invars]
            if equation.primitive is primitives.jit_p and not equation.effects:
                inner = equation.params["jaxpr"]
                outputs = self.block(inner, dict(zip(inner.jaxpr.invars, inputs, strict=True)), equations)
            else:
                # new variables, as an inner program may be inlined twice
                outputs = [v if isinstance(v, jex.DropVar) else jex.Var(v.aval) for v in equation.outvars]
                equations.append(equation.replace(invars=inputs, outvars=outputs))
            known.update(zip(equation.outvars, outputs, strict=True))
        return [self.atom(atom, known) for atom in closed.jaxpr.outvars]


def _rebuilt(jaxpr: Any, inputs: list, outputs: list, equations: list) -> Any:
    info = jaxpr.debug_info._replace(arg_names=None, result_paths=None)
    return jex.Jaxpr([], inputs, outputs, equations, jaxpr.effects, info)
