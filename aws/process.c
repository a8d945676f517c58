#include "aws/process.h"

#include <signal.h>
#include <stdlib.h>

#include "base/buf.h"

enum { ERR_BYTES = 1024 };

/* Freed when the last of its four handles has closed. The result is given when the command has ended and both pipes have. */
struct process {
	uv_process_t child;
	uv_pipe_t out_pipe, err_pipe;
	uv_timer_t timer;
	unsigned open_handles, unfinished;
	struct buf out, err;
	size_t limit_bytes;
	struct process_result result;
	process_done_fn *fn; /* NULL: it has run, or will not */
	void *ctx;
};

static void closed(uv_handle_t *handle)
{
	struct process *p = handle->data;
	if (--p->open_handles)
		return;
	buf_deinit(&p->out);
	buf_deinit(&p->err);
	free(p);
}

static void close_all(struct process *p)
{
	uv_handle_t *const handles[] = { (uv_handle_t *)&p->child, (uv_handle_t *)&p->out_pipe,
		(uv_handle_t *)&p->err_pipe, (uv_handle_t *)&p->timer };
	for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++)
		if (!uv_is_closing(handles[i]))
			uv_close(handles[i], closed);
}

static void finish(struct process *p, const struct process_result *result, const struct error *err)
{
	process_done_fn *fn = p->fn;
	p->fn = NULL;
	fn(p->ctx, result, err);
	close_all(p);
}

static void one_finished(struct process *p)
{
	if (--p->unfinished)
		return;
	p->result.out = buf_slice(&p->out);
	p->result.err = buf_slice(&p->err);
	finish(p, &p->result, NULL);
}

/* It leads a session, hence a group; whoever has left that is beyond us. */
static void kill_group(struct process *p)
{
	if (uv_is_active((uv_handle_t *)&p->child))
		kill(-uv_process_get_pid(&p->child), SIGKILL);
}

static void give_up(struct process *p, int code, const char *why)
{
	struct error err;
	error_set(&err, 0, "%s", why);
	err.code = code;
	kill_group(p);
	finish(p, NULL, &err);
}

static void timed_out(uv_timer_t *timer)
{
	give_up(timer->data, ETIMEDOUT, "it took too long");
}

static void exited(uv_process_t *child, int64_t status, int signal)
{
	struct process *p = child->data;
	if (!p->fn)
		return;
	p->result.exit_status = (int)status;
	p->result.term_signal = signal;
	one_finished(p);
}

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct process *p = handle->data;
	struct buf *into = handle == (uv_handle_t *)&p->out_pipe ? &p->out : &p->err;
	enum { PIECE = 4096 };
	*ret = uv_buf_init(buf_reserve(into, PIECE), PIECE);
}

static void got_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct process *p = stream->data;
	bool is_out = stream == (uv_stream_t *)&p->out_pipe;
	struct buf *into = is_out ? &p->out : &p->err;
	if (n < 0) { /* the end; a pipe has no other */
		uv_read_stop(stream);
		one_finished(p);
		return;
	}
	into->len += (size_t)n;
	if (!is_out && into->len > ERR_BYTES)
		into->len = ERR_BYTES;
	buf_reserve(into, 1)[0] = '\0';
	if (is_out && into->len > p->limit_bytes)
		give_up(p, EFBIG, "it wrote too much");
}

struct process *process_start(uv_loop_t *loop, char *const *argv, char *const *environment, int64_t limit_ms,
	size_t limit_bytes, process_done_fn *fn, void *ctx, struct error *err)
{
	struct process *p = calloc(1, sizeof(*p));
	if (!p)
		abort();
	*p = (struct process){ .limit_bytes = limit_bytes, .fn = fn, .ctx = ctx, .open_handles = 4, .unfinished = 3 };
	uv_pipe_init(loop, &p->out_pipe, 0);
	uv_pipe_init(loop, &p->err_pipe, 0);
	uv_timer_init(loop, &p->timer);
	p->out_pipe.data = p->err_pipe.data = p->timer.data = p->child.data = p;
	uv_stdio_container_t stdio[3] = { { .flags = UV_IGNORE },
		{ .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&p->out_pipe },
		{ .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&p->err_pipe } };
	const uv_process_options_t options = { .exit_cb = exited,
		.file = argv[0],
		.args = (char **)argv,
		.env = (char **)environment,
		.flags = UV_PROCESS_DETACHED,
		.stdio_count = 3,
		.stdio = stdio };
	int result = uv_spawn(loop, &p->child, &options);
	if (result < 0) {
		error_set(err, -result, "cannot start %s", argv[0]);
		close_all(p);
		return NULL;
	}
	uv_timer_start(&p->timer, timed_out, (uint64_t)limit_ms, 0);
	uv_read_start((uv_stream_t *)&p->out_pipe, allocate, got_bytes);
	uv_read_start((uv_stream_t *)&p->err_pipe, allocate, got_bytes);
	return p;
}

void process_cancel(struct process *p)
{
	if (!p)
		return;
	kill_group(p);
	p->fn = NULL;
	close_all(p);
}
