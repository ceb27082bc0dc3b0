"""Runs the migrations in one transaction that only one process can hold at a time.

Or in the transaction of whoever brings a copy up to date.
"""

from contextlib import nullcontext

from alembic import context

from presence.storage import schema
from presence.storage.models import db

given = context.config.attributes.get("connection")
with schema.alone() if given is None else nullcontext(given) as connection:
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
