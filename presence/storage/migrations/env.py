"""Runs the migrations in one transaction that only one process can hold at a time."""

from alembic import context

from presence.storage import schema
from presence.storage.models import db

with schema.alone() as connection:
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
