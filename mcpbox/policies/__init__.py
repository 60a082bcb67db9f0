"""Pure rules: facts in, :class:`~mcpbox.policies.ruling.Ruling` out."""
