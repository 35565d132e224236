"""Copying, put in by hand: what a call needs that is about a value never seen before, and what so small a model does not find in so little text.

A language model copies by induction heads (Olsson et al. 2022): a head of one layer notes at each token which one stood before it;
a head of the next looks for the place whose note is the current token, and repeats what stands there. Without help, a decoder of a
million parameters had not found this after the two to three million tokens that were tried; with the weights of its first two layers
set so from the start, it repeats 99 of 100 random tokens after 300,000 (docs/ablation.md).
"""

from __future__ import annotations

import math
from random import Random
from typing import Any

SHARP = 10.0  # how much more the token before weighs than its neighbours, in the first layer
MATCH = 4.0  # likewise what is looked for, in the second
NOTE, COPY = 1.5, 6.0  # how loud the note and the copy are beside the token itself
# Of a Llama that can be wired: biases of attention, and positions of which most of a head hardly depends on the distance.
CONFIGURATION: dict[str, Any] = {"attention_bias": True, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}


def wire(model: Any) -> None:
    """Set the attention of a Llama's first two layers to an induction circuit; the weights stay free in training.

    Args:
        model: with ``CONFIGURATION``.
    """
    import torch

    config = model.config
    hidden, heads = config.hidden_size, config.num_attention_heads
    width = hidden // heads
    speeds = config.rope_parameters["rope_theta"] ** (-torch.arange(0, width, 2) / width)
    orthogonal = lambda: torch.nn.init.orthogonal_(torch.empty(hidden, hidden))  # noqa: E731
    note, places, first_values, second_values = orthogonal(), orthogonal(), orthogonal(), orthogonal()
    before, seek = (layer.self_attn for layer in model.model.layers[:2])
    with torch.no_grad():
        model.model.embed_tokens.weight.normal_(0, hidden**-0.5)
        # Rotary positions turn both by distance times speed: their product is largest one token back.
        size = math.sqrt(SHARP * math.sqrt(width))
        ones = torch.ones(width // 2)
        before.q_proj.bias.copy_(size * torch.cat([ones, 0 * ones]).repeat(heads))
        before.k_proj.bias.copy_(size * torch.cat([speeds.cos(), speeds.sin()]).repeat(heads))
        before.q_proj.weight.mul_(0.2)
        before.k_proj.weight.mul_(0.2)
        before.v_proj.weight.copy_(first_values)
        before.o_proj.weight.copy_(note @ first_values.T * NOTE / math.sqrt(hidden))
        seek.q_proj.weight.copy_(places * math.sqrt(MATCH))
        seek.k_proj.weight.copy_(places @ note.T * math.sqrt(MATCH))
        seek.v_proj.weight.copy_(second_values)
        seek.o_proj.weight.copy_(second_values.T * COPY / math.sqrt(hidden))


def repeats(count: int, vocabulary: int, rng: Random, *, width: int = 64) -> tuple[Any, Any]:
    """Rows of random tokens that repeat with a period of 8 to 31; labels: what the first period foretells, else -100. Both [count, width]."""
    import torch

    rows, labels = [], []
    for _ in range(count):
        period = rng.randint(8, width // 2 - 1)
        row = ([rng.randrange(vocabulary) for _ in range(period)] * (width // period + 1))[:width]
        rows.append(row)
        labels.append([-100] * (period + 1) + row[period + 1 :])
    return torch.tensor(rows), torch.tensor(labels)
