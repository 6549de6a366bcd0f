"""The front of a backbone: item codes to rows of the item table, profile codes to a profile vector."""

import torch
from torch import Tensor, nn

from dccl.models.contract import Codes, Inputs


class Front(nn.Module):
    """Embeddings that stay outside the device graph.

    An item's row is the sum of its own embedding and its category's, so that a device stores one row an item
    and needs no category table. Row 0 (padding) is zero and stays zero.

    Args:
        categories: (num_items + 1,) int64 category code of each item; all 0 where the log has none.
        num_categories: counts code 0.
        profile_sizes: number of codes of each profile field, code 0 (unknown) counted.
        width: size D of an item row.
        profile_width: size of each field's embedding.
    """

    categories: Tensor
    profile_starts: Tensor

    def __init__(
        self,
        categories: Tensor,
        num_categories: int,
        profile_sizes: tuple[int, ...],
        width: int,
        profile_width: int,
    ) -> None:
        super().__init__()
        self.register_buffer("categories", categories.to(torch.int64))
        self.items = nn.Embedding(len(categories), width, padding_idx=0)
        nn.init.normal_(self.items.weight, std=width**-0.5)
        self.category_rows = (
            nn.Embedding(num_categories, width, padding_idx=0) if num_categories > 1 else None
        )
        if self.category_rows is not None:
            nn.init.normal_(self.category_rows.weight, std=0.3 * width**-0.5)
        starts = [sum(profile_sizes[:field]) for field in range(len(profile_sizes))]
        self.register_buffer("profile_starts", torch.tensor(starts, dtype=torch.int64), persistent=False)
        self.profiles = nn.Embedding(sum(profile_sizes), profile_width) if profile_sizes else None
        if self.profiles is not None:
            nn.init.normal_(self.profiles.weight, std=0.1 * profile_width**-0.5)
        with torch.no_grad():
            self.items.weight[0] = 0.0
            if self.category_rows is not None:
                self.category_rows.weight[0] = 0.0
        self.profile_width = profile_width * len(profile_sizes)

    def table(self) -> Tensor:
        """The item table (num_items + 1, D) that a device is served; row 0 is padding."""
        if self.category_rows is None:
            return self.items.weight
        rows: Tensor = self.items.weight + self.category_rows(self.categories)
        return rows

    def forward(self, codes: Codes) -> Inputs:
        """Gather the rows that `codes` name."""
        table = self.table()
        return Inputs(
            nn.functional.embedding(codes.history, table),
            codes.age,
            nn.functional.embedding(codes.candidates, table),
            self.profile_vector(codes.profile),
        )

    def profile_vector(self, profile: Tensor) -> Tensor:
        """(B, F) codes to (B, P): the fields' embeddings side by side; (B, 0) where there are no fields."""
        if self.profiles is None:
            return self.items.weight.new_zeros(len(profile), 0)
        rows: Tensor = self.profiles(profile + self.profile_starts)
        return rows.flatten(1)
