"""initial: every table, and the triggers that keep annotations as they were written"""

import sqlalchemy as sa
from alembic import op

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None

# Invariant: an annotation is never changed or lost; a correction is a new row.
KEEP_ANNOTATIONS = {
    "sqlite": [
        "CREATE TRIGGER annotation_no_update BEFORE UPDATE ON annotation "
        "BEGIN SELECT RAISE(ABORT, 'annotations are never changed'); END",
        "CREATE TRIGGER annotation_no_delete BEFORE DELETE ON annotation "
        "BEGIN SELECT RAISE(ABORT, 'annotations are never deleted'); END",
    ],
    "postgresql": [
        "CREATE FUNCTION annotation_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'annotations are never changed or deleted'; END $$",
        "CREATE TRIGGER annotation_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON annotation "
        "FOR EACH STATEMENT EXECUTE FUNCTION annotation_refuse()",
    ],
}


def upgrade() -> None:
    op.create_table('annotator',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_annotator')),
    sa.UniqueConstraint('name', name=op.f('uq_annotator_name'))
    )
    op.create_table('event',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('payload', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_event'))
    )
    op.create_table('export',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('format', sa.String(), nullable=False),
    sa.Column('path', sa.String(), nullable=False),
    sa.Column('manifest_sha256', sa.String(), nullable=False),
    sa.Column('samples', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_export'))
    )
    op.create_table('feature_shard',
    sa.Column('sha256', sa.String(), nullable=False),
    sa.Column('path', sa.String(), nullable=False),
    sa.Column('modality', sa.String(), nullable=False),
    sa.Column('extractor', sa.String(), nullable=False),
    sa.Column('samples', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.PrimaryKeyConstraint('sha256', name=op.f('pk_feature_shard')),
    sa.UniqueConstraint('path', name=op.f('uq_feature_shard_path'))
    )
    op.create_table('ls_project',
    sa.Column('modality', sa.String(), nullable=False),
    sa.Column('server', sa.String(), nullable=False),
    sa.Column('ls_project_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('config_hash', sa.String(), nullable=False),
    sa.Column('cursor', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('modality', 'server', name=op.f('pk_ls_project'))
    )
    op.create_table('round',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seed', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('labels_hash', sa.String(), nullable=False),
    sa.Column('settings', sa.JSON(), nullable=False),
    sa.Column('metrics', sa.JSON(), nullable=False),
    sa.Column('model', sa.String(), nullable=False),
    sa.Column('seconds', sa.Double(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_round'))
    )
    op.create_table('unit',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('attempts', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('error', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_unit'))
    )
    op.create_table('video',
    sa.Column('sha256', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.Column('detail', sa.String(), nullable=False),
    sa.Column('facts', sa.JSON(), nullable=False),
    sa.Column('settings_hash', sa.String(), nullable=False),
    sa.Column('speaker', sa.String(), nullable=False),
    sa.Column('split', sa.String(), nullable=True),
    sa.PrimaryKeyConstraint('sha256', name=op.f('pk_video'))
    )
    op.create_table('batch',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('round_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('strategy', sa.String(), nullable=False),
    sa.Column('seed', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('settings', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['round_id'], ['round.id'], name=op.f('fk_batch_round_id_round')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_batch'))
    )
    with op.batch_alter_table('batch', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_batch_round_id'), ['round_id'], unique=False)

    op.create_table('sample',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('video_sha256', sa.String(), nullable=False),
    sa.Column('start_us', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('end_us', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('transcript', sa.String(), nullable=False),
    sa.Column('transcript_origin', sa.String(), nullable=False),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('split', sa.String(), nullable=True),
    sa.Column('media_sha256', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['video_sha256'], ['video.sha256'], name=op.f('fk_sample_video_sha256_video')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sample'))
    )
    with op.batch_alter_table('sample', schema=None) as batch_op:
        batch_op.create_index('ix_sample_split_status', ['split', 'status'], unique=False)
        batch_op.create_index(batch_op.f('ix_sample_video_sha256'), ['video_sha256'], unique=False)

    op.create_table('video_file',
    sa.Column('path', sa.String(), nullable=False),
    sa.Column('size', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('mtime_ns', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('inode', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('sidecar_mtime_ns', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('video_sha256', sa.String(), nullable=True),
    sa.Column('reason', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['video_sha256'], ['video.sha256'], name=op.f('fk_video_file_video_sha256_video')),
    sa.PrimaryKeyConstraint('path', name=op.f('pk_video_file'))
    )
    with op.batch_alter_table('video_file', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_video_file_video_sha256'), ['video_sha256'], unique=False)

    op.create_table('batch_item',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('batch_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('sample_id', sa.String(), nullable=False),
    sa.Column('modality', sa.String(), nullable=False),
    sa.Column('role', sa.String(), nullable=False),
    sa.Column('rank', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('score', sa.Double(), nullable=False),
    sa.Column('inclusion_probability', sa.Double(), nullable=True),
    sa.Column('state', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('ls_project_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('ls_task_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('pushed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('state BETWEEN 0 AND 4', name=op.f('ck_batch_item_state')),
    sa.ForeignKeyConstraint(['batch_id'], ['batch.id'], name=op.f('fk_batch_item_batch_id_batch')),
    sa.ForeignKeyConstraint(['sample_id'], ['sample.id'], name=op.f('fk_batch_item_sample_id_sample')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_batch_item')),
    sa.UniqueConstraint('key', name=op.f('uq_batch_item_key'))
    )
    with op.batch_alter_table('batch_item', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_batch_item_batch_id'), ['batch_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_batch_item_sample_id'), ['sample_id'], unique=False)
        batch_op.create_index('ix_batch_item_state', ['state'], unique=False)
        batch_op.create_index('uq_batch_item_open', ['sample_id', 'modality'], unique=True, sqlite_where=sa.text('state <= 2'), postgresql_where=sa.text('state <= 2'))

    op.create_table('feature',
    sa.Column('sample_id', sa.String(), nullable=False),
    sa.Column('extractor', sa.String(), nullable=False),
    sa.Column('shard_sha256', sa.String(), nullable=False),
    sa.Column('position', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('input_hash', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['sample_id'], ['sample.id'], name=op.f('fk_feature_sample_id_sample')),
    sa.ForeignKeyConstraint(['shard_sha256'], ['feature_shard.sha256'], name=op.f('fk_feature_shard_sha256_feature_shard')),
    sa.PrimaryKeyConstraint('sample_id', 'extractor', name=op.f('pk_feature'))
    )
    with op.batch_alter_table('feature', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_feature_shard_sha256'), ['shard_sha256'], unique=False)

    op.create_table('label',
    sa.Column('sample_id', sa.String(), nullable=False),
    sa.Column('task_id', sa.String(), nullable=False),
    sa.Column('origin', sa.String(), nullable=False),
    sa.Column('number', sa.Double(), nullable=True),
    sa.Column('category', sa.String(), nullable=True),
    sa.Column('distribution', sa.JSON(), nullable=False),
    sa.Column('confidence', sa.Double(), nullable=False),
    sa.Column('raters', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['sample_id'], ['sample.id'], name=op.f('fk_label_sample_id_sample')),
    sa.PrimaryKeyConstraint('sample_id', 'task_id', 'origin', name=op.f('pk_label'))
    )
    op.create_table('prediction',
    sa.Column('batch_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('sample_id', sa.String(), nullable=False),
    sa.Column('task_id', sa.String(), nullable=False),
    sa.Column('value', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['batch_id'], ['batch.id'], name=op.f('fk_prediction_batch_id_batch')),
    sa.ForeignKeyConstraint(['sample_id'], ['sample.id'], name=op.f('fk_prediction_sample_id_sample')),
    sa.PrimaryKeyConstraint('batch_id', 'sample_id', 'task_id', name=op.f('pk_prediction'))
    )
    op.create_table('sample_check',
    sa.Column('sample_id', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('value', sa.Double(), nullable=False),
    sa.Column('passed', sa.Boolean(), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['sample_id'], ['sample.id'], name=op.f('fk_sample_check_sample_id_sample')),
    sa.PrimaryKeyConstraint('sample_id', 'name', name=op.f('pk_sample_check'))
    )
    op.create_table('annotation',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('sample_id', sa.String(), nullable=False),
    sa.Column('task_id', sa.String(), nullable=False),
    sa.Column('annotator_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('value', sa.String(), nullable=True),
    sa.Column('seconds', sa.Double(), nullable=True),
    sa.Column('batch_item_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('origin', sa.String(), nullable=False),
    sa.Column('revision', sa.String(), nullable=False),
    sa.Column('supersedes_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('stored_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('raw', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['annotator_id'], ['annotator.id'], name=op.f('fk_annotation_annotator_id_annotator')),
    sa.ForeignKeyConstraint(['batch_item_id'], ['batch_item.id'], name=op.f('fk_annotation_batch_item_id_batch_item')),
    sa.ForeignKeyConstraint(['sample_id'], ['sample.id'], name=op.f('fk_annotation_sample_id_sample')),
    sa.ForeignKeyConstraint(['supersedes_id'], ['annotation.id'], name=op.f('fk_annotation_supersedes_id_annotation')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_annotation')),
    sa.UniqueConstraint('origin', 'revision', 'task_id', name=op.f('uq_annotation_origin_revision_task_id'))
    )
    with op.batch_alter_table('annotation', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_annotation_annotator_id'), ['annotator_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_annotation_batch_item_id'), ['batch_item_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_annotation_sample_id'), ['sample_id'], unique=False)

    for statement in KEEP_ANNOTATIONS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    with op.batch_alter_table('annotation', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_annotation_sample_id'))
        batch_op.drop_index(batch_op.f('ix_annotation_batch_item_id'))
        batch_op.drop_index(batch_op.f('ix_annotation_annotator_id'))

    op.drop_table('annotation')
    op.drop_table('sample_check')
    op.drop_table('prediction')
    op.drop_table('label')
    with op.batch_alter_table('feature', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_feature_shard_sha256'))

    op.drop_table('feature')
    with op.batch_alter_table('batch_item', schema=None) as batch_op:
        batch_op.drop_index('uq_batch_item_open', sqlite_where=sa.text('state <= 2'), postgresql_where=sa.text('state <= 2'))
        batch_op.drop_index('ix_batch_item_state')
        batch_op.drop_index(batch_op.f('ix_batch_item_sample_id'))
        batch_op.drop_index(batch_op.f('ix_batch_item_batch_id'))

    op.drop_table('batch_item')
    with op.batch_alter_table('video_file', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_video_file_video_sha256'))

    op.drop_table('video_file')
    with op.batch_alter_table('sample', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_sample_video_sha256'))
        batch_op.drop_index('ix_sample_split_status')

    op.drop_table('sample')
    with op.batch_alter_table('batch', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_batch_round_id'))

    op.drop_table('batch')
    op.drop_table('video')
    op.drop_table('unit')
    op.drop_table('round')
    op.drop_table('ls_project')
    op.drop_table('feature_shard')
    op.drop_table('export')
    op.drop_table('event')
    op.drop_table('annotator')
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION annotation_refuse()")
