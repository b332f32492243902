"""Whether a prompt is one that can be rendered: syntax, variables, what it takes in, and that it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Template, TemplateError, TemplateNotFound, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError

from trimtab.core.errors import Problem
from trimtab.core.model.specification import PromptSpec
from trimtab.core.say import size
from trimtab.parts.files import PROMPT, Absent, Refused, read_text
from trimtab.sdk import environment, used

ENDLESS = "let it loop over what it is given, and not more"
ITSELF = "let no macro call itself, and no prompt take in itself"


class TooMuch(Exception):
    """The text has no end."""


class Value(str):
    """What stands in for a value that no example is given of: text, and whatever a template takes it for besides."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Value:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, _: Any) -> Value:
        return self

    def __call__(self, *_: Any, **__: Any) -> Value:
        return self

    def __iter__(self) -> Iterator[str]:
        return iter((self, self))


@dataclass
class Prompts:
    """All prompts of a release whose files are in `folder`. Nothing here is limited but the text that is rendered: who
    calls it is a process of its own."""

    folder: Path
    specs: Mapping[str, PromptSpec]
    most_output_bytes: int
    _texts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._environment = environment(self._source)

    def check(self, name: str) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
        """The prompt's variables, and what is wrong with it. Raises `Absent`."""
        spec = self.specs[name]
        try:
            text = self._text(name)
            tree = self._environment.parse(text, name)
            template = self._environment.get_template(name)
            uses = self._uses(name, {name})
        except Refused as refused:
            return (), (refused.problem,)
        except TemplateSyntaxError as error:
            return (), (_syntax(error, self._file(error.name, spec.file)),)
        except RecursionError:
            return (), (Problem("prompt-syntax", "it is nested too deeply", "make it simpler", spec.file),)
        declared = tuple(sorted(uses)) if spec.variables is None else spec.variables
        problems = tuple(_variables(spec, tree, uses, declared))
        return declared, problems or tuple(self._rendered(spec, template, declared))

    def _text(self, name: str) -> str:
        if name not in self._texts:
            path = self.specs[name].file
            text = read_text(self.folder, path, PROMPT)
            if "\r" in text:
                line = text.count("\n", 0, text.index("\r")) + 1
                hint = "save it with line ends of Unix: what is rendered is exactly what is in the file"
                problem = Problem("prompt-line-ends", "it has carriage returns (\\r)", hint, f"{path}:{line}")
                raise Refused(problem)
            self._texts[name] = text
        return self._texts[name]

    def _source(self, name: str) -> str | None:
        return self._text(name) if name in self.specs else None

    def _file(self, name: str | None, own: str) -> str:
        return self.specs[name].file if name is not None and name in self.specs else own

    def _uses(self, name: str, seen: set[str]) -> set[str]:
        """The variables that it uses itself or through what it takes in."""
        file = self.specs[name].file
        variables, taken = used(self._environment, self._environment.parse(self._text(name), name))
        for other in sorted(taken, key=str):
            if other is None:
                message = "it takes in a template whose name is known only when it is rendered"
                raise Refused(Problem("prompt-include", message, "write the name of a prompt", file))
            if other not in self.specs:
                hint = f"add it to `release.prompts`, where there are {', '.join(f'`{known}`' for known in self.specs)}"
                raise Refused(Problem("prompt-include", f"it takes in `{other}`, which is no prompt", hint, file))
            if other not in seen:
                seen.add(other)
                try:
                    variables |= self._uses(other, seen)
                except Absent:
                    message = f"it takes in `{other}`, whose file is not there"
                    raise Refused(Problem("prompt-include", message, f"add {self.specs[other].file}", file)) from None
        return variables

    def _rendered(self, spec: PromptSpec, template: Template, variables: tuple[str, ...]) -> Iterator[Problem]:
        values = {name: spec.example.get(name, Value(name)) for name in variables}
        made_up = set(variables) - spec.example.keys()
        try:
            self._render(template, values)
        except (TooMuch, MemoryError, RecursionError, OverflowError) as error:
            hint = ITSELF if isinstance(error, RecursionError) else ENDLESS
            yield Problem("prompt-endless", f"rendering it {_why(error, self.most_output_bytes)}", hint, spec.file)
        except (SecurityError, TemplateNotFound) as error:
            yield Problem("prompt-render", f"it cannot be rendered: {error}", "take that out", spec.file)
        except TemplateSyntaxError as error:
            yield _syntax(error, self._file(error.name, spec.file))
        except Exception as error:
            # What is made up may be of another kind than what the application gives: that is no fault.
            if not made_up:
                message = f"with its example it cannot be rendered: {type(error).__name__}: {error}"
                hint = "correct the template, or its `example`"
                yield Problem(
                    "prompt-render", message, hint, f"{spec.file}:{_line(error)}" if _line(error) else spec.file
                )

    def _render(self, template: Template, values: Mapping[str, Any]) -> None:
        total = 0
        for piece in template.generate(values):
            total += len(piece)
            if total > self.most_output_bytes:
                raise TooMuch


def _why(error: BaseException, most_output_bytes: int) -> str:
    match error:
        case TooMuch():
            return f"gives more than {size(most_output_bytes)}"
        case RecursionError():
            return "never ends: it calls itself"
        case OverflowError():
            return f"takes too long: {error}"
        case _:
            return "takes more memory than it may have"


def _variables(spec: PromptSpec, tree: nodes.Template, uses: set[str], declared: tuple[str, ...]) -> Iterator[Problem]:
    for name in sorted(uses - set(declared)):
        hint = f"add it to the prompt's `variables`, or set it in the template: {{% set {name} = ... %}}"
        place = f"{spec.file}:{_line_of(tree, name)}" if _line_of(tree, name) else spec.file
        yield Problem("prompt-variable-undeclared", f"it uses `{name}`, which is not one of its variables", hint, place)
    for name in declared:
        if name not in uses:
            hint = "take it out of the prompt's `variables`, or use it"
            yield Problem("prompt-variable-unused", f"it never uses its variable `{name}`", hint, spec.file)
    for name in sorted(spec.example.keys() - set(declared)):
        hint = f"its variables: {', '.join(f'`{known}`' for known in sorted(declared)) or 'none'}"
        message = f"its `example` has `{name}`, which is not one of its variables"
        yield Problem("prompt-example", message, hint, spec.file)


def _line_of(tree: nodes.Template, name: str) -> int:
    return next((node.lineno for node in tree.find_all(nodes.Name) if node.name == name and node.ctx == "load"), 0)


def _line(error: BaseException) -> int:
    """The line of the template that an error while rendering comes from; 0: unknown."""
    trace, line = error.__traceback__, 0
    while trace is not None:
        if (
            trace.tb_frame.f_globals.get("__jinja_template__") is not None
            or trace.tb_frame.f_code.co_filename == "<template>"
        ):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _syntax(error: TemplateError, file: str) -> Problem:
    line = getattr(error, "lineno", 0)
    return Problem("prompt-syntax", str(error.message), "see the template language of Jinja2", f"{file}:{line}")
