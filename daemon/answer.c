#include "daemon/answer.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/path.h"
#include "compiler/depfile.h"
#include "daemon/daemon_internal.h"

void answer_deinit(struct answer *answer)
{
	buf_deinit(&answer->out);
	buf_deinit(&answer->err);
}

/* The targets of a dependency file as one string; in front '=' when the renderer has reproduced this very file, '!' when not: then it
 * serves only the same targets. */
static const char *join_targets(const char *const *targets, size_t n, bool proven, struct arena *arena)
{
	_cleanup_buf_ struct buf text = { 0 };
	buf_append_char(&text, proven ? '=' : '!');
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%s%s", i ? "\n" : "", targets[i]);
	return arena_strndup(arena, text.ptr, text.len);
}

static size_t split_targets(const char *text, struct arena *arena, const char ***ret)
{
	const char **targets = arena_array(arena, const char *, strlen(text) + 2);
	size_t n = 0;
	for (const char *p = text; *p;) {
		size_t length = strcspn(p, "\n");
		targets[n++] = arena_strndup(arena, p, length);
		p += length + (p[length] == '\n');
	}
	*ret = targets;
	return n;
}

int answer_move_depfile(struct slice stored, const char *targets, const char *from, const char *to, struct arena *arena, const char **targets_ret,
	struct buf *ret)
{
	const char **old;
	size_t n = split_targets(targets + 1, arena, &old);
	const char **new = arena_array(arena, const char *, n + 1);
	for (size_t i = 0; i < n; i++)
		new[i] = path_is_below(old[i], from) ? arena_printf(arena, "%s%s", to, old[i] + strlen(from)) : old[i];
	if (depfile_rebase(stored, old, n, new, n, from, to, ret) != 0)
		return -1;
	*targets_ret = join_targets(new, n, true, arena);
	return 0;
}

static int create_temporary(const struct plan *plan, size_t i, bool executable, struct error *err)
{
	return file_create(plan->outputs[i].temporary, executable ? 0777 : 0666, (mode_t)plan->frame->umask, err);
}

/* A stored dependency file for other targets. */
static int put_depfile(struct daemon *daemon, const struct plan *plan, size_t i, const struct cache_result *result,
	const struct cache_output *output, struct arena *arena, struct error *err)
{
	const struct command_depfile *wanted = &plan->command.depfile;
	_cleanup_buf_ struct buf stored = { 0 }, rendered = { 0 };
	int outcome = store_get(daemon->content, &output->digest, &stored, err);
	if (outcome != 0)
		return outcome == STORE_MISS ? ANSWER_MISS : -1;
	const char **old;
	size_t n_old = split_targets(result->depfile_targets + 1, arena, &old);
	if (depfile_retarget(buf_slice(&stored), old, n_old, wanted->targets, wanted->n_targets, &rendered) != 0)
		return ANSWER_MISS;
	_cleanup_close_ int fd = create_temporary(plan, i, false, err);
	return fd < 0 ? -1 : file_write_fd(fd, buf_slice(&rendered), err);
}

static int put_output(struct daemon *daemon, const struct plan *plan, size_t i, const struct cache_output *output, struct error *err)
{
	_cleanup_close_ int fd = create_temporary(plan, i, output->executable, err);
	if (fd < 0)
		return -1;
	int outcome = store_get_fd(daemon->content, &output->digest, fd, err);
	return outcome == STORE_MISS ? ANSWER_MISS : outcome;
}

static int get_message(struct daemon *daemon, const struct digest *digest, struct buf *ret, struct error *err)
{
	if (digest->size_bytes == 0)
		return 0;
	int outcome = store_get(daemon->content, digest, ret, err);
	return outcome == STORE_MISS ? ANSWER_MISS : outcome;
}

int answer_from_cache(struct daemon *daemon, const struct plan *plan, const struct cache_result *result, struct arena *arena,
	struct answer *ret, struct error *err)
{
	const struct command *command = &plan->command;
	ret->present = arena_array(arena, bool, plan->n_outputs + 1);
	ret->cached = true;
	if (result->n_outputs != plan->n_outputs)
		return ANSWER_MISS;
	bool same_targets = true;
	if (command->depfile.wanted && *result->depfile_targets) {
		const char *targets = join_targets(command->depfile.targets, command->depfile.n_targets, true, arena);
		same_targets = strcmp(targets + 1, result->depfile_targets + 1) == 0;
		if (!same_targets && result->depfile_targets[0] != '=')
			return ANSWER_MISS;
	}
	int outcome = 0;
	for (size_t k = 0; k < result->n_outputs && outcome == 0; k++) {
		const struct cache_output *output = &result->outputs[k];
		size_t i = strtoul(output->label, NULL, 10);
		if (i >= plan->n_outputs)
			return ANSWER_MISS;
		if (output->absent)
			continue;
		bool render = command->outputs[i].kind == OUTPUT_DEPFILE && !same_targets;
		outcome = render ? put_depfile(daemon, plan, i, result, output, arena, err) : put_output(daemon, plan, i, output, err);
		ret->present[i] = outcome == 0;
	}
	if (outcome == 0)
		outcome = get_message(daemon, &result->out, &ret->out, err);
	if (outcome == 0)
		outcome = get_message(daemon, &result->err, &ret->err, err);
	return outcome;
}

void answer_from_exec(const struct plan *plan, struct exec_result *result, struct arena *arena, struct answer *ret)
{
	ret->present = arena_array(arena, bool, plan->n_outputs + 1);
	ret->cached = false;
	for (size_t i = 0; i < plan->n_outputs; i++)
		ret->present[i] = result->outputs[i].present;
	ret->out = result->out;
	ret->err = result->err;
	result->out = result->err = (struct buf){ 0 };
}

/* Whether our renderer writes this file as the compiler did. */
static bool renderer_agrees(const struct command_depfile *depfile, const char *path)
{
	_cleanup_buf_ struct buf written = { 0 }, rendered = { 0 };
	if (file_read(path, 64 << 20, &written, NULL) < 0)
		return false;
	return depfile_retarget(buf_slice(&written), depfile->targets, depfile->n_targets, depfile->targets, depfile->n_targets,
		       &rendered) == 0 &&
		slice_equal(buf_slice(&written), buf_slice(&rendered));
}

bool answer_to_cache(const struct plan *plan, const struct exec_result *result, struct arena *arena, struct cache_result *ret)
{
	const struct command *command = &plan->command;
	*ret = (struct cache_result){
		.outputs = arena_array(arena, struct cache_output, plan->n_outputs + 1),
		.n_outputs = plan->n_outputs,
		.out = result->out_digest,
		.err = result->err_digest,
		.messages_kind = plan->messages_kind,
		.depfile_targets = "",
	};
	for (size_t i = 0; i < plan->n_outputs; i++) {
		const struct exec_output_result *output = &result->outputs[i];
		if (output->present && !output->kept)
			return false;
		ret->outputs[i] = (struct cache_output){
			.label = arena_printf(arena, "%zu", i),
			.digest = output->digest,
			.executable = output->executable,
			.absent = !output->present,
		};
		if (command->outputs[i].kind == OUTPUT_DEPFILE && output->present)
			ret->depfile_targets = join_targets(command->depfile.targets, command->depfile.n_targets,
				renderer_agrees(&command->depfile, plan->outputs[i].temporary), arena);
	}
	return true;
}
