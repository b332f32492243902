"""Steps that use a template, written out: what comes after this sees only steps.

Every node keeps the place where it was written, so a problem in a template is told with the template's file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from trimtab.config.flaws import Flaw, Unreadable
from trimtab.config.nodes import EMPTY, ListNode, MappingNode, Node, Place, ScalarNode
from trimtab.config.own_templates import NAMES, PREFIX, own_template
from trimtab.config.parameters import Filling
from trimtab.config.sources import Source, source_of
from trimtab.config.syntax import MAX_NODES, read
from trimtab.config.templates import Files, NotRead, StepTemplate
from trimtab.config.validation import nearest, validate
from trimtab.core.model.template import TemplateAt, template_digest

DEEPEST = 5
"""So many templates may use each other."""
MOST_TEMPLATES = 50
"""In one file."""
_MERGED = ("env", "reports", "limits", "sandbox", "services")
"""Settings of which a step that uses a template gives only those entries that are to be others."""


@dataclass
class Expansion:
    """`flaws`: what stood in the way; `gates`: which of Trimtab's own gates a step runs, by the step's name."""

    files: Files
    flaws: list[Flaw] = field(default_factory=list)
    gates: dict[str, str] = field(default_factory=dict)
    _read: dict[TemplateAt, MappingNode | None] = field(default_factory=dict)

    def expand(self, root: MappingNode) -> MappingNode:
        """The file with all of its steps written out."""
        pipeline = root.values.get("pipeline")
        if not isinstance(pipeline, MappingNode):
            return root
        steps = {name: self._step(name, step) for name, step in pipeline.values.items()}
        written_out = _with_values(pipeline, steps)
        return _with_values(root, {**root.values, "pipeline": written_out})

    def _step(self, name: str, step: Node) -> Node:
        if not isinstance(step, MappingNode) or not {"uses", "with"} & step.values.keys():
            return step
        if "uses" not in step.values:
            message, hint = "`with` says something to a template, and there is no `uses`", "name the template"
            self.flaws.append(Flaw(step.keys["with"], "template-parameter", message, hint))
            return _without(step, "with")
        return self._used(name, step, None, 1)

    def _used(self, name: str, step: MappingNode, inside: Source | None, depth: int) -> MappingNode:
        """The step that `step` means. `inside`: the template in which it stands."""
        place = step.values["uses"].place
        own = _without(step, "uses", "with")
        if depth > DEEPEST:
            message = f"more than {DEEPEST} templates use each other, or one uses itself"
            self.flaws.append(Flaw(place, "template-depth", message, "write the step out"))
            return _placeholder(own)
        source = source_of(step.values["uses"], inside, self.flaws)
        root = self._template(source, place) if source is not None else None
        template, filled = self._filled(root, step) if root is not None else (None, None)
        if template is None or filled is None:
            return _placeholder(own)
        if source is not None and source.own:
            self.gates[name] = source.own
        if "uses" in filled.values:
            filled = self._used(name, filled, source, depth + 1)
        step = _merged(filled, own)
        if step.size > MAX_NODES:
            message = f"the step has more than {MAX_NODES:,} values once its templates are written out"
            self.flaws.append(Flaw(place, "config-too-large", message, "say less"))
            return _placeholder(own)
        return step

    # --- the file ---

    def _template(self, source: Source, place: Place) -> MappingNode | None:
        """The template's file. It is read once, however many steps use it."""
        if source.at not in self._read:
            if len(self._read) >= MOST_TEMPLATES:
                message = f"the file uses more than {MOST_TEMPLATES} templates"
                self.flaws.append(Flaw(place, "template-depth", message, "write some of the steps out"))
                return None
            self._read[source.at] = self._parsed(source, place)
        return self._read[source.at]

    def _parsed(self, source: Source, place: Place) -> MappingNode | None:
        content = self._content(source, place)
        if content is None:
            return None
        name = source.at.path if not source.own else f"{PREFIX}{source.own}"
        file = f"{name} of {source.at.repository}" if source.at.repository else name
        try:
            root, flaws = read(content.decode())
        except Unreadable as error:
            self.flaws.append(_in_file(error.flaw, file))
            return None
        except UnicodeDecodeError:
            self.flaws.append(Flaw(Place(1, 1, file), "config-syntax", "the file is not UTF-8", "save it as UTF-8"))
            return None
        self.flaws += (_in_file(flaw, file) for flaw in flaws)
        labelled = _labelled(root, file)
        assert isinstance(labelled, MappingNode)
        return labelled

    def _content(self, source: Source, place: Place) -> bytes | None:
        if source.own:
            if source.own in NAMES:
                return own_template(source.own)
            hint = nearest(source.own, NAMES)
            self.flaws.append(Flaw(place, "template-missing", f"Trimtab has no template `{source.own}`", hint))
            return None
        try:
            content = self.files(source.at)
        except NotRead:
            content, seen = None, False
        else:
            seen = True
        if source.at.repository and not source.at.digest:
            self.flaws.append(_unpinned(source, place, content))
            return None
        if seen and content is None:
            message = f"there is no file `{source.at}`"
            self.flaws.append(Flaw(place, "template-missing", message, "write the path from the repository's root"))
        elif content is not None and source.at.digest and template_digest(content) != source.at.digest:
            message = f"`{source.at}` is another file than the one that is pinned: {template_digest(content)}"
            hint = "look at what has changed before you pin it, or name the commit with `ref`"
            self.flaws.append(Flaw(place, "template-digest", message, hint))
            return None
        return content

    # --- its step ---

    def _filled(self, root: MappingNode, step: MappingNode) -> tuple[StepTemplate | None, MappingNode | None]:
        template, flaws = validate(root, StepTemplate)
        self.flaws += flaws
        body = root.values.get("step")
        if template is None or not isinstance(body, MappingNode):
            return None, None
        given = step.values.get("with")
        if given is not None and not isinstance(given, MappingNode):
            message = "`with` must be a mapping of parameters to what they are"
            self.flaws.append(Flaw(given.place, "template-parameter", message, "write `with: {name: value}`"))
            return None, None
        values = self._values(template, root, given, step)
        filling = Filling(values)
        filled = filling.fill(body)
        self.flaws += filling.flaws
        for name in template.parameters.keys() - filling.used:
            message = f"the parameter `{name}` has no place in the step"
            place = _parameter(root, name)
            self.flaws.append(Flaw(place, "template-parameter", message, "use it, or take it out"))
        assert isinstance(filled, MappingNode)
        return template, filled

    def _values(
        self, template: StepTemplate, root: MappingNode, given: MappingNode | None, step: MappingNode
    ) -> Mapping[str, Node]:
        """Each parameter as it was given, or as it is when nothing is said."""
        said = given.values if given is not None else {}
        for name in said.keys() - template.parameters.keys():
            assert given is not None
            hint = nearest(name, template.parameters)
            message = f"`{name}` is no parameter of the template"
            self.flaws.append(Flaw(given.keys[name], "template-parameter", message, hint or "it has none"))
        values: dict[str, Node] = {}
        place = step.keys["with"] if given is not None else step.keys["uses"]
        for name, parameter in template.parameters.items():
            default = _default(root, name)
            if name in said:
                values[name] = said[name]
            elif default is not None:
                values[name] = default
            else:
                values[name] = ScalarNode(place, "", "")
                if parameter.required:
                    about = f": {parameter.description}" if parameter.description else ""
                    message, hint = f"`{name}` must be said{about}", f"add `with: {{{name}: ...}}`"
                    self.flaws.append(Flaw(place, "template-parameter", message, hint))
                else:
                    message, hint = f"the parameter `{name}` has no `default`", "give it one, or `required: true`"
                    self.flaws.append(Flaw(_parameter(root, name), "template-parameter", message, hint))
        return values


def _unpinned(source: Source, place: Place, content: bytes | None) -> Flaw:
    message = f"`{source.at}` is not pinned, and could be another file tomorrow"
    hint = (
        f"add `digest: {template_digest(content)}`" if content is not None else "add `digest: sha256:...` (`sha256sum`)"
    )
    return Flaw(place, "template-unpinned", message, hint)


def _parameter(root: MappingNode, name: str) -> Place:
    parameters = root.values["parameters"]
    assert isinstance(parameters, MappingNode)
    return parameters.keys[name]


def _default(root: MappingNode, name: str) -> Node | None:
    parameters = root.values["parameters"]
    assert isinstance(parameters, MappingNode)
    parameter = parameters.values[name]
    default = parameter.values.get("default") if isinstance(parameter, MappingNode) else None
    return None if isinstance(default, ScalarNode) and default.value is EMPTY else default


def _merged(template: MappingNode, own: MappingNode) -> MappingNode:
    """What the step says itself goes before what its template says."""
    values, keys = {**template.values}, {**template.keys, **own.keys}
    for name, value in own.values.items():
        below = values.get(name)
        both = isinstance(below, MappingNode) and isinstance(value, MappingNode)
        values[name] = _over(below, value) if both and name in _MERGED else value  # type: ignore[arg-type]
    return MappingNode(own.place, values, keys, 1 + sum(child.size for child in values.values()))


def _over(below: MappingNode, above: MappingNode) -> MappingNode:
    values = {**below.values, **above.values}
    size = 1 + sum(child.size for child in values.values())
    return MappingNode(above.place, values, {**below.keys, **above.keys}, size)


def _placeholder(step: MappingNode) -> MappingNode:
    """A step in the place of one whose template is not known: so everything else in it can be checked."""
    run = {} if "run" in step.values else {"run": ScalarNode(step.place, "true", "true")}
    return MappingNode(
        step.place, {**run, **step.values}, {**dict.fromkeys(run, step.place), **step.keys}, step.size + 1
    )


def _without(step: MappingNode, *names: str) -> MappingNode:
    values = {name: value for name, value in step.values.items() if name not in names}
    keys = {name: place for name, place in step.keys.items() if name not in names}
    return MappingNode(step.place, values, keys, 1 + sum(child.size for child in values.values()))


def _with_values(node: MappingNode, values: Mapping[str, Node]) -> MappingNode:
    return MappingNode(node.place, values, node.keys, 1 + sum(child.size for child in values.values()))


def _in_file(flaw: Flaw, file: str) -> Flaw:
    return replace(flaw, place=replace(flaw.place, file=file))


def _labelled(node: Node, file: str) -> Node:
    """The same with the file's name at each place."""
    place = replace(node.place, file=file)
    match node:
        case ScalarNode():
            return replace(node, place=place)
        case ListNode():
            return replace(node, place=place, items=tuple(_labelled(item, file) for item in node.items))
        case MappingNode():
            values = {key: _labelled(child, file) for key, child in node.values.items()}
            keys = {key: replace(each, file=file) for key, each in node.keys.items()}
            return MappingNode(place, values, keys, node.size)


def expanded(root: MappingNode, files: Files) -> tuple[MappingNode, Iterable[Flaw], Mapping[str, str]]:
    """The file with its steps written out, what stood in the way, and the gates that steps run."""
    expansion = Expansion(files)
    written_out = expansion.expand(root)
    return written_out, expansion.flaws, expansion.gates
