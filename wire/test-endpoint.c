#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "wire/endpoint.h"

/* A scratch directory per test; the runtime directory is below it, not yet made. */
struct scratch {
	char directory[64];
	char runtime[80];
	struct endpoint endpoint;
};

static int scratch_setup(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));
	strcpy(s->directory, "/tmp/test-endpoint-XXXXXX");
	assert_non_null(mkdtemp(s->directory));
	snprintf(s->runtime, sizeof(s->runtime), "%s/run", s->directory);
	assert_int_equal(endpoint_init(&s->endpoint, s->runtime, NULL, NULL), 0);
	*state = s;
	return 0;
}

static int scratch_teardown(void **state)
{
	struct scratch *s = *state;
	assert_int_equal(file_remove_tree(AT_FDCWD, s->directory, NULL), 0);
	free(s);
	return 0;
}

static int listen_at(const struct endpoint *endpoint, int backlog)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, endpoint->socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static void endpoint__names_tell_the_view_and_lie_together(void **state)
{
	struct scratch *s = *state;
	struct stat root;
	assert_int_equal(stat("/", &root), 0);
	assert_true(s->endpoint.root_dev == root.st_dev && s->endpoint.root_ino == root.st_ino);
	size_t n = strlen(s->runtime);
	assert_memory_equal(s->endpoint.socket, s->runtime, n);
	assert_int_equal(strlen(s->endpoint.socket), n + 1 + 16 + 5);
	assert_string_equal(s->endpoint.socket + n + 17, ".sock");
	assert_memory_equal(s->endpoint.socket, s->endpoint.lock, n + 17);
	assert_string_equal(s->endpoint.lock + n + 17, ".lock");
	assert_string_equal(s->endpoint.heartbeat + n + 17, ".beat");
}

static void endpoint__each_profile_has_its_own(void **state)
{
	struct scratch *s = *state;
	struct endpoint none, a, ab, again;
	assert_int_equal(endpoint_init(&none, s->runtime, "", NULL), 0);
	assert_int_equal(endpoint_init(&a, s->runtime, "a", NULL), 0);
	assert_int_equal(endpoint_init(&ab, s->runtime, "ab", NULL), 0);
	assert_int_equal(endpoint_init(&again, s->runtime, "ab", NULL), 0);
	assert_string_equal(none.socket, s->endpoint.socket);
	assert_string_not_equal(a.socket, none.socket);
	assert_string_not_equal(ab.socket, a.socket);
	assert_string_equal(ab.socket, again.socket);
	assert_string_not_equal(a.lock, ab.lock);
}

static void endpoint__without_a_directory_it_is_found_from_the_environment(void **state)
{
	struct scratch *s = *state;
	struct endpoint e;
	char expected[128];
	setenv("XDG_RUNTIME_DIR", s->directory, 1);
	assert_int_equal(endpoint_init(&e, NULL, NULL, NULL), 0);
	snprintf(expected, sizeof(expected), "%s/llama", s->directory);
	assert_string_equal(e.directory, expected);

	snprintf(expected, sizeof(expected), "/tmp/llama-%u", geteuid());
	const char *unusable[] = { "relative", "/nonexistent", "/dev/null" };
	for (size_t i = 0; i < 3; i++) {
		setenv("XDG_RUNTIME_DIR", unusable[i], 1);
		assert_int_equal(endpoint_init(&e, "", NULL, NULL), 0);
		assert_string_equal(e.directory, expected);
	}
	unsetenv("XDG_RUNTIME_DIR");
}

static void endpoint__a_path_too_long_or_relative_is_refused_by_name(void **state)
{
	struct endpoint e;
	struct error err;
	char longest[300];
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	for (size_t n = 80; n < sizeof(longest); n += 73) {
		longest[n] = '\0';
		int result = endpoint_init(&e, longest, NULL, &err);
		assert_int_equal(result, n > 85 ? -1 : 0);
		if (result < 0)
			assert_non_null(strstr(err.text, "LLAMA_RUNTIME_DIR"));
		longest[n] = 'x';
	}
	assert_int_equal(endpoint_init(&e, "run", NULL, &err), -1);
	assert_non_null(strstr(err.text, "run is not an absolute path"));
}

static void endpoint__the_directory_is_made_private_or_refused(void **state)
{
	struct scratch *s = *state;
	struct error err;
	struct stat st;
	assert_int_equal(endpoint_make_directory(&s->endpoint, &err), 0);
	assert_int_equal(stat(s->runtime, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(endpoint_make_directory(&s->endpoint, &err), 0);

	assert_int_equal(chmod(s->runtime, 0750), 0);
	assert_int_equal(endpoint_make_directory(&s->endpoint, &err), -1);
	assert_non_null(strstr(err.text, "has mode 750"));

	assert_int_equal(rmdir(s->runtime), 0);
	assert_int_equal(symlink(s->directory, s->runtime), 0);
	assert_int_equal(endpoint_make_directory(&s->endpoint, &err), -1);
	assert_int_equal(err.code, ENOTDIR);
}

static void endpoint__a_directory_open_to_others_is_not_connected_to(void **state)
{
	struct scratch *s = *state;
	struct error err;
	assert_int_equal(endpoint_make_directory(&s->endpoint, NULL), 0);
	_cleanup_close_ int listener = listen_at(&s->endpoint, 4);
	assert_true(listener >= 0);
	assert_int_equal(chmod(s->runtime, 0777), 0);
	assert_int_equal(endpoint_connect(&s->endpoint, 100, &err), -1);
	assert_int_equal(err.code, EPERM);
	assert_int_equal(chmod(s->runtime, 0700), 0);
	_cleanup_close_ int fd = endpoint_connect(&s->endpoint, 100, &err);
	assert_true(fd >= 0);
}

static void endpoint__nobody_listening_is_told_apart(void **state)
{
	struct scratch *s = *state;
	struct error err;
	assert_int_equal(endpoint_connect(&s->endpoint, 100, &err), -1);
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(endpoint_make_directory(&s->endpoint, NULL), 0);
	close(listen_at(&s->endpoint, 1));
	assert_int_equal(endpoint_connect(&s->endpoint, 100, &err), -1);
	assert_int_equal(err.code, ECONNREFUSED);
}

static void endpoint__a_connection_never_takes_a_standard_descriptor(void **state)
{
	struct scratch *s = *state;
	assert_int_equal(endpoint_make_directory(&s->endpoint, NULL), 0);
	_cleanup_close_ int listener = listen_at(&s->endpoint, 4);
	assert_true(listener >= 0);
	int saved = fcntl(0, F_DUPFD_CLOEXEC, 100);
	close(0);
	_cleanup_close_ int fd = endpoint_connect(&s->endpoint, 100, NULL);
	assert_int_equal(fcntl(0, F_GETFD), -1);
	if (saved >= 0) {
		dup2(saved, 0);
		close(saved);
	}
	assert_true(fd > 2);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
}

static void endpoint__a_full_backlog_is_waited_for_so_long(void **state)
{
	struct scratch *s = *state;
	assert_int_equal(endpoint_make_directory(&s->endpoint, NULL), 0);
	_cleanup_close_ int listener = listen_at(&s->endpoint, 0);
	assert_true(listener >= 0);
	_cleanup_close_ int first = endpoint_connect(&s->endpoint, 100, NULL);
	assert_true(first >= 0);
	struct error err;
	int64_t start = clock_monotonic_ms();
	assert_int_equal(endpoint_connect(&s->endpoint, 100, &err), -1);
	assert_int_equal(err.code, EAGAIN);
	assert_true(clock_monotonic_ms() - start >= 90);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define scratch_test(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
		scratch_test(endpoint__names_tell_the_view_and_lie_together),
		scratch_test(endpoint__each_profile_has_its_own),
		scratch_test(endpoint__without_a_directory_it_is_found_from_the_environment),
		cmocka_unit_test(endpoint__a_path_too_long_or_relative_is_refused_by_name),
		scratch_test(endpoint__the_directory_is_made_private_or_refused),
		scratch_test(endpoint__a_directory_open_to_others_is_not_connected_to),
		scratch_test(endpoint__nobody_listening_is_told_apart),
		scratch_test(endpoint__a_connection_never_takes_a_standard_descriptor),
		scratch_test(endpoint__a_full_backlog_is_waited_for_so_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
