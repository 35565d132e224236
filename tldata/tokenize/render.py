"""Render chat templates exactly as transformers does, in its sandbox, with a limit on time and size."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any

from tldata.errors import TemplateError, UsageError
from tldata.limits import Watchdog
from tldata.tokenize.causal import BEGIN, LOOK, WATCHED, Watched, instrument

MAX_OUTPUT = 256_000_000  # characters: a template that prints more is broken or hostile
MAX_PRODUCT = 10_000_000  # length of what "*" may build in one step
KEPT = 8192  # declarations whose JSON is remembered
SECONDS = 30.0  # for one rendering; real templates need milliseconds

LOOP_NAMES = frozenset({"first", "last", "index", "index0", "previtem", "nextitem", "length"})  # properties of ``loop``

Message = dict[str, Any]


class Refused(Exception):
    """The template does not take these messages; the text says why. The trajectory becomes a reject."""


class ChatTemplate:
    """A compiled chat template.

    Args:
        source: Jinja text.
        name: what to call it in messages.
        variables: what the template sees beside messages and tools: ``bos_token``, ``eos_token`` and the like.
        seconds: limit on one rendering.
        moment: the time that the template sees; default now.

    Raises:
        TemplateError: the text is no Jinja template.
        UsageError: jinja2 is not installed.

    >>> ChatTemplate("{% for m in messages %}{{ m.role }}: {{ m.content }};{% endfor %}").render([{"role": "user", "content": "a"}])
    'user: a;'
    """

    def __init__(
        self,
        source: str,
        *,
        name: str = "template",
        variables: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
        moment: datetime | None = None,
    ) -> None:
        jinja2 = _jinja()
        self.source = source
        self.name = name
        self.variables = dict(variables or {})
        self._watchdog = Watchdog(seconds)
        self._lasting: dict[int, dict[Any, str]] = {}
        self._lists: set[int] = set()
        self._kept: list[Any] = []
        self.moment = moment or datetime.now()  # one for all renderings of a run, or they could not be compared
        environment = _environment(self._to_json, lambda: self.moment)
        try:
            self._template = environment.from_string(source)
            tree = environment.parse(source)
            self.traceable = instrument(tree)
            if self.traceable:
                self._traced = jinja2.Template.from_code(
                    environment, environment.compile(tree), dict(environment.globals)
                )
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(
                f"{name}: not a chat template: line {error.lineno}: {error.message}", hint="a Jinja file, or a name"
            ) from None
        except RecursionError:
            raise TemplateError(f"{name}: not a chat template: nested too deeply") from None

    def keep(self, tools: Sequence[Any]) -> None:
        """Remember the JSON of these declarations: they are rendered many times, and never change."""
        if id(tools) in self._lists:
            return
        if len(self._kept) > KEPT:
            self._lasting.clear()
            self._lists.clear()
            self._kept.clear()
        self._lists.add(id(tools))
        self._kept.append(tools)  # or its id could be given to another object
        for tool in tools:
            function = tool.get("function")
            parts = [tool, function, function.get("parameters") if isinstance(function, dict) else None]
            for part in parts:
                if isinstance(part, dict) and id(part) not in self._lasting:
                    self._lasting[id(part)] = {}
                    self._kept.append(part)

    def render(self, messages: Sequence[Message], tools: Sequence[Any] | None = None, *, prompt: bool = False) -> str:
        """The text of a conversation.

        Args:
            messages: OpenAI messages.
            tools: OpenAI tool declarations.
            prompt: end with the generation prompt.

        Raises:
            Refused: the template raises an error on these messages.
            TemplateError: it exceeds the limits, or does what the sandbox forbids.
        """
        return "".join(self._run(self._template, messages, tools, prompt))

    def trace(
        self, messages: list[Message], tools: Sequence[Any] | None = None
    ) -> tuple[str, dict[int, int], dict[int, int]]:
        """The text of a conversation, and where in it the renderings of its beginnings end; for ``traceable`` templates.

        Returns:
            text, ends, bounds: ``render(messages[: k + 1]) == text[: ends[k]]`` for every k in ``ends`` (those that the one
            rendering proves, see causal.py), and is at least ``text[: bounds[k]]`` for every k.
        """
        watched = Watched(messages)
        pieces = self._run(self._traced, watched, tools, False, watched)
        lengths = [0, *accumulate(map(len, pieces))]
        ends = {k: lengths[n] for k, n in watched.ends.items()}
        ends[len(messages) - 1] = lengths[-1]
        return "".join(pieces), ends, {k: lengths[n] for k, n in watched.bounds.items()}

    def _run(
        self,
        template: Any,
        messages: Sequence[Message],
        tools: Sequence[Any] | None,
        prompt: bool,
        watched: Watched | None = None,
    ) -> list[str]:
        jinja2 = _jinja()
        pieces: list[str] = [] if watched is None else watched.pieces
        size = 0
        context = template.new_context(
            {
                "messages": messages,
                "tools": tools,
                "documents": None,
                "add_generation_prompt": prompt,
                WATCHED: watched,
                **self.variables,
            }
        )
        try:
            with self._watchdog:
                for piece in template.root_render_func(context):
                    pieces.append(piece)
                    size += len(piece)
                    if size > MAX_OUTPUT:
                        raise TemplateError(f"{self.name}: prints more than {MAX_OUTPUT:,} characters")
        except TimeoutError:
            raise TemplateError(
                f"{self.name}: one rendering took more than {self._watchdog.seconds:g} seconds and was stopped",
                hint="another template: this one loops",
            ) from None
        except jinja2.exceptions.SecurityError as error:
            raise TemplateError(f"{self.name}: does what the sandbox forbids: {error}") from None
        except (MemoryError, OverflowError) as error:
            raise TemplateError(f"{self.name}: asks for too much: {error}") from None
        except jinja2.TemplateError as error:
            raise Refused(str(error.message or error)) from None
        except RecursionError:
            raise Refused("the template recurses without end") from None
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError) as error:
            raise Refused(f"{type(error).__name__}: {error}") from None
        return pieces

    def _to_json(
        self,
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        known = self._lasting.get(id(value))
        if known is None:
            return json.dumps(
                value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
            )
        key = (ensure_ascii, indent, tuple(separators) if separators else None, sort_keys)
        if key not in known:
            known[key] = json.dumps(
                value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
            )
        return known[key]


def _look(value: Any, watched: Watched) -> Any:
    """The filter that tells of a look ahead; the value is passed through."""
    watched.look()
    return value


def _jinja() -> Any:
    try:
        import jinja2
        import jinja2.sandbox
    except ImportError:
        raise UsageError("tokenize needs jinja2", hint="pip install 'tldata[tokenize]'") from None
    return jinja2


def _environment(to_json: Any, moment: Callable[[], datetime]) -> Any:
    """Jinja as transformers sets it up: trimmed blocks, loop controls, the generation tag, ``tojson`` without HTML escapes."""
    jinja2 = _jinja()
    from jinja2 import nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.runtime import LoopContext
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from jinja2.utils import Namespace

    class Generation(Extension):
        """``{% generation %}``: marks what the model wrote. The text inside is kept, the mark is not used (contracts.md)."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

        def _text(self, caller: Any) -> str:
            return str(caller())

    class Sandbox(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset(["*", "**"])
        own_names = frozenset(dir(dict))

        def getattr(self, obj: Any, attribute: str) -> Any:
            """What plain dicts and loops are asked all the time, without detours, with the same answer; all else as in Jinja."""
            if type(obj) is dict and attribute not in self.own_names:
                return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
            if type(obj) is LoopContext and attribute in LOOP_NAMES:
                return getattr(obj, attribute)
            return super().getattr(obj, attribute)

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            """Multiplication and powers are the two ways to ask for much memory in one step, which no clock can stop."""
            if operator == "**" and abs(right) > 64:
                raise OverflowError("a power above 64")
            if operator == "*":
                for one, other in ((left, right), (right, left)):
                    if (
                        isinstance(one, (str, list, tuple))
                        and isinstance(other, int)
                        and len(one) * other > MAX_PRODUCT
                    ):
                        raise OverflowError(f"a product longer than {MAX_PRODUCT:,}")
            return super().call_binop(context, operator, left, right)

    class TemplateNamespace(Namespace):
        """Without names that begin with an underscore, as transformers has it."""

        def __init__(*args: Any, **kwargs: Any) -> None:  # ``self`` may be one of the template's own names
            given = dict(*args[1:], **kwargs)
            for name in given:
                _check_name(name)
            Namespace.__init__(args[0], given)

        def __setitem__(self, name: str, value: Any) -> None:
            _check_name(name)
            super().__setitem__(name, value)

    class Dict:
        def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
            return dict(*args, **kwargs)

        def fromkeys(self, *args: Any) -> dict[Any, Any]:
            return dict.fromkeys(*args)

    def _check_name(name: Any) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a namespace takes no name that begins with an underscore: {name!r}")

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    def strftime_now(format: str) -> str:
        return moment().strftime(format)

    environment = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    environment.filters["tojson"] = to_json
    environment.filters[BEGIN] = Watched.begin
    environment.filters[LOOK] = _look
    environment.globals.update(
        raise_exception=raise_exception, strftime_now=strftime_now, dict=Dict(), namespace=TemplateNamespace
    )
    return environment
