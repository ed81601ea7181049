"""The store's schema, step by step. Run by `previews.adapters.store` at every start; read as files by Alembic."""
