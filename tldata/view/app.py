"""The viewer's pages: a list of trajectories, one trajectory, its tokens, and the form that corrects a verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import duckdb
import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tldata import schema
from tldata.errors import DatasetError, TldataError, UsageError
from tldata.scrub.warn import look, warning
from tldata.view.filters import ANY_ERROR, Filters
from tldata.view.library import Library, Opened, ReadingError
from tldata.view.security import Guard, new_token, read_form
from tldata.view.token_view import TokenViews, call_weights
from tldata.view.trajectory import find_call, marked, read_trajectory

HERE = Path(__file__).resolve().parent
PAGE_SIZE = 50
FACET_SHOWN = 12
LABELS = {
    "category": "category",
    "tool": "tool",
    "source": "source",
    "rule": "rule",
    "review": "review",
    "q": "text",
    "where": "SQL",
}


def make_app(dataset: str | Path, *, corrections: str | Path | None = None) -> Starlette:
    """The ASGI application over one dataset folder, which is read at once.

    Args:
        dataset: folder that annotate wrote.
        corrections: file for corrected verdicts; default ``<dataset>.corrections.parquet`` beside the folder.

    Raises:
        DatasetError: there is no dataset.
        InputError: the corrections file cannot be read.
    """
    path = Path(dataset)
    library = Library(path, None if corrections is None else Path(corrections))
    library.corrections.all()
    library.open()
    viewer = Viewer(library)
    viewer.warm()
    app = Starlette(
        routes=[
            Route("/", viewer.list_page),
            Route("/t", viewer.trajectory_page),
            Route("/correct", viewer.correct, methods=["POST"]),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(Guard)],
        exception_handlers={404: viewer.not_found, TldataError: viewer.problem},
    )
    app.state.viewer = viewer
    return app


class Viewer:
    """The pages over one library."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.tokens = TokenViews(library.path)
        self.token = new_token()
        self.templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.filters["number"] = lambda value: f"{value:,}"
        self.templates.filters["slug"] = lambda category: category if category in schema.CATEGORIES else "own"
        self.templates.globals.update(
            dataset=library.path.name, marked=marked, categories=schema.CATEGORIES, labels=LABELS, any_error=ANY_ERROR
        )
        self.templates.globals["secrets"] = None  # known once ``warm`` has looked

    def warm(self) -> None:
        """Compile the templates and count the unfiltered facets, so that the first page is as fast as the others."""
        for name in self.templates.list_templates():
            self.templates.get_template(name)
        self.library.conditions.start()
        opened = self.library.current(patience=60.0)
        opened.selections.facets(opened.selections.get(Filters()))
        found, whole = look(self.library.path)
        self.templates.globals["secrets"] = warning(found, whole, self.library.path.name)

    # ------------------------------------------------------------------------------------------------------ pages

    def list_page(self, request: Request) -> Response:
        return self._answer(request, self._list_page)

    def trajectory_page(self, request: Request) -> Response:
        return self._answer(request, self._trajectory_page)

    def _answer(self, request: Request, page: Callable[[Request, Opened], Response]) -> Response:
        """A page over the present dataset; once more where it was written anew while the page was made."""
        opened = self.library.current()
        try:
            return page(request, opened)
        except (duckdb.Error, OSError):
            if opened is self.library.current():
                raise
            return page(request, self.library.current())

    def _list_page(self, request: Request, opened: Opened) -> Response:
        filters = Filters.read(request.query_params)
        number = _whole(request.query_params.get("page"), 1)
        index = opened.index
        selection = opened.selections.get(filters, enough=number * PAGE_SIZE)
        # Before all else: a search that ends while we write must not look finished and empty.
        pending = not selection.done.is_set()
        problem = selection.problem
        positions = selection.page(number, PAGE_SIZE) if problem is None else []
        rows = _rows(opened, positions, filters)
        facets = opened.selections.facets(selection)
        total = len(selection)
        return self._html(
            "list.html",
            filters=filters,
            page=number,
            n_pages=max(1, -(-total // PAGE_SIZE)),
            total=total,
            first=(number - 1) * PAGE_SIZE + 1,
            rows=rows,
            facets={name: _facet(found, getattr(filters, name)) for name, found in facets.items()},
            all_values=facets,
            pending=pending,
            searched=selection.searched,
            problem=problem,
            n_trajectories=index.n_trajectories,
            n_calls=index.n_calls,
            n_corrected=len(self.library.corrections.all()),
            status=200 if problem is None else 400,
        )

    def _trajectory_page(self, request: Request, opened: Opened) -> Response:
        filters = Filters.read(request.query_params)
        identity = request.query_params.get("id", "")
        index = opened.index
        found = read_trajectory(index, identity, self.library.corrections)
        if found is None:
            raise UsageError(f"no trajectory {identity!r} in {index.data.path}", hint="search for it in the list")
        identity = found.trajectory["trajectory_id"]
        selection = opened.selections.get(filters, enough=1)
        before, after, place = selection.neighbours(found.position)
        ids = {row["position"]: row["trajectory_id"] for row in _ids(opened, [before, after])}
        sets = index.data.token_sets
        chosen = request.query_params.get("tokens", "")
        weights = call_weights(index, chosen, identity) if chosen in sets else {}
        sequence, waiting, trouble = None, False, None
        view = request.query_params.get("view", "")
        if chosen in sets and view == "tokens":
            try:
                sequence = self.tokens.get(chosen, identity)
                waiting = sequence is None
            except TldataError as error:
                trouble = error
        return self._html(
            "trajectory.html",
            filters=filters,
            t=found.trajectory,
            parts=found.parts,
            tools=found.tools,
            n_tools=found.n_tools,
            before=ids.get(before),
            after=ids.get(after),
            place=place,
            total=len(selection),
            sets=sets,
            chosen=chosen if chosen in sets else "",
            view=view,
            weights=weights,
            sequence=sequence,
            trouble=trouble,
            pending=waiting,
            token=self.token,
            corrections=self.library.corrections.file.name,
            hit=_hit(filters),
            page=None,
        )

    async def correct(self, request: Request) -> Response:
        fields = await read_form(request, self.token)
        if isinstance(fields, str):
            return self._message(fields, 403)
        return await run_in_threadpool(self._correct, fields)

    def _correct(self, fields: dict[str, str]) -> Response:
        """Write, or take back, one correction, and go back to the call."""
        opened = self.library.current(patience=5.0)
        identity = fields.get("id", "")
        turn, call_index = _whole(fields.get("turn"), -1), _whole(fields.get("call_index"), -1)
        call = find_call(opened.index, identity, turn, call_index)
        if call is None:
            raise UsageError(f"no call {turn}.{call_index} in trajectory {identity!r}", hint="reload the page")
        if fields.get("do") == "remove":
            self.library.corrections.remove((identity, turn, call_index))
        else:
            self.library.corrections.put({**call, "category": fields.get("category", ""), "note": fields.get("note")})
        query = dict(parse_qsl(fields.get("query", "")))
        more = {name: query[name] for name in ("tokens",) if name in query}
        address = urlencode([("id", identity), *Filters.read(query).items(), *more.items()])
        return RedirectResponse(f"/t?{address}#call-{turn}-{call_index}", status_code=303)

    # ----------------------------------------------------------------------------------------------------- answers

    def _html(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        return HTMLResponse(self.templates.get_template(template).render(**values), status_code=status)

    def _message(self, text: str, status: int, *, hint: str = "", pending: bool = False) -> HTMLResponse:
        return self._html("message.html", status=status, text=text, hint=hint, pending=pending, filters=Filters())

    async def problem(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, TldataError)
        status = 503 if isinstance(error, DatasetError) else 400
        return self._message(error.message, status, hint=error.hint, pending=isinstance(error, ReadingError))

    async def not_found(self, request: Request, error: Exception) -> Response:
        return self._message("There is no such page.", 404)

    def close(self) -> None:
        self.tokens.close()
        self.library.close()


def _rows(opened: Opened, positions: list[int], filters: Filters) -> list[dict[str, Any]]:
    """The rows of one page of the list, each with its errors and with the first call that the filters ask for."""
    if not positions:
        return []
    rows = opened.index.rows("SELECT * FROM trajectories WHERE position IN (SELECT unnest($1::INTEGER[]))", [positions])
    calls = opened.index.rows(
        "SELECT position, category, is_error, tool_name, turn, call_index, rule_id, disagreement FROM calls "
        "WHERE position IN (SELECT unnest($1::INTEGER[])) ORDER BY position, turn, call_index",
        [positions],
    )
    found = {row["position"]: row | {"errors": {}, "hit": ""} for row in rows}
    is_hit = _hit(filters)
    for call in calls:
        row = found[call["position"]]
        if call["is_error"]:
            row["errors"][call["category"]] = row["errors"].get(call["category"], 0) + 1
        if not row["hit"] and filters.of_calls and is_hit(call):
            row["hit"] = f"call-{call['turn']}-{call['call_index']}"
    return [found[position] for position in positions if position in found]


def _hit(filters: Filters) -> Callable[[dict[str, Any]], bool]:
    """Whether a call is one that the filters ask for."""

    def is_hit(call: dict[str, Any]) -> bool:
        return (
            filters.of_calls
            and (not filters.category or call["category"] == filters.category or filters.category == ANY_ERROR)
            and (filters.category != ANY_ERROR or call["is_error"])
            and (not filters.tool or call["tool_name"] == filters.tool)
            and (not filters.rule or call["rule_id"] == filters.rule)
            and (filters.review != "disagreement" or call["disagreement"] is not None)
        )

    return is_hit


def _ids(opened: Opened, positions: list[int | None]) -> list[dict[str, Any]]:
    wanted = [position for position in positions if position is not None]
    query = "SELECT position, trajectory_id FROM trajectories WHERE position IN (SELECT unnest($1::INTEGER[]))"
    return opened.index.rows(query, [wanted]) if wanted else []


def _facet(rows: list[dict[str, Any]], chosen: str) -> list[dict[str, Any]]:
    """The values of a filter to offer: the largest, and the chosen one; ``width`` in steps of 5% of the largest."""
    widest = max((row["n"] for row in rows), default=1) or 1
    shown = [row for place, row in enumerate(rows) if place < FACET_SHOWN or row["value"] == chosen]
    return [row | {"width": max(1, round(20 * row["n"] / widest)) * 5} for row in shown]


def _whole(text: str | None, otherwise: int) -> int:
    """A whole number from an address; what is none, or absurd, counts as ``otherwise``."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= 0 else otherwise
