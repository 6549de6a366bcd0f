"""The paper and only the paper: pure functions and modules on tensors, which know no model."""
