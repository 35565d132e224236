"""Prove from one rendering where the renderings of its beginnings end: what was written before the template looked further."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

# Names inside an instrumented template: of our two filters, and of the variable with the messages that they report to. (Filters
# are called directly; the sandbox looks at every function before it calls it.)
BEGIN, LOOK, WATCHED = "tldata_begin", "tldata_look", "tldata_watched"
AHEAD = frozenset({"last", "nextitem", "length", "revindex", "revindex0"})  # of ``loop``: depend on what comes later


class Watched(Sequence[Any]):
    """Messages that notice how far a template has looked, and where in the text it has turned to the next message.

    A template whose last act is its loop over the messages, run on the first k messages only, writes what it wrote here
    before it first looked at message k, provided that it then did nothing but turn to message k. Both are observed:
    ``ends[k - 1]`` is the number of pieces written at that moment, ``bounds[k - 1]`` the number written at the first look
    in any way. Asking for the length, counting from the end and the like look at everything.
    """

    __slots__ = ("_first", "_items", "_root", "_turned_at", "_turned_to", "bounds", "ends", "furthest", "pieces")

    def __init__(self, items: list[Any], first: int = 0, root: Watched | None = None) -> None:
        self._items = items
        self._first = first  # position of items[0] in the whole conversation
        self._root = root or self
        if root is None:
            self.furthest = -1
            self.pieces: list[str] = []  # written so far, by whom renders
            self._turned_at = 0  # how many pieces that were at the last turn
            self.bounds: dict[int, int] = {}
            self.ends: dict[int, int] = {}
            self._turned_to = (
                -1
            )  # the message just looked at for the first time by a loop; -1 as soon as anything else happens

    def begin(self) -> str:
        """The loop over the messages begins with its next message."""
        if self._turned_to > 0 and self._turned_at == len(self.pieces):
            self.ends[self._turned_to - 1] = self._turned_at
        self._turned_to = -1
        return ""

    def look(self) -> None:
        """The template has asked something of its ``loop`` that depends on later messages."""
        self._turned_to = -1

    def _see(self, index: int, *, by_loop: bool = False) -> None:
        root = self._root
        position = self._first + index
        root._turned_to = -1
        if position > root.furthest:
            written = len(root.pieces)
            if by_loop and position == root.furthest + 1:
                root._turned_to, root._turned_at = position, written
            for earlier in range(max(root.furthest, 0), position):
                root.bounds[earlier] = written
            root.furthest = position

    def _see_all(self) -> None:
        self._see(len(self._items))

    def __iter__(self) -> Iterator[Any]:
        for index, item in enumerate(self._items):
            self._see(index, by_loop=True)
            yield item
        self._see_all()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            if index.step in (None, 1) and index.stop is None and (index.start is None or index.start >= 0):
                start = index.start or 0
                return Watched(self._items[start:], self._first + start, self._root)
            self._see_all()
            return self._items[index]
        if isinstance(index, int) and 0 <= index < len(self._items):
            self._see(index)
        else:
            self._see_all()
        return self._items[index]

    def __len__(self) -> int:
        self._see_all()
        return len(self._items)

    def __bool__(self) -> bool:
        self._see(0)
        return bool(self._items)

    def __contains__(self, item: object) -> bool:
        self._see_all()
        return item in self._items

    def __eq__(self, other: object) -> bool:
        self._see_all()
        return self._items == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        self._see_all()
        return repr(self._items)


def instrument(tree: Any) -> bool:
    """Let a template report its turns to the next message and its looks ahead, if it ends with its loop over the messages.

    That is: nothing but blank text and one constant generation prompt, written if asked for, stands after the loop, and the
    prompt is asked for nowhere else. The rendering of the first k messages is then what the loop writes for them, with
    the generation prompt exactly that and the prompt.

    Args:
        tree: the template as ``jinja2.Environment.parse`` gives it; changed in place.

    Returns:
        False, and the tree unchanged, for any other template.
    """
    from jinja2 import nodes
    from jinja2.visitor import NodeTransformer

    loops = [i for i, node in enumerate(tree.body) if isinstance(node, nodes.For)]
    if (
        not loops
        or not _over_messages(tree.body[loops[-1]], tree)
        or not _ends_plainly(tree, tree.body[loops[-1] + 1 :])
    ):
        return False
    if any(tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block))):
        return False

    class Reports(NodeTransformer):
        def visit_Getattr(self, node: Any) -> Any:
            return self._seen(node, node.attr)

        def visit_Getitem(self, node: Any) -> Any:
            return self._seen(node, node.arg.value if isinstance(node.arg, nodes.Const) else None)

        def _seen(self, node: Any, attribute: Any) -> Any:
            self.generic_visit(node)
            if (
                isinstance(node.node, nodes.Name)
                and node.node.name == "loop"
                and (attribute is None or attribute in AHEAD)
            ):
                watched = nodes.Name(WATCHED, "load", lineno=node.lineno)
                return nodes.Filter(node, LOOK, [watched], [], None, None, lineno=node.lineno)
            return node

    loop = tree.body[loops[-1]]
    Reports().visit(tree)
    begin = nodes.Filter(nodes.Name(WATCHED, "load"), BEGIN, [], [], None, None)
    loop.body.insert(0, nodes.ExprStmt(begin))
    for node in loop.body[0].find_all(nodes.Node):
        node.set_lineno(loop.lineno)
    tree.set_environment(tree.environment)
    return True


def _over_messages(loop: Any, tree: Any) -> bool:
    """Whether a loop goes over ``messages`` itself or a name set from it, and over nothing else."""
    from jinja2 import nodes

    if not isinstance(loop.iter, nodes.Name) or loop.recursive or loop.test is not None or loop.else_:
        return False
    if loop.iter.name == "messages":
        return True
    sources = [
        node.node
        for node in tree.find_all(nodes.Assign)
        if isinstance(node.target, nodes.Name) and node.target.name == loop.iter.name
    ]
    return bool(sources) and all(
        {name.name for name in [s, *s.find_all(nodes.Name)] if isinstance(name, nodes.Name)}
        <= {"messages", loop.iter.name}
        for s in sources
    )


def _ends_plainly(tree: Any, tail: list[Any]) -> bool:
    from jinja2 import nodes

    asked = [node for node in tree.find_all(nodes.Name) if node.name == "add_generation_prompt"]
    changing = {"messages", *(node.name for node in tree.find_all(nodes.Name) if node.ctx != "load")}
    for node in tail:
        if isinstance(node, nodes.Output) and all(
            isinstance(part, nodes.TemplateData) and not part.data.strip() for part in node.nodes
        ):
            continue
        if not (
            isinstance(node, nodes.If)
            and len(asked) == 1
            and node.test is asked[0]
            and not node.elif_
            and not node.else_
        ):
            return False
        for part in node.body:
            if any(part.find_all((nodes.Call, nodes.CallBlock, nodes.For))):
                return False
            if any(name.name in changing for name in part.find_all(nodes.Name)):
                return False
    return len(asked) <= 1 and all(any(node is a for n in tail for node in n.find_all(nodes.Name)) for a in asked)
