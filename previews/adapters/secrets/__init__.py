"""How a secret reaches a preview's namespace: one module for each kind of `domain.database.SecretKind`."""
