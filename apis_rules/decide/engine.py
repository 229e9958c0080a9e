"""The one place that touches durable-rules: definitions in, indexes of the conditions that hold out.

Its C functions are called directly, without its ``Host``: no callbacks, threads, timers or sessions. One fact is alive
at a time and is retracted before the next. A matcher belongs to one thread.
"""

from __future__ import annotations

import locale
from typing import TYPE_CHECKING, Any, Final, Self

from apis_rules.decide.definition import PRIME, PRIME_FACT, Chunk
from apis_rules.errors import ApisRulesError, Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apis_rules.decide.codegen import Row

_NOTHING_MATCHED: Final = 1
_RETRACT: Final = '{"id":"x"}'


class EngineFailure(ApisRulesError):
    """durable-rules did not do what it was asked."""


def load_engine() -> Any:
    """Import the C module of durable-rules.

    Raises:
        Unsupported: it is not installed, was built for another Python, or would read numbers wrongly here.
    """
    try:
        import durable_rules_engine as engine
    except ImportError as error:
        raise Unsupported(
            f"durable-rules cannot be imported ({error}); it is built when it is installed, which takes a C compiler "
            "and Python's headers, and from Python 3.13 on: CPPFLAGS=-DPyEval_CallObject=PyObject_CallObject "
            "pip install --no-cache-dir --force-reinstall durable-rules==2.0.28"
        ) from error
    if locale.localeconv()["decimal_point"] != ".":
        raise Unsupported("durable-rules reads 3.5 as 3 under this locale; set LC_NUMERIC=C")
    return engine


class Matcher:
    """Chunks of conditions inside the engine.

    Raises:
        Unsupported: the engine cannot be used on this machine.
        EngineFailure: it refused a definition, or failed its self-test.
    """

    def __init__(self, name: str, chunks: Sequence[Chunk]) -> None:
        self._engine = load_engine()
        self._open: list[tuple[int, Any, dict[str, int]]] = []
        try:
            for number, chunk in enumerate(chunks):
                self._add(f"{name}.{number}", chunk)
        except BaseException:
            self.close()
            raise

    def _add(self, name: str, chunk: Chunk) -> None:
        try:
            handle = self._engine.create_ruleset(name, chunk.text)
        except Exception as error:  # the module raises its own kinds, unnamed in Python
            raise EngineFailure(f"durable-rules refused {name}: {error}") from error
        self._open.append((handle, chunk.fact_writer(), chunk.indexes))
        # A state that never ran an action cannot be freed without a crash: run one now, which tests the chunk as well.
        if self._names(handle, PRIME_FACT) != [PRIME]:
            raise EngineFailure(f"durable-rules failed the self-test of {name}")

    def match(self, row: Row) -> list[int]:
        """Return the indexes of the conditions that hold, ascending.

        Raises:
            EngineFailure: the engine answered with an error; its answer is unknown.
        """
        hits: set[int] = set()
        for handle, write, indexes in self._open:
            hits.update([indexes[name] for name in self._names(handle, write(row))])
        return sorted(hits)

    def _names(self, handle: int, fact: str) -> list[str]:
        engine = self._engine
        names: list[str] = []
        try:
            code, state = engine.assert_fact(handle, fact)
            if code == 0:
                action = engine.start_action_for_state(handle, state)
                text = action and action[1]
                while text:
                    # {"r3_0":{"m":{...}}}: the name is all that is wanted, and it never holds a quote.
                    names.append(text[2 : text.index('"', 2)])
                    text = engine.complete_and_start_action(handle, state)
        except Exception as error:  # as above
            raise EngineFailure(f"durable-rules failed: {error}") from error
        finally:
            # Also after an error: the fact may be held in part, and would stand beside the next one.
            engine.retract_fact(handle, _RETRACT)
        if code not in (0, _NOTHING_MATCHED):
            raise EngineFailure(f"durable-rules answered with code {code}")
        return names

    def close(self) -> None:
        """Free the engine's memory. The matcher cannot be used any more; closing again does nothing."""
        while self._open:
            handle, _, _ = self._open.pop()
            self._engine.delete_state(handle, None)
            self._engine.delete_ruleset(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
