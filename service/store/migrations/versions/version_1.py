"""The tables of the first version."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("revoked", sa.Double(), nullable=True),
        sa.Column("rate", sa.Text(), nullable=True),
        sa.Column("daily_characters", sa.BigInteger(), nullable=True),
        sa.Column("admin", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="api_key_pkey"),
        sa.UniqueConstraint("hash", name="api_key_hash_key"),
    )
    op.create_table(
        "document_file",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="document_file_pkey"),
        sa.UniqueConstraint("key", name="document_file_key_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("document_file_by_caller", "document_file", ["caller"], unique=False)
    op.create_index("document_file_by_until", "document_file", ["until"], unique=False)
    op.create_table(
        "glossary",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="glossary_pkey"),
    )
    op.create_index("glossary_by_caller", "glossary", ["caller"], unique=False)
    op.create_index("glossary_by_owner", "glossary", ["owner"], unique=False)
    op.create_table(
        "idempotent_request",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name="idempotent_request_pkey"),
    )
    op.create_index(
        "idempotent_request_by_owner_bytes", "idempotent_request", ["owner", "bytes"], unique=False
    )
    op.create_index("idempotent_request_by_until", "idempotent_request", ["until"], unique=False)
    op.create_table(
        "job",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("started", sa.Double(), nullable=True),
        sa.Column("finished", sa.Double(), nullable=True),
        sa.Column("problem", sa.LargeBinary(), nullable=True),
        sa.Column("interruptions", sa.Integer(), nullable=False),
        sa.Column("claimed", sa.Double(), nullable=False),
        sa.Column("lease", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("callback", sa.Text(), nullable=True),
        sa.Column("callback_status", sa.Text(), nullable=True),
        sa.Column("callback_tries", sa.Integer(), nullable=False),
        sa.Column("callback_due", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="job_pkey"),
        sa.UniqueConstraint("id", name="job_id_key"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "job_by_callback_status_callback_due", "job", ["callback_status", "callback_due"], unique=False
    )
    op.create_index("job_by_caller_claimed", "job", ["caller", "claimed"], unique=False)
    op.create_index("job_by_finished", "job", ["finished"], unique=False)
    op.create_index("job_by_owner_number", "job", ["owner", "number"], unique=False)
    op.create_index("job_by_status_number", "job", ["status", "number"], unique=False)
    op.create_table(
        "memory",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("translation", sa.Text(), nullable=False),
        sa.Column("characters", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "source", "target", "digest", name="memory_pkey"),
    )
    op.create_index("memory_by_caller_bytes", "memory", ["caller", "bytes"], unique=False)
    op.create_index(
        "memory_by_caller_source_target_characters",
        "memory",
        ["caller", "source", "target", "characters"],
        unique=False,
    )
    op.create_index("memory_by_owner_bytes", "memory", ["owner", "bytes"], unique=False)
    op.create_table(
        "used",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="used_pkey"),
    )
    op.create_index("used_by_expires", "used", ["expires"], unique=False)
    op.create_table(
        "glossary_entry",
        sa.Column("glossary", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("term", sa.Text(), nullable=False),
        sa.Column("translation", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["glossary"], ["glossary.id"], name="glossary_entry_glossary_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("glossary", "target", "source", "digest", name="glossary_entry_pkey"),
    )
    op.create_table(
        "job_item",
        sa.Column("job", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("file", sa.Text(), nullable=True),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("filename", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["job.number"], name="job_item_job_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job", "number", name="job_item_pkey"),
    )
    op.create_table(
        "job_output",
        sa.Column("job", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["job.number"], name="job_output_job_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job", "key", name="job_output_pkey"),
    )
    op.create_table(
        "job_segment",
        sa.Column("told", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["job.number"], name="job_segment_job_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("told", name="job_segment_pkey"),
        sa.UniqueConstraint("job", "number", name="job_segment_job_number_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("job_segment_by_job_told", "job_segment", ["job", "told"], unique=False)
