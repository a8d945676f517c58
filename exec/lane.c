#include "exec/lane.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/list.h"
#include "event/work.h"
#include "store/store_disk.h"
#include "worker/sync.h"

/* Names in a sandbox root that belong to the runner, not to the snapshot. */
static const char *const runner_names[] = { "proc", "dev", ".llama", NULL };

struct lane {
	struct lanes *lanes;
	char *directory;           /* owned: the sandbox's slot, or the place of the command's temporaries */
	struct sync_target target; /* sandbox; open once `opened` */
	bool opened;
	bool busy;
	pthread_mutex_t lock; /* of `runner`, which the lane's thread replaces and the loop kills */
	struct runner *runner; /* NULL before the first job and after a failure */
};

struct lanes {
	struct executor executor;
	uv_loop_t *loop;
	struct lane_options options; /* strings owned */
	struct lane *lanes;
	struct list waiting; /* lane_op.link: jobs without a lane */
	unsigned under_way;  /* ops whose callback hasn't run */
};

struct lane_op {
	struct exec_op op;
	struct lanes *lanes;
	const struct exec_job *job;
	exec_done_fn *fn;
	void *ctx;
	struct lane *lane; /* NULL while waiting */
	struct list link;
	atomic_bool cancelled;
	/* Filled by the lane's thread. */
	int outcome;
	struct exec_result result;
	struct error err;
};

/* --- On the lane's thread -------------------------------------------------------------------------------------- */

static int lane_make_runner(struct lane *lane, struct error *err)
{
	const struct lane_options *options = &lane->lanes->options;
	bool sandbox = options->mode == RUNNER_NAMESPACES;
	if (sandbox && !lane->opened) {
		if (sync_target_open(&lane->target, lane->directory, runner_names, err) < 0) {
			sync_target_close(&lane->target);
			return -1;
		}
		lane->opened = true;
	}
	if (!sandbox && file_make_dirs(lane->directory, 0700, err) < 0)
		return -1;
	struct runner_options runner_options = {
		.mode = options->mode,
		.program = options->runner,
		.interposer = options->interposer,
		.root = sandbox ? lane->target.root : NULL,
		.tmpdir = sandbox ? NULL : lane->directory,
		.nofile = options->nofile,
	};
	struct runner *runner = runner_new(&runner_options, err);
	if (!runner)
		return -1;
	pthread_mutex_lock(&lane->lock);
	lane->runner = runner;
	pthread_mutex_unlock(&lane->lock);
	return 0;
}

static void lane_drop_runner(struct lane *lane)
{
	struct runner *runner = lane->runner;
	pthread_mutex_lock(&lane->lock);
	lane->runner = NULL;
	pthread_mutex_unlock(&lane->lock);
	runner_free(runner); /* waits for its end: not under the lock, for which the loop may wait */
}

static int run_command(struct lane_op *op, struct run_result *ret, struct error *err)
{
	const struct exec_job *job = op->job;
	bool inplace = op->lanes->options.mode == RUNNER_INPLACE;
	struct run_redirect *redirects = arena_array(&op->result.arena, struct run_redirect, job->n_outputs + 1);
	size_t n_redirects = 0;
	for (size_t i = 0; inplace && i < job->n_outputs; i++)
		redirects[n_redirects++] = (struct run_redirect){ job->outputs[i].path, job->outputs[i].temporary };
	struct run_command command = {
		.argv = job->argv,
		.env = job->env,
		.cwd = job->cwd,
		.umask = job->umask,
		.tty = job->tty,
		.columns = job->columns,
		.rows = job->rows,
		.redirects = redirects,
		.n_redirects = n_redirects,
		.timeout_ms = job->timeout_ms,
		.cancelled = &op->cancelled,
	};
	if (runner_run(op->lane->runner, &command, ret, err) < 0)
		return -1;

	struct exec_result *result = &op->result;
	result->exit_code = ret->exit_code;
	result->signal = ret->signal;
	result->timed_out = ret->timed_out;
	result->user_us = ret->user_us;
	result->system_us = ret->system_us;
	result->wall_us = ret->wall_us;
	result->max_rss_kb = ret->max_rss_kb;
	result->out = ret->out;
	result->err = ret->err;
	ret->out = ret->err = (struct buf){ 0 };

	const char **ours = arena_array(&result->arena, const char *, 2 * job->n_outputs + 1);
	size_t n = 0;
	for (size_t i = 0; i < job->n_outputs; i++) {
		ours[n++] = job->outputs[i].path;
		if (inplace)
			ours[n++] = job->outputs[i].temporary;
	}
	struct lookup_log_filter filter = {
		.outputs = ours,
		.private_dir = inplace ? op->lane->directory : "/.llama",
		.program = job->argv[0],
	};
	return lookup_log_parse(
		slice_of(ret->trace, ret->trace_bytes), &filter, &result->arena, &result->log, err);
}

/* Everything that isn't an output of the job, though it still stands after it. */
static void note_stray(struct exec_result *result, const struct exec_job *job, const char *path)
{
	for (size_t i = 0; i < job->n_outputs; i++)
		if (strcmp(path, job->outputs[i].path) == 0 ||
			(job->outputs[i].temporary && strcmp(path, job->outputs[i].temporary) == 0))
			return;
	if (!result->strays)
		result->strays = arena_array(&result->arena, const char *, result->log.n_written + 1);
	result->strays[result->n_strays++] = path;
}

static int keep_messages(struct store *content, struct exec_result *result, struct error *err)
{
	struct {
		struct buf *bytes;
		struct digest *digest;
	} streams[] = { { &result->out, &result->out_digest }, { &result->err, &result->err_digest } };
	for (size_t i = 0; i < 2; i++) {
		if (streams[i].bytes->len == 0)
			continue;
		*streams[i].digest = digest_of(buf_slice(streams[i].bytes));
		if (store_put(content, streams[i].digest, buf_slice(streams[i].bytes), err) < 0)
			return -1;
	}
	return 0;
}

/* A failure to keep an output costs a later hit, not this result. */
static bool keep_file(struct store *content, int fd, struct digest *ret)
{
	return content && store_put_fd(content, fd, ret, NULL) == 0;
}

static int run_inplace(struct lane_op *op, struct error *err)
{
	const struct exec_job *job = op->job;
	struct exec_result *result = &op->result;
	struct run_result run = { 0 };
	int outcome = run_command(op, &run, err);
	run_result_deinit(&run);
	if (outcome < 0)
		return -1;
	for (size_t i = 0; i < job->n_outputs; i++) {
		struct exec_output_result *output = &result->outputs[i];
		_cleanup_close_ int fd = open(job->outputs[i].temporary, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		struct stat st;
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
			return error_set(err, fd < 0 ? errno : EINVAL, "cannot use output %s", job->outputs[i].temporary);
		output->present = true;
		output->executable = st.st_mode & 0111;
		if (job->keep_outputs)
			output->kept = keep_file(op->lanes->options.content, fd, &output->digest);
	}
	for (size_t i = 0; i < result->log.n_written; i++) {
		struct stat st;
		if (lstat(result->log.written[i], &st) == 0)
			note_stray(result, job, result->log.written[i]);
	}
	return 0;
}

/* Bring one output home: to its temporary, and into the content store. */
static int collect_output(struct lane_op *op, size_t i, struct error *err)
{
	const struct exec_output *output = &op->job->outputs[i];
	struct exec_output_result *ret = &op->result.outputs[i];
	struct sync_target *target = &op->lane->target;
	const char *place = sync_place(target, &op->result.arena, output->path);
	if (!place)
		return 0;
	_cleanup_close_ int fd = openat(target->root_fd, place, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "cannot open output %s in the sandbox", output->path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "output %s in the sandbox is no regular file", output->path);
	ret->present = true;
	ret->executable = st.st_mode & 0111;
	struct store *content = op->lanes->options.content;
	if (op->job->keep_outputs && content) {
		const char *path = arena_printf(&op->result.arena, "%s/%s", target->root, place);
		ret->kept = store_disk_take_file(content, path, &ret->digest, NULL) == 0;
	}
	if (!output->temporary)
		return 0;
	_cleanup_close_ int home = file_create(output->temporary, ret->executable ? 0777 : 0666, op->job->umask, err);
	if (home < 0)
		return -1;
	return file_copy_fd(fd, home, err) < 0 ? error_wrap(err, "%s", output->temporary) : 0;
}

static int run_sandbox(struct lane_op *op, struct error *err)
{
	const struct exec_job *job = op->job;
	struct exec_result *result = &op->result;
	const struct lane_options *options = &op->lanes->options;
	struct sync_target *target = &op->lane->target;

	struct sync_report report;
	int outcome = sync_tree(target, options->directories, options->files, &job->root, &report, err);
	result->synced_bytes = report.written_bytes;
	if (outcome == SYNC_MISSING) {
		result->missing = report.missing[0];
		return EXEC_MISSING;
	}
	if (outcome < 0)
		return -1;
	if (atomic_load(&op->cancelled))
		return EXEC_CANCELLED;
	if (sync_mark_dirty(target, err) < 0)
		return -1;
	struct run_result run = { 0 };
	outcome = run_command(op, &run, err);
	run_result_deinit(&run);
	if (outcome < 0)
		return -1;

	/* The paths must be resolved before outputs are moved and strays removed. */
	const struct lookup_log *log = &result->log;
	const char **changed = arena_array(&result->arena, const char *, log->n_written + job->n_outputs + 1);
	size_t n_changed = 0;
	for (size_t i = 0; i < log->n_written; i++) {
		const char *place = sync_place(target, &result->arena, log->written[i]);
		struct stat st;
		if (!place)
			continue;
		changed[n_changed++] = place;
		if (fstatat(target->root_fd, place, &st, AT_SYMLINK_NOFOLLOW) == 0)
			note_stray(result, job, log->written[i]);
	}
	for (size_t i = 0; i < job->n_outputs; i++) {
		const char *place = sync_place(target, &result->arena, job->outputs[i].path);
		if (place)
			changed[n_changed++] = place;
	}
	for (size_t i = 0; i < job->n_outputs; i++)
		if (collect_output(op, i, err) < 0)
			return -1;
	/* A job that wasn't observed in full may have changed anything: its tree stays marked and is built anew. */
	if (log->complete) {
		struct error ignored; /* likewise: the tree stays marked */
		outcome = sync_restore_job(target, options->directories, options->files, changed, n_changed, &report, &ignored);
		if (outcome == 0 && sync_mark_clean(target, err) < 0)
			return -1;
	}
	return 0;
}

static void op_run(void *ctx)
{
	struct lane_op *op = ctx;
	struct lane *lane = op->lane;
	op->result.outputs = arena_array(&op->result.arena, struct exec_output_result, op->job->n_outputs + 1);
	if (atomic_load(&op->cancelled))
		return;
	if (!lane->runner && lane_make_runner(lane, &op->err) < 0) {
		op->outcome = -1;
		return;
	}
	bool sandbox = op->lanes->options.mode == RUNNER_NAMESPACES;
	op->outcome = sandbox ? run_sandbox(op, &op->err) : run_inplace(op, &op->err);
	if (op->outcome == 0 && op->job->keep_outputs && op->lanes->options.content &&
		keep_messages(op->lanes->options.content, &op->result, &op->err) < 0)
		op->outcome = -1;
	if (op->outcome < 0)
		lane_drop_runner(lane);
}

/* --- On the loop ----------------------------------------------------------------------------------------------- */

static void op_done(void *ctx);

static void op_begin(struct lane_op *op, struct lane *lane)
{
	lane->busy = true;
	op->lane = lane;
	work_start(op->lanes->loop, op_run, op_done, op);
}

static void op_done(void *ctx)
{
	struct lane_op *op = ctx;
	struct lanes *lanes = op->lanes;
	if (op->lane) {
		struct lane *lane = op->lane;
		lane->busy = false;
		struct lane_op *next = list_first(&lanes->waiting, struct lane_op, link);
		if (next) {
			list_remove(&next->link);
			op_begin(next, lane);
		}
	}
	if (atomic_load(&op->cancelled))
		op->outcome = EXEC_CANCELLED;
	struct exec_result result = { 0 };
	if (op->outcome == 0 || op->outcome == EXEC_MISSING)
		result = op->result;
	else
		exec_result_deinit(&op->result);
	lanes->under_way--;
	op->fn(op->ctx, op->outcome, &result, &op->err);
	free(op);
}

static struct exec_op *lanes_start(struct executor *executor, const struct exec_job *job, exec_done_fn *fn, void *ctx)
{
	struct lanes *lanes = container_of(executor, struct lanes, executor);
	struct lane_op *op = calloc(1, sizeof(*op));
	if (!op)
		abort();
	op->op.executor = executor;
	op->lanes = lanes;
	op->job = job;
	op->fn = fn;
	op->ctx = ctx;
	list_init(&op->link);
	lanes->under_way++;
	/* The lane that ran last comes first: its tree and caches are the warmest. */
	for (unsigned i = 0; i < lanes->options.width; i++) {
		if (!lanes->lanes[i].busy) {
			op_begin(op, &lanes->lanes[i]);
			return &op->op;
		}
	}
	list_append(&lanes->waiting, &op->link);
	return &op->op;
}

static void nothing(void *ctx)
{
}

static void lanes_cancel(struct exec_op *exec_op)
{
	struct lane_op *op = container_of(exec_op, struct lane_op, op);
	if (atomic_exchange(&op->cancelled, true))
		return;
	if (!op->lane) {
		list_remove(&op->link);
		work_start(op->lanes->loop, nothing, op_done, op);
		return;
	}
	pthread_mutex_lock(&op->lane->lock);
	if (op->lane->runner)
		runner_kill(op->lane->runner);
	pthread_mutex_unlock(&op->lane->lock);
}

static unsigned lanes_width(const struct executor *executor)
{
	return container_of(executor, struct lanes, executor)->options.width;
}

static void lanes_free(struct executor *executor)
{
	struct lanes *lanes = container_of(executor, struct lanes, executor);
	assert(lanes->under_way == 0);
	for (unsigned i = 0; i < lanes->options.width; i++) {
		struct lane *lane = &lanes->lanes[i];
		runner_free(lane->runner);
		if (lane->opened)
			sync_target_close(&lane->target);
		pthread_mutex_destroy(&lane->lock);
		free(lane->directory);
	}
	free(lanes->lanes);
	free((char *)lanes->options.directory);
	free((char *)lanes->options.runner);
	free((char *)lanes->options.interposer);
	free(lanes);
}

struct executor *lanes_new(uv_loop_t *loop, const struct lane_options *options, struct error *err)
{
	static const struct executor_ops sandbox_ops = { "sandbox", lanes_start, lanes_cancel, lanes_width, lanes_free };
	static const struct executor_ops inplace_ops = { "inplace", lanes_start, lanes_cancel, lanes_width, lanes_free };

	if (file_make_dirs(options->directory, 0700, err) < 0)
		return NULL;
	/* The physical path, because sync_place() compares such. */
	char *directory = realpath(options->directory, NULL);
	if (!directory) {
		error_set(err, errno, "cannot resolve %s", options->directory);
		return NULL;
	}
	struct lanes *lanes = calloc(1, sizeof(*lanes));
	if (!lanes)
		abort();
	lanes->executor.ops = options->mode == RUNNER_NAMESPACES ? &sandbox_ops : &inplace_ops;
	lanes->loop = loop;
	lanes->options = *options;
	lanes->options.directory = directory;
	lanes->options.runner = strdup(options->runner);
	lanes->options.interposer = strdup(options->interposer);
	list_init(&lanes->waiting);
	lanes->lanes = calloc(options->width, sizeof(*lanes->lanes));
	if (!lanes->lanes || !lanes->options.runner || !lanes->options.interposer)
		abort();
	for (unsigned i = 0; i < options->width; i++) {
		struct lane *lane = &lanes->lanes[i];
		struct buf path = { 0 };
		buf_printf(&path, "%s/%u", directory, i);
		lane->lanes = lanes;
		lane->directory = buf_take(&path);
		pthread_mutex_init(&lane->lock, NULL);
	}
	if (lane_make_runner(&lanes->lanes[0], err) < 0) {
		lanes_free(&lanes->executor);
		return NULL;
	}
	return &lanes->executor;
}
