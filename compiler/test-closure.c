#include "files/test-scratch.h"

#include "base/buf.h"
#include "compiler/closure.h"
#include "compiler/strlist.h"
#include "files/reading.h"

/* A small world: files below a scratch directory, whose clock says that everything is old. */
struct world {
	struct scratch *s;
	struct view *view;
	struct skeletons *skeletons;
	struct closures *closures;
	struct search search;
	struct closure_request request;
	struct prediction prediction;
};

static const char *const quote_dirs[] = { "q" }, *const bracket_dirs[] = { "a", "b", "sys" };

static const char **paths(struct scratch *s, const char *const *names, size_t n)
{
	const char **all = arena_array(&s->arena, const char *, n);
	for (size_t i = 0; i < n; i++)
		all[i] = scratch_path(s, names[i]);
	return all;
}

/* Our view believes that everything it sees is old: no two changes may fall into one tick of the clock that stamps files. */
static void let_it_tick(struct world *w)
{
	scratch_between_stamps(w->s);
}

static void write_file(struct world *w, const char *path, const char *text)
{
	let_it_tick(w);
	const char *slash = strrchr(path, '/');
	if (slash)
		scratch_mkdir(w->s, arena_strndup(&w->s->arena, path, (size_t)(slash - path)));
	scratch_write(w->s, path, text);
}

static void remove_file(struct world *w, const char *path)
{
	let_it_tick(w);
	assert_int_equal(unlink(scratch_path(w->s, path)), 0);
}

static int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	void *s;
	scratch_setup(&s);
	w->s = s;
	w->view = view_new();
	view_set_clock(w->view, scratch_late);
	w->skeletons = skeletons_new(w->view);
	w->closures = closures_new(w->view, w->skeletons);
	w->search = (struct search){
		.quote = paths(w->s, quote_dirs, 1),
		.n_quote = 1,
		.bracket = paths(w->s, bracket_dirs, 3),
		.n_bracket = 3,
	};
	w->request = (struct closure_request){
		.cwd = w->s->root,
		.source = scratch_path(w->s, "src/main.c"),
		.language = LANGUAGE_C,
	};
	for (size_t i = 0; i < 3; i++)
		scratch_mkdir(w->s, bracket_dirs[i]);
	scratch_mkdir(w->s, "q");
	*state = w;
	return 0;
}

static int world_teardown(void **state)
{
	struct world *w = *state;
	void *s = w->s;
	closures_free(w->closures);
	skeletons_free(w->skeletons);
	view_free(w->view);
	scratch_teardown(&s);
	free(w);
	return 0;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The paths relative to the scratch directory, sorted, joined by spaces. */
static const char *predicted(struct world *w)
{
	struct buf text = { 0 };
	size_t root = strlen(w->s->root) + 1;
	closures_predict(w->closures, view_arrive(w->view), &w->search, &w->request, &w->s->arena, &w->prediction);
	qsort(w->prediction.paths, w->prediction.n_paths, sizeof(char *), compare_strings);
	for (size_t i = 0; i < w->prediction.n_paths; i++)
		buf_printf(&text, "%s%s", i ? " " : "", w->prediction.paths[i] + root);
	const char *ret = arena_strdup(&w->s->arena, buf_str(&text));
	buf_deinit(&text);
	return ret;
}

#define expect(w, want) assert_string_equal(predicted(w), want)

static uint64_t resolved(const struct world *w)
{
	return closure_counters(w->closures).resolved;
}

static void closure__directories_without_the_name_are_told(void **state)
{
	struct world *w = *state;
	write_file(w, "src/main.c", "#include <lib/x.h>\n");
	scratch_mkdir(w->s, "a/lib");
	write_file(w, "b/lib/x.h", "");
	expect(w, "b/lib/x.h src/main.c");
	size_t n = 0;
	for (size_t i = 0; i < w->prediction.n_directories; i++)
		n += strcmp(w->prediction.directories[i], scratch_path(w->s, "a/lib")) == 0;
	assert_int_equal(n, 1);
}

static void closure__quotes_look_beside_the_includer_first_and_brackets_never(void **state)
{
	struct world *w = *state;
	write_file(w, "src/main.c", "#include \"x.h\"\n#include <y.h>\n");
	write_file(w, "src/y.h", "");
	write_file(w, "q/x.h", "");
	write_file(w, "q/y.h", "");
	write_file(w, "a/x.h", "");
	write_file(w, "b/y.h", "");
	write_file(w, "sys/y.h", "");
	expect(w, "b/y.h q/x.h src/main.c");
	write_file(w, "src/x.h", "#include \"deep/er.h\"\n");
	write_file(w, "src/deep/er.h", "#include \"er2.h\"\n#include \"../up.h\"\n");
	write_file(w, "src/deep/er2.h", "");
	write_file(w, "src/up.h", "");
	expect(w, "b/y.h src/deep/../up.h src/deep/er.h src/deep/er2.h src/main.c src/x.h");
	w->request.no_source_dir = true;
	expect(w, "b/y.h q/x.h src/main.c");
}

static void closure__include_next_takes_every_match(void **state)
{
	struct world *w = *state;
	write_file(w, "src/main.c", "#include <n.h>\n");
	write_file(w, "a/n.h", "#include_next <n.h>\n");
	write_file(w, "b/n.h", "#include_next <n.h>\n");
	write_file(w, "sys/n.h", "");
	expect(w, "a/n.h b/n.h src/main.c sys/n.h");
}

static void closure__absolute_names_and_has_include_count(void **state)
{
	struct world *w = *state;
	write_file(w, "src/main.c",
		arena_printf(&w->s->arena, "#include \"%s\"\n#if __has_include(<h.h>)\n#endif\n", scratch_path(w->s, "else/abs.h")));
	write_file(w, "else/abs.h", "#include \"beside.h\"\n");
	write_file(w, "else/beside.h", "");
	write_file(w, "sys/h.h", "");
	expect(w, "else/abs.h else/beside.h src/main.c sys/h.h");
}

static void closure__what_options_put_first_is_looked_for_from_the_working_directory(void **state)
{
	struct world *w = *state;
	write_file(w, "src/main.c", "");
	write_file(w, "src/forced.h", "");
	write_file(w, "q/forced.h", "");
	write_file(w, "sys/stdc-predef.h", "");
	w->request.forced = (const char *[]){ "forced.h" };
	w->request.n_forced = 1;
	w->request.implicit = true;
	expect(w, "q/forced.h src/main.c sys/stdc-predef.h");
	write_file(w, "forced.h", "");
	expect(w, "forced.h src/main.c sys/stdc-predef.h");
}

static void closure__a_header_that_appears_earlier_is_taken(void **state)
{
	struct world *w = *state;
	write_file(w, "src/main.c", "#include <lib/x.h>\n");
	write_file(w, "sys/lib/x.h", "");
	expect(w, "src/main.c sys/lib/x.h");
	write_file(w, "b/lib/other.h", "");
	expect(w, "src/main.c sys/lib/x.h");
	write_file(w, "b/lib/x.h", "");
	expect(w, "b/lib/x.h src/main.c");
	write_file(w, "a/lib/x.h", "");
	expect(w, "a/lib/x.h src/main.c");
	remove_file(w, "a/lib/x.h");
	expect(w, "b/lib/x.h src/main.c");
	remove_file(w, "b/lib/x.h");
	expect(w, "src/main.c sys/lib/x.h");
}

static void closure__an_edit_is_seen_by_the_next_request(void **state)
{
	struct world *w = *state;
	write_file(w, "src/main.c", "#include <one.h>\n");
	write_file(w, "a/one.h", "#include <two.h>\n");
	write_file(w, "a/two.h", "");
	write_file(w, "a/three.h", "");
	expect(w, "a/one.h a/two.h src/main.c");
	write_file(w, "a/one.h", "#include <two.h>\n#include <three.h>\n");
	expect(w, "a/one.h a/three.h a/two.h src/main.c");
	write_file(w, "src/main.c", "#include <three.h>   \n");
	expect(w, "a/three.h src/main.c");
}

static void closure__what_stays_the_same_is_resolved_once(void **state)
{
	struct world *w = *state;
	write_file(w, "src/main.c", "#include <one.h>\n");
	write_file(w, "a/one.h", "#include <two.h>\n#include <gone.h>\n");
	write_file(w, "b/two.h", "");
	expect(w, "a/one.h b/two.h src/main.c");
	uint64_t before = resolved(w);
	expect(w, "a/one.h b/two.h src/main.c");
	write_file(w, "a/unrelated.h", "");
	expect(w, "a/one.h b/two.h src/main.c");
	assert_int_equal(resolved(w), before);
	write_file(w, "sys/gone.h", "");
	expect(w, "a/one.h b/two.h src/main.c sys/gone.h");
	assert_int_equal(resolved(w), before + 2); /* one.h again, and gone.h */
}

static void closure__a_cycle_ends(void **state)
{
	struct world *w = *state;
	write_file(w, "src/main.c", "#include \"main.c\"\n#include <one.h>\n");
	write_file(w, "a/one.h", "#include <two.h>\n");
	write_file(w, "a/two.h", "#include <one.h>\n");
	expect(w, "a/one.h a/two.h src/main.c");
}

static void closure__a_cycle_by_ever_longer_names_ends(void **state)
{
	struct world *w = *state;
	write_file(w, "src/main.c", "#include \"d/one.h\"\n");
	write_file(w, "src/d/one.h", "#include \"../d/two.h\"\n#include \"../d/one.h\"\n");
	write_file(w, "src/d/two.h", "#include \"../d/one.h\"\n#include \"../d/two.h\"\n");
	expect(w, "src/d/../d/../d/one.h src/d/../d/../d/two.h src/d/../d/one.h src/d/../d/two.h src/d/one.h src/main.c");
}

static void closure__one_file_in_two_directories_asks_from_both(void **state)
{
	struct world *w = *state;
	write_file(w, "src/main.c", "#include \"d/x.h\"\n#include \"e/x.h\"\n");
	write_file(w, "src/d/x.h", "#include \"y.h\"\n");
	write_file(w, "src/d/y.h", "");
	write_file(w, "src/e/y.h", "");
	scratch_symlink(w->s, "../d/x.h", "src/e/x.h");
	expect(w, "src/d/x.h src/d/y.h src/e/x.h src/e/y.h src/main.c");
}

static void closure__a_directory_is_no_header(void **state)
{
	struct world *w = *state;
	write_file(w, "src/main.c", "#include <map>\n");
	scratch_mkdir(w->s, "a/map");
	write_file(w, "b/map", "");
	expect(w, "b/map src/main.c");
}

static void closure__computed_names_are_expanded_over_all_definitions_met(void **state)
{
	struct world *w = *state;
	struct skeleton_macro macros[] = { { "CONFIG", NULL, "\"given.h\"" } };
	write_file(w, "src/main.c", "#include <defs.h>\n#include HEADER\n#include CONFIG\n#include STR(x.h)\n#include UNKNOWN\n"
		"#include STR(gone.h)\n");
	write_file(w, "a/defs.h", "#define HEADER <late.h>\n#define STR(x) #x\n");
	write_file(w, "a/late.h", "#define MORE <more.h>\n#include <again.h>\n");
	write_file(w, "a/again.h", "#include MORE\n");
	write_file(w, "a/more.h", "");
	write_file(w, "src/x.h", "");
	write_file(w, "q/given.h", "");
	w->request.macros = macros;
	w->request.n_macros = 1;
	const char *want = "a/again.h a/defs.h a/late.h a/more.h q/given.h src/main.c src/x.h";
	expect(w, want);
	assert_int_equal(w->prediction.unresolved, 1);
	uint64_t before = resolved(w);
	expect(w, want);
	assert_int_equal(w->prediction.unresolved, 1);
	assert_int_equal(resolved(w), before);

	macros[0].body = "<late.h>";
	expect(w, "a/again.h a/defs.h a/late.h a/more.h src/main.c src/x.h");
	write_file(w, "a/defs.h", "#define HEADER <more.h>\n#define STR(x) #x\n");
	expect(w, "a/again.h a/defs.h a/late.h a/more.h src/main.c src/x.h");
	macros[0].body = "0";
	expect(w, "a/defs.h a/more.h src/main.c src/x.h");
}

static void closure__a_precompiled_header_is_told(void **state)
{
	struct world *w = *state;
	write_file(w, "src/main.c", "#include \"all.h\"\n");
	write_file(w, "q/all.h", "");
	expect(w, "q/all.h src/main.c");
	assert_null(w->prediction.pch);
	write_file(w, "src/all.h.gch", "");
	expect(w, "q/all.h src/main.c");
	assert_string_equal(w->prediction.pch, scratch_path(w->s, "src/all.h.gch"));
	remove_file(w, "src/all.h.gch");
	expect(w, "q/all.h src/main.c");
	assert_null(w->prediction.pch);
}

static void closure__the_clock_in_a_text_is_told(void **state)
{
	struct world *w = *state;
	write_file(w, "src/main.c", "#include <t.h>\n");
	write_file(w, "a/t.h", "const char *t = __TIME__;\n");
	expect(w, "a/t.h src/main.c");
	assert_string_equal(w->prediction.date_time, scratch_path(w->s, "a/t.h"));
	assert_null(w->prediction.timestamp);
}

static void closure__without_a_preprocessor_only_the_assembler_asks(void **state)
{
	struct world *w = *state;
	w->request.source = scratch_path(w->s, "src/main.s");
	w->request.language = LANGUAGE_ASM;
	write_file(w, "src/main.s", "# include \"x.h\"\n\t.incbin \"data.bin\"\n");
	write_file(w, "src/x.h", "");
	write_file(w, "data.bin", "");
	closures_predict(w->closures, view_arrive(w->view), NULL, &w->request, &w->s->arena, &w->prediction);
	assert_int_equal(w->prediction.n_paths, 2);
	assert_string_equal(w->prediction.paths[1], scratch_path(w->s, "data.bin"));
}

static void closure__what_is_embedded_is_not_looked_into(void **state)
{
	struct world *w = *state;
	write_file(w, "src/main.c", "#embed \"one.bin\"\n#embed <two.bin>\n");
	write_file(w, "src/one.bin", "#include <x.h>\n");
	write_file(w, "e/two.bin", "#include <x.h>\n");
	write_file(w, "dir/two.bin", "");
	write_file(w, "a/x.h", "");
	w->search.embed = (const char *[]){ scratch_path(w->s, "e") };
	w->search.n_embed = 1;
	w->request.dirs = (const char *[]){ "dir" };
	w->request.n_dirs = 1;
	expect(w, "dir/two.bin e/two.bin src/main.c src/one.bin");
}

static void closure__a_source_that_is_gone_is_all_there_is(void **state)
{
	struct world *w = *state;
	expect(w, "src/main.c");
	assert_int_equal(w->prediction.unresolved, 1);
	write_file(w, "src/main.c", "#include <one.h>\n");
	write_file(w, "a/one.h", "");
	expect(w, "a/one.h src/main.c");
	assert_int_equal(w->prediction.unresolved, 0);
}

/* The same without the difference between names of one file. */
static const char *really_predicted(struct world *w)
{
	struct buf text = { 0 };
	predicted(w);
	for (size_t i = 0; i < w->prediction.n_paths; i++) {
		char *real = realpath(w->prediction.paths[i], NULL);
		assert_non_null(real);
		w->prediction.paths[i] = arena_strdup(&w->s->arena, real);
		free(real);
	}
	qsort(w->prediction.paths, w->prediction.n_paths, sizeof(char *), compare_strings);
	for (size_t i = 0; i < w->prediction.n_paths; i++)
		if (i == 0 || strcmp(w->prediction.paths[i], w->prediction.paths[i - 1]) != 0)
			buf_printf(&text, "%s ", w->prediction.paths[i] + strlen(w->s->root) + 1);
	const char *ret = arena_strdup(&w->s->arena, buf_str(&text));
	buf_deinit(&text);
	return ret;
}

/* A text of a few lines that ask for some of the names there are. */
static const char *random_text(struct world *w)
{
	static const char *const lines[] = { "#include <%c.h>\n", "#include \"%c.h\"\n", "#include \"d/%c.h\"\n", "#include <d/%c.h>\n",
		"#include \"../a/%c.h\"\n", "#include_next <%c.h>\n", "#define M <%c.h>\n", "#define M \"d/%c.h\"\n" };
	struct buf text = { 0 };
	for (long n = random() % 4; n > 0; n--)
		buf_printf(&text, lines[(size_t)random() % (sizeof(lines) / sizeof(lines[0]))], (char)('p' + random() % 6));
	if (random() % 6 == 0)
		buf_append_str(&text, "#include M\n");
	const char *ret = arena_strdup(&w->s->arena, buf_str(&text));
	buf_deinit(&text);
	return ret;
}

static const char *random_path(struct world *w)
{
	static const char *const directories[] = { "src", "q", "a", "b", "sys", "src/d", "q/d", "a/d", "sys/d" };
	const char *directory = directories[(size_t)random() % (sizeof(directories) / sizeof(directories[0]))];
	return arena_printf(&w->s->arena, "%s/%c.h", directory, (char)('p' + random() % 6));
}

static void random_change(struct world *w)
{
	const char *path = random_path(w), *directory = arena_strndup(&w->s->arena, path, (size_t)(strrchr(path, '/') - path));
	const char *absolute = scratch_path(w->s, path);
	switch (random() % 12) {
	case 0:
		scratch_write(w->s, "src/main.c", random_text(w));
		break;
	case 1:
	case 2:
	case 3:
		unlink(absolute);
		rmdir(absolute);
		break;
	case 4: /* a whole directory goes or changes its place */
		if (path[strlen(directory) - 1] == 'd')
			rename(scratch_path(w->s, directory), scratch_path(w->s, random() % 2 ? "a/d" : "spare"));
		break;
	case 5:
		rename(absolute, scratch_path(w->s, random_path(w)));
		break;
	case 6:
		scratch_mkdir(w->s, directory);
		if (access(absolute, F_OK) != 0)
			scratch_mkdir(w->s, path);
		break;
	default:
		scratch_mkdir(w->s, directory);
		rmdir(absolute);
		unlink(absolute); /* which may be a second name of another */
		scratch_write(w->s, path, random_text(w));
	}
}

static void closure__after_any_change_memory_and_a_fresh_look_agree(void **state)
{
	enum { STEPS = 400 };
	struct world *w = *state;
	unsigned seed = (unsigned)clock_realtime_ns();
	srandom(seed);
	write_file(w, "src/main.c", "#include <p.h>\n#include \"q.h\"\n#include <d/r.h>\n");
	for (int step = 0; step < STEPS; step++) {
		let_it_tick(w);
		for (long n = random() % 4; n >= 0; n--)
			random_change(w);
		const char *remembered = really_predicted(w);
		size_t unresolved = w->prediction.unresolved;
		struct world fresh = *w;
		fresh.closures = closures_new(fresh.view = view_new(), w->skeletons);
		const char *want = really_predicted(&fresh);
		if (strcmp(remembered, want) != 0 || unresolved != fresh.prediction.unresolved)
			fail_msg("seed %u, step %d:\n  %s, %zu unresolved, not\n  %s, %zu unresolved", seed, step, remembered, unresolved,
				want, fresh.prediction.unresolved);
		closures_free(fresh.closures);
		view_free(fresh.view);
	}
	print_message("%d steps, %zu paths in the end\n", STEPS, w->prediction.n_paths);
}

static const struct skeleton *skeleton_at(struct world *w, const char *path, struct digest *digest)
{
	return skeletons_get(w->skeletons, scratch_path(w->s, path), digest, NULL);
}

static void closure__what_was_just_read_is_not_read_again(void **state)
{
	struct world *w = *state;
	struct digest one, two;
	write_file(w, "one.h", "#include <one>\n");
	write_file(w, "two.h", "#include <two>\n");
	assert_int_equal(view_digest(w->view, view_arrive(w->view), scratch_path(w->s, "one.h"), &one, NULL, NULL), 0);
	assert_int_equal(view_digest(w->view, view_arrive(w->view), scratch_path(w->s, "two.h"), &two, NULL, NULL), 0);
	remove_file(w, "one.h");
	remove_file(w, "two.h");
	const struct skeleton *skeleton = skeleton_at(w, "two.h", &two);
	assert_non_null(skeleton);
	assert_string_equal(skeleton->items[0].name, "two");
	assert_null(skeleton_at(w, "one.h", &one));
}

static void make_a_note(void *ctx, const char *path, uint64_t arrived, int64_t (*now_ns)(void))
{
	char **note = ctx;
	free(*note);
	*note = strdup(path);
}

/* Nor is the next one on the search path taken in its place. */
static void closure__what_is_still_being_read_is_asked_again(void **state)
{
	struct world *w = *state;
	char *text = arena_alloc(&w->s->arena, VIEW_LARGE_BYTES + 64);
	memset(text, '\n', VIEW_LARGE_BYTES);
	strcpy(text + VIEW_LARGE_BYTES, "#include <inner.h>\n#define NAME <named.h>\n");
	write_file(w, "src/main.c", "#include <large.h>\n#include NAME\n");
	write_file(w, "a/large.h", text);
	write_file(w, "a/inner.h", "");
	write_file(w, "a/named.h", "");
	write_file(w, "b/large.h", "#include <other.h>\n");
	write_file(w, "b/other.h", "");

	char *path = NULL;
	uint64_t since = view_arrive(w->view);
	view_set_reader(w->view, &(struct view_reader){ make_a_note, &path });
	closures_predict(w->closures, since, &w->search, &w->request, &w->s->arena, &w->prediction);
	view_set_reader(w->view, &(struct view_reader){ 0 });
	assert_string_equal(path, scratch_path(w->s, "a/large.h"));
	assert_int_equal(w->prediction.n_paths, 2);

	struct reading reading;
	assert_int_equal(reading_make(path, scratch_late, NULL, &reading, NULL), 0);
	view_take(w->view, since, path, &reading);
	free(path);
	closures_predict(w->closures, since, &w->search, &w->request, &w->s->arena, &w->prediction);
	assert_int_equal(w->prediction.n_paths, 4);
	expect(w, "a/inner.h a/large.h a/named.h src/main.c");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(closure__directories_without_the_name_are_told),
		TEST(closure__quotes_look_beside_the_includer_first_and_brackets_never),
		TEST(closure__include_next_takes_every_match),
		TEST(closure__absolute_names_and_has_include_count),
		TEST(closure__what_options_put_first_is_looked_for_from_the_working_directory),
		TEST(closure__a_header_that_appears_earlier_is_taken),
		TEST(closure__an_edit_is_seen_by_the_next_request),
		TEST(closure__what_stays_the_same_is_resolved_once),
		TEST(closure__a_cycle_ends),
		TEST(closure__a_cycle_by_ever_longer_names_ends),
		TEST(closure__one_file_in_two_directories_asks_from_both),
		TEST(closure__a_directory_is_no_header),
		TEST(closure__computed_names_are_expanded_over_all_definitions_met),
		TEST(closure__a_precompiled_header_is_told),
		TEST(closure__the_clock_in_a_text_is_told),
		TEST(closure__without_a_preprocessor_only_the_assembler_asks),
		TEST(closure__after_any_change_memory_and_a_fresh_look_agree),
		TEST(closure__what_is_embedded_is_not_looked_into),
		TEST(closure__a_source_that_is_gone_is_all_there_is),
		TEST(closure__what_was_just_read_is_not_read_again),
		TEST(closure__what_is_still_being_read_is_asked_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
