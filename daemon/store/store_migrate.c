/* SPDX-License-Identifier: ISC */
/*
 * The tables, as one text a version: what leads from the version before to it. A new database goes
 * through all of them.
 */
#include "common/xalloc.h"
#include "daemon/store/store_private.h"

// clang-format off
#define COLUMN_DECLARE(column, type, kind, field) #column " " type ", "

/* One text a version: what leads from the version before to it. */
static const char *const migrations[STORE_SCHEMA + 1] = {
	[1] =
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"INSERT INTO meta VALUES ('last_alive', 0);"
	"CREATE TABLE keys (serial INTEGER PRIMARY KEY, uid INTEGER NOT NULL, key TEXT NOT NULL,"
	" digest TEXT NOT NULL, reply TEXT NOT NULL, added_us INTEGER NOT NULL, UNIQUE (uid, key)) STRICT;"

	"CREATE TABLE builds (id INTEGER PRIMARY KEY, application TEXT NOT NULL, release TEXT NOT NULL,"
	" number INTEGER NOT NULL, rejected INTEGER NOT NULL, rejected_by TEXT, rejected_reason TEXT,"
	" rejected_us INTEGER NOT NULL, created_us INTEGER NOT NULL, created_by TEXT NOT NULL, uid INTEGER NOT NULL,"
	" note TEXT, variables TEXT, UNIQUE (application, release, number)) STRICT;"
	"CREATE INDEX builds_newest ON builds (application, id);"
	"CREATE INDEX builds_release ON builds (application, release, id);"
	"CREATE TABLE artifacts (build INTEGER NOT NULL REFERENCES builds, name TEXT NOT NULL, digest TEXT NOT NULL,"
	" files INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (build, name)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE jobs (id INTEGER PRIMARY KEY, " STORE_JOB_COLUMNS_1(COLUMN_DECLARE)
	" final INTEGER NOT NULL, expires_us INTEGER NOT NULL) STRICT;"
	"CREATE INDEX jobs_scheduled ON jobs (due_us, id) WHERE state = 'scheduled';"
	"CREATE INDEX jobs_queued ON jobs (application, stage, due_us, id, state) WHERE state = 'queued';"
	"CREATE INDEX jobs_expiring ON jobs (expires_us) WHERE state = 'queued' AND expires_us > 0;"
	"CREATE INDEX jobs_active ON jobs (application, stage) WHERE " STORE_ACTIVE ";"
	"CREATE INDEX jobs_stage ON jobs (application, stage, due_us, id, final, state) WHERE final = 0;"
	"CREATE INDEX jobs_held ON jobs (application, stage, due_us, id) WHERE state = 'held';"
	"CREATE INDEX jobs_waiting ON jobs (due_us, id, application, state, final) WHERE final = 0;"
	"CREATE INDEX jobs_final ON jobs (finished_us, id, stage) WHERE final = 1;"
	"CREATE INDEX jobs_final_application ON jobs (application, finished_us, id) WHERE final = 1;"
	"CREATE INDEX jobs_final_stage ON jobs (application, stage, finished_us, id) WHERE final = 1;"
	"CREATE INDEX jobs_failed ON jobs (application, stage, finished_us) WHERE " STORE_FAILED ";"
	"CREATE INDEX jobs_began ON jobs (application, stage, release, number, finished_us) WHERE began = 1;"
	"CREATE INDEX jobs_build ON jobs (application, release, number, id);"

	"CREATE TABLE steps (job INTEGER NOT NULL REFERENCES jobs, position INTEGER NOT NULL, name TEXT NOT NULL,"
	" state TEXT NOT NULL, started_us INTEGER NOT NULL, finished_us INTEGER NOT NULL, exit_code INTEGER NOT NULL,"
	" signal INTEGER NOT NULL, attempt INTEGER NOT NULL, irreversible INTEGER NOT NULL, message TEXT,"
	" PRIMARY KEY (job, position)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE irreversible (application TEXT NOT NULL, stage TEXT NOT NULL, started_us INTEGER NOT NULL,"
	" job INTEGER NOT NULL REFERENCES jobs, position INTEGER NOT NULL, release TEXT NOT NULL, number INTEGER NOT NULL,"
	" name TEXT NOT NULL, PRIMARY KEY (application, stage, started_us, job, position)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE stages (application TEXT NOT NULL, stage TEXT NOT NULL, locked_by TEXT, lock_reason TEXT,"
	" locked_us INTEGER NOT NULL, lock_until_us INTEGER NOT NULL, dirty INTEGER NOT NULL, dirty_job INTEGER NOT NULL,"
	" dirty_us INTEGER NOT NULL, occupied_job INTEGER NOT NULL, PRIMARY KEY (application, stage)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE stack (application TEXT NOT NULL, stage TEXT NOT NULL, position INTEGER NOT NULL,"
	" release TEXT NOT NULL, number INTEGER NOT NULL, job INTEGER NOT NULL, since_us INTEGER NOT NULL,"
	" made_by TEXT NOT NULL, PRIMARY KEY (application, stage, position)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE successes (application TEXT NOT NULL, stage TEXT NOT NULL, release TEXT NOT NULL, number INTEGER NOT NULL,"
	" since_us INTEGER NOT NULL, PRIMARY KEY (application, stage, release, number)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE audit (id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, uid INTEGER NOT NULL, who TEXT NOT NULL,"
	" what TEXT NOT NULL, application TEXT, stage TEXT, job INTEGER, text TEXT) STRICT;",

	/* Pins, and what is left of a build whose files were given up. */
	[2] =
	"ALTER TABLE builds ADD COLUMN pinned_by TEXT;"
	"ALTER TABLE builds ADD COLUMN pinned_us INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE builds ADD COLUMN pin_reason TEXT;"
	"CREATE INDEX artifacts_digest ON artifacts (digest);"
	"CREATE TABLE collected (application TEXT NOT NULL, release TEXT NOT NULL, number INTEGER NOT NULL,"
	" collected_us INTEGER NOT NULL, collected_by TEXT NOT NULL, PRIMARY KEY (application, release, number))"
	" STRICT, WITHOUT ROWID;",

	[3] = "ALTER TABLE builds ADD COLUMN signature TEXT;",

	/* Recurring deployments. A number is never given twice: jobs keep it for ever. */
	[4] =
	"CREATE TABLE schedules (id INTEGER PRIMARY KEY, application TEXT NOT NULL, stage TEXT NOT NULL, name TEXT,"
	" file TEXT, line INTEGER NOT NULL, wanted TEXT NOT NULL, calendar TEXT NOT NULL, zone TEXT NOT NULL, reason TEXT,"
	" grace_us INTEGER NOT NULL, if_changed TEXT NOT NULL, variables TEXT, created_us INTEGER NOT NULL,"
	" created_by TEXT NOT NULL, uid INTEGER NOT NULL, paused_us INTEGER NOT NULL, paused_by TEXT, pause_reason TEXT,"
	" after_us INTEGER NOT NULL) STRICT;"
	"CREATE INDEX schedules_name ON schedules (name, application);"
	"INSERT INTO meta VALUES ('last_schedule', 0);"
	"ALTER TABLE jobs ADD COLUMN schedule INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE jobs ADD COLUMN occurrence_us INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE jobs ADD COLUMN wanted TEXT;"
	"CREATE INDEX jobs_schedule ON jobs (schedule, id) WHERE schedule > 0;"
	"CREATE INDEX jobs_schedule_open ON jobs (schedule, id, state) WHERE schedule > 0 AND final = 0;",

	/* Of each zone in which jobs were given, what the tz database said when their times were reckoned. */
	[5] =
	"ALTER TABLE jobs ADD COLUMN wall_s INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE zones (name TEXT PRIMARY KEY, digest TEXT NOT NULL) STRICT, WITHOUT ROWID;",

	/* A digest of each row, and the rows that did not agree with theirs. */
	[6] =
	"CREATE TABLE seals (part INTEGER NOT NULL, key INTEGER NOT NULL, digest INTEGER NOT NULL, identity INTEGER NOT NULL,"
	" PRIMARY KEY (part, key)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE damaged (id INTEGER PRIMARY KEY, found_us INTEGER NOT NULL, job INTEGER NOT NULL,"
	" application TEXT NOT NULL, stage TEXT NOT NULL, text TEXT NOT NULL, open INTEGER NOT NULL) STRICT;"
	"CREATE INDEX damaged_stage ON damaged (application, stage, open, id);"
	"CREATE INDEX damaged_job ON damaged (job, id);",

	/* Windows and freezes that a job passes. */
	[7] = "ALTER TABLE jobs ADD COLUMN overrides TEXT;",

	/* The audit becomes a chain; store_audit_migrate() links what is there. */
	[8] =
	"ALTER TABLE audit ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE audit ADD COLUMN error TEXT;"
	"ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT '';"
	"CREATE TABLE audit_head (one INTEGER PRIMARY KEY CHECK (one = 1), id INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;",

	/* Who let a first deployment go. */
	[9] =
	"ALTER TABLE jobs ADD COLUMN approved_by TEXT;"
	"ALTER TABLE jobs ADD COLUMN approved_us INTEGER NOT NULL DEFAULT 0;",

	/* Jobs that count elapsed time within a boot, whatever the wall clock does. */
	[10] =
	"CREATE INDEX jobs_relative ON jobs (state, boot, due_us, id) WHERE boot_due_us > 0 AND final = 0;",

	/* Whose rights count when a job starts. */
	[11] =
	"ALTER TABLE jobs ADD COLUMN answers_uid INTEGER NOT NULL DEFAULT 0;"
	"UPDATE jobs SET answers_uid = uid;",

	/* Another digest of each row: store_seals_all() writes them. */
	[12] = "DELETE FROM seals;",

	/* What a schedule had done before the clock was put back. */
	[13] = "ALTER TABLE schedules ADD COLUMN done_us INTEGER NOT NULL DEFAULT 0;",

	/* Notices that wait to be delivered, and the last of those that do not any more. */
	[14] =
	"CREATE TABLE notices (id INTEGER PRIMARY KEY, uid TEXT NOT NULL, scope TEXT NOT NULL, name TEXT NOT NULL,"
	" event TEXT NOT NULL, application TEXT NOT NULL, stage TEXT NOT NULL, job INTEGER NOT NULL, body TEXT NOT NULL,"
	" created_us INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, next_us INTEGER NOT NULL,"
	" tried_us INTEGER NOT NULL, error TEXT) STRICT;"
	"CREATE INDEX notices_line ON notices (state, scope, name, next_us, id);"
	"CREATE INDEX notices_state ON notices (state, id);",

	/* What a record of a finished job is still needed for, before it is removed. */
	[15] =
	"ALTER TABLE keys ADD COLUMN job INTEGER NOT NULL DEFAULT 0;"
	"UPDATE keys SET job = coalesce(json_extract(reply, '$.parameters.job.id'), 0)"
	" WHERE json_valid(reply) AND json_type(reply, '$.parameters.job.id') = 'integer';"
	"CREATE INDEX keys_job ON keys (job) WHERE job > 0;"
	"CREATE INDEX notices_job ON notices (job) WHERE state = 'waiting';"
	"CREATE INDEX irreversible_job ON irreversible (job);",

	/* How old a notice is, by a clock that nobody sets; 0: nobody noted it. */
	[16] = "ALTER TABLE notices ADD COLUMN steady_us INTEGER NOT NULL DEFAULT 0;",
};
// clang-format on

/* What SQL alone cannot do, after the text of its version and in its transaction. */
static int (*const in_c[STORE_SCHEMA + 1])(struct store *store, struct err *err) = {
    [8] = store_audit_migrate,
};

/* One version on, whole or not at all. */
static int
migrate_to(struct store *store, int64_t to, struct err *err)
{
	_cleanup_free_ char *end =
	    xasprintf("PRAGMA application_id = %d; PRAGMA user_version = %lld; COMMIT",
		      store->restored ? STORE_BACKUP_ID : STORE_APPLICATION_ID, (long long)to);
	int r = store_execute(store, "BEGIN EXCLUSIVE", err);

	if (r == 0)
		r = store_execute(store, migrations[to], err);
	if (r == 0 && in_c[to])
		r = in_c[to](store, err);
	if (r == 0 && to >= STORE_SEALED)
		r = store_seals_all(store, err);
	if (r == 0)
		r = store_execute(store, end, err);
	if (r < 0 && !sqlite3_get_autocommit(store->db))
		(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int
store_migrate(struct store *store, int64_t version, struct err *err)
{
	_cleanup_free_ char *copy = xasprintf("%s.version-%lld", store->path, (long long)version);
	int r = version > 0 && version < STORE_SCHEMA ? store_backup(store, copy, err) : 0;

	for (int64_t to = version + 1; to <= STORE_SCHEMA && r == 0; to++)
		r = migrate_to(store, to, err);
	return r;
}
