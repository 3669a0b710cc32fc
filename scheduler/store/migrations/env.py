"""Alembic's entry: migrates the store over the connection that it was given."""

from alembic import context

from scheduler.store import schema

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    target_metadata=schema.metadata,
)
context.run_migrations()
