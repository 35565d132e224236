"""Turn prepared texts into rows of the token table: layouts, key tokens, masks and truncation."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tldata.tokenize.conversation import Conversation, in_form
from tldata.tokenize.encode import Encoded, Encoder, Untileable
from tldata.tokenize.key_tokens import KeyTokenFinder
from tldata.tokenize.masks import TurnTokens, Weighting, apply, whole_message_out
from tldata.tokenize.prepare import Preparer, Rejected, Section
from tldata.tokenize.render import Refused
from tldata.tokenize.summary import Counts

LAYOUTS = ("segment", "turn")
TRUNCATIONS = ("messages", "drop", "oldest")


@dataclass(frozen=True, slots=True)
class RowOptions:
    """Options of rows: layout, masks and weights, and what to do with rows longer than ``max_length`` tokens."""

    weighting: Weighting
    layout: str = "segment"
    max_length: int | None = None
    truncation: str = "messages"


@dataclass(slots=True)
class Row:
    """One row of the token table (contracts.md, Tokens)."""

    trajectory_id: str
    part: int
    ids: np.ndarray
    loss: np.ndarray
    keys: np.ndarray
    weights: np.ndarray
    truncated: bool
    spans: list[dict[str, Any]]


@dataclass(slots=True)
class _Draft:
    """A row before truncation: a text with its tokens, and the assistant messages that it trains."""

    section: Section
    text: str
    encoded: Encoded
    turns: list[TurnTokens]
    truncated: bool = False


class RowMaker:
    """Makes the rows of conversations whose texts are tokenised."""

    def __init__(self, preparer: Preparer, encoder: Encoder, options: RowOptions, counts: Counts) -> None:
        self.preparer = preparer
        self.encoder = encoder
        self.options = options
        self.counts = counts
        self.left_out: list[Rejected] = []  # rows that are too long, with the reason
        self._finder = KeyTokenFinder(encoder)

    def rows(self, sections: list[Section], encoded: list[Encoded | Untileable]) -> list[Row] | Rejected:
        """The rows of one conversation, in the order of its messages.

        Args:
            sections: its runs.
            encoded: the tokens of each run's text.
        """
        conversation = sections[0].conversation
        drafts: list[_Draft] = []
        for section, tokens in zip(sections, encoded, strict=True):
            if isinstance(tokens, Untileable):
                return Rejected(conversation.trajectory_id, str(tokens))
            self._count_layouts(section, tokens)
            drafts += self._drafts(section, tokens)
        rows: list[Row] = []
        for draft in drafts:
            for fitting in self._fit(draft):
                row = self._finish(fitting, len(rows))
                if isinstance(row, Rejected):
                    return row
                if row.loss.any() or (self.options.layout == "segment" and not row.truncated):
                    rows.append(row)
                else:
                    self._leave_out(draft)
        for row in rows:
            self.counts.add_row(
                row.ids.size, int(row.loss.sum()), int(row.keys.sum()), row.truncated, bool(row.loss.any())
            )
        self.counts.add_calls(conversation, sections, self.options.weighting.mask_scope)
        return rows

    def look_up(
        self, batch: list[list[Section]], submit: Callable[..., Future[Any]] | None = None
    ) -> Callable[[], None]:
        """Begin to find the key tokens of a batch's calls together; the result is called before its rows are made."""
        return self._finder.begin(
            (
                (section.text, place.name, place.call.name, section.conversation.names, section.conversation.names_key)
                for sections in batch
                for section in sections
                for turn in section.turns
                for place in turn.calls
                if place.call.name is not None and not place.call.excluded
            ),
            submit,
        )

    def _count_layouts(self, section: Section, tokens: Encoded) -> None:
        counts = self.counts
        trained = [turn for turn in section.turns if not whole_message_out(turn, self.options.weighting.mask_scope)]
        if trained:
            counts.segment_rows += 1
            counts.segment_tokens += tokens.ids.size
        counts.turn_rows += len(trained)
        stops = [turn.turn.stop for turn in trained]
        counts.turn_tokens += int(tokens.starts.searchsorted(stops, side="left").sum()) if stops else 0

    def _drafts(self, section: Section, tokens: Encoded) -> list[_Draft]:
        if self.options.layout == "segment":
            return [_Draft(section, section.text, tokens, section.turns)]
        drafts = []
        for turn in section.turns:
            if not whole_message_out(turn, self.options.weighting.mask_scope):
                text = section.text[: turn.turn.stop]
                own = self._beginning(tokens, text)
                if own is not None:
                    drafts.append(_Draft(replace(section, upto=turn.turn.turn + 1), text, own, [turn]))
        return drafts

    def _beginning(self, tokens: Encoded, text: str) -> Encoded | None:
        """The tokens of a text's beginning: cut off where a special token stands, else tokenised again."""
        cut = int(np.searchsorted(tokens.starts, len(text), side="left"))
        if cut == tokens.ids.size:
            return tokens
        clean = tokens.starts[cut] == len(text) and tokens.ends[cut - 1] == len(text)
        if clean and (
            self.encoder.is_special(int(tokens.ids[cut])) or self.encoder.is_special(int(tokens.ids[cut - 1]))
        ):
            return Encoded(tokens.ids[:cut], tokens.starts[:cut], tokens.ends[:cut])
        again = self.encoder.encode([text])[0]
        return None if isinstance(again, Untileable) else again

    def _finish(self, draft: _Draft, part: int) -> Row | Rejected:
        conversation = draft.section.conversation
        for turn in draft.turns:
            turn.keys = {}
            if whole_message_out(turn, self.options.weighting.mask_scope):
                continue
            for place in turn.calls:
                if place.call.excluded or place.call.name is None:
                    continue
                keys = self._finder.find(
                    draft.text, draft.encoded, place.name, place.call.name, conversation.names, conversation.names_key
                )
                if keys is None:
                    return Rejected(
                        conversation.trajectory_id,
                        f"the name {place.call.name!r} is written in a way that other names cannot take",
                    )
                turn.keys[place.call.index] = keys
        loss, keys_mask, weights, spans = apply(draft.encoded, draft.text, draft.turns, self.options.weighting)
        return Row(
            conversation.trajectory_id, part, draft.encoded.ids, loss, keys_mask, weights, draft.truncated, spans
        )

    def _fit(self, draft: _Draft) -> list[_Draft]:
        """The row cut to the longest length allowed: none, one, or (after dropping steps) several rows."""
        limit = self.options.max_length
        if limit is None or draft.encoded.ids.size <= limit:
            return [draft]
        if self.options.truncation == "messages":
            shorter = self._whole_messages(draft, limit)
            if shorter is not None:
                return [shorter]
        elif self.options.truncation == "oldest":
            later = self._without_oldest(draft, limit)
            if later:
                return later
        self._leave_out(draft)
        return []

    def _leave_out(self, draft: _Draft) -> None:
        self.counts.too_long += 1
        turns = ", ".join(str(turn.turn.turn) for turn in draft.turns)
        reason = f"messages {turns}: longer than {self.options.max_length} tokens"
        self.left_out.append(Rejected(draft.section.conversation.trajectory_id, reason))

    def _whole_messages(self, draft: _Draft, limit: int) -> _Draft | None:
        """The longest beginning of at most ``limit`` tokens that ends after a whole message; None if no trained message fits."""
        section = draft.section
        messages = in_form(section.conversation, section.form)
        allowed = int(draft.encoded.ends[limit - 1])
        low, high = 0, section.upto  # messages that fit; messages that do not
        cuts: dict[int, int] = {}
        while high - low > 1:
            middle = (low + high) // 2
            cut = self._end_of(messages[:middle], section, draft.text)
            if cut is None or cut <= allowed:
                low = middle
                if cut is not None:
                    cuts[middle] = cut
            else:
                high = middle
        for count in range(low, 0, -1):
            cut = cuts[count] if count in cuts else self._end_of(messages[:count], section, draft.text)
            if cut is None or cut > allowed:
                continue
            tokens = self._beginning(draft.encoded, draft.text[:cut])
            if tokens is None or tokens.ids.size > limit:
                continue
            turns = [turn for turn in draft.turns if turn.turn.end <= cut]
            if not any(not whole_message_out(turn, self.options.weighting.mask_scope) for turn in turns):
                return None
            return _Draft(section, draft.text[:cut], tokens, turns, truncated=True)
        return None

    def _end_of(self, messages: list[dict[str, Any]], section: Section, text: str) -> int | None:
        """Length of the rendering of some first messages, if it is a beginning of the text."""
        try:
            own = self.preparer.template.render(messages, section.conversation.tools)
        except Refused:
            return None
        if text.startswith(own):
            return len(own)
        own = own.rstrip()
        return len(own) if text.startswith(own) else None

    def _without_oldest(self, draft: _Draft, limit: int) -> list[_Draft]:
        """The row rendered again without its oldest steps, as few as possible, the system and first user messages kept."""
        conversation, wanted = draft.section.conversation, {turn.turn.turn for turn in draft.turns}
        first_user = next((i for i, m in enumerate(conversation.messages) if m["role"] == "user"), -1)
        steps = [turn for turn in conversation.assistants if first_user < turn < draft.section.upto]
        low, high = 0, len(steps)  # dropped: too few; enough (or all)
        best: list[_Draft] = []
        while high - low > 1:
            middle = (low + high) // 2
            found = self._try_without(conversation, first_user + 1, steps[middle], draft.section.upto, wanted, limit)
            if found:
                best, high = found, middle
            else:
                low = middle
        return best

    def _try_without(
        self, conversation: Conversation, keep: int, begin: int, upto: int, wanted: set[int], limit: int
    ) -> list[_Draft]:
        order = [*range(keep), *range(begin, upto)]
        shorter = Conversation(
            conversation.trajectory_id,
            [conversation.messages[i] for i in order],
            [conversation.trainable[i] for i in order],
            {
                at: [replace(c, turn=at) for c in conversation.calls[i]]
                for at, i in enumerate(order)
                if i in conversation.calls
            },
            conversation.tools,
            conversation.names,
            conversation.names_key,
        )
        sections = self.preparer.prepare(shorter)
        if isinstance(sections, Rejected):
            return []
        drafts = []
        for section in sections:
            for turn in section.turns:  # back to the turns of the whole trajectory
                turn.turn.turn = order[turn.turn.turn]
                for place in turn.calls:
                    place.call.turn = turn.turn.turn
            turns = [turn for turn in section.turns if turn.turn.turn in wanted]
            tokens = self.encoder.encode([section.text])[0]
            if isinstance(tokens, Untileable) or tokens.ids.size > limit:
                return []
            if turns:
                drafts.append(_Draft(section, section.text, tokens, turns, truncated=True))
        return drafts
