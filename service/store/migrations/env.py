"""What Alembic runs: the migrations, in the transaction of a connection that it is given."""

from alembic import context

from service.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
