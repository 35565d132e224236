"""verl's dataset class over rows of tokens with a float loss mask; it needs torch and pyarrow alone, so that it can be copied.

data.train_files=rows.parquet data.custom_cls.path=rows_verl.py data.custom_cls.name=TokenRows data.pad_mode=no_padding
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.utils.data import Dataset


class TokenRows(Dataset):
    """Rows of ``input_ids`` and ``loss_mask`` (float weights, the first 0), as ``tldata export --to verl-sft`` writes them.

    Args:
        parquet_files: a file, or several.
        tokenizer: not used; verl passes it.
        config: verl's ``data``; ``max_length`` and ``truncation`` are read, and ``pad_mode`` must be ``no_padding``.
        processor: not used.
        max_samples: so many rows from the beginning; -1 for all.
    """

    def __init__(
        self,
        parquet_files: Any,
        tokenizer: Any = None,
        config: Any = None,
        processor: Any = None,
        max_samples: int = -1,
    ) -> None:
        config = config or {}
        if config.get("pad_mode", "no_padding") != "no_padding":
            raise ValueError("float loss masks need data.pad_mode=no_padding: verl makes booleans of them otherwise")
        files = [parquet_files] if isinstance(parquet_files, str) else list(parquet_files)
        table = pa.concat_tables([pq.read_table(file, columns=["input_ids", "loss_mask"]) for file in files])
        self._table = table.slice(0, max_samples) if max_samples >= 0 else table
        self._max_length = config.get("max_length") or 0
        self._truncation = config.get("truncation", "error")

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, item: int) -> dict[str, torch.Tensor]:
        """``input_ids`` and ``position_ids`` int64 (T,), ``loss_mask`` float32 (T,)."""
        ids = torch.tensor(self._table["input_ids"][item].as_py(), dtype=torch.long)
        mask = torch.tensor(self._table["loss_mask"][item].as_py(), dtype=torch.float32)
        if self._max_length and len(ids) > self._max_length:
            if self._truncation == "error":
                raise ValueError(f"row {item} has {len(ids)} tokens, data.max_length is {self._max_length}")
            cut = slice(-self._max_length, None) if self._truncation == "left" else slice(self._max_length)
            ids, mask = ids[cut], mask[cut].clone()
            mask[0] = 0.0
        return {"input_ids": ids, "position_ids": torch.arange(len(ids)), "loss_mask": mask}
