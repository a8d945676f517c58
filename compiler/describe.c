#include "compiler/describe.h"

#include <assert.h>

static const char *const families[] = {
	[FAMILY_UNKNOWN] = "unknown",
	[FAMILY_GCC] = "gcc",
	[FAMILY_CLANG] = "clang",
};

static const char *const languages[] = {
	[LANGUAGE_UNKNOWN] = "unknown",
	[LANGUAGE_C] = "C",
	[LANGUAGE_CXX] = "C++",
	[LANGUAGE_C_CPP_OUTPUT] = "preprocessed C",
	[LANGUAGE_CXX_CPP_OUTPUT] = "preprocessed C++",
	[LANGUAGE_ASM] = "assembler",
	[LANGUAGE_ASM_CPP] = "assembler with preprocessor",
	[LANGUAGE_LLVM_IR] = "LLVM IR",
};
static_assert(sizeof(languages) / sizeof(languages[0]) == LANGUAGE_LLVM_IR + 1, "a language without a name");

static const char *const kinds[] = {
	[OUTPUT_MAIN] = "main",
	[OUTPUT_DEPFILE] = "dependencies",
	[OUTPUT_SIDE] = "side",
	[OUTPUT_COUNTS] = "old counts",
};

const char *language_name(enum language language)
{
	return languages[language];
}

/* A word as a shell would need it. */
static void append_word(struct buf *to, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
	if (*word && word[strspn(word, plain)] == '\0') {
		buf_append_str(to, word);
		return;
	}
	buf_append_char(to, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			buf_append_str(to, "'\\''");
		else
			buf_append_char(to, *word);
	}
	buf_append_char(to, '\'');
}

static void append_words(struct buf *to, const char *label, const char *const *words, size_t n)
{
	if (!n)
		return;
	buf_printf(to, "%-14s", label);
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_append_char(to, ' ');
		append_word(to, words[i]);
	}
	buf_append_char(to, '\n');
}

void command_describe(const struct command *command, struct buf *to)
{
	size_t n_scan = 0;
	while (command->scan_argv && command->scan_argv[n_scan])
		n_scan++;

	buf_printf(to, "%-14s%s\n", "family", families[command->family]);
	buf_printf(to, "%-14s%s (%s)\n", "input", command->input, languages[command->language]);
	for (size_t i = 0; i < command->n_outputs; i++) {
		const struct command_output *output = &command->outputs[i];
		buf_printf(to, "%-14s%s (%s%s)\n", i ? "" : "outputs", output->path, kinds[output->kind],
			output->optional ? ", optional" : "");
	}
	if (command->depfile.wanted)
		append_words(to, "dep. targets", command->depfile.targets, command->depfile.n_targets);
	append_words(to, "named files", command->named_files, command->n_named_files);
	append_words(to, "directories", command->named_dirs, command->n_named_dirs);
	append_words(to, "runs", command->argv, command->argc);
	append_words(to, "key words", command->key_args, command->n_key_args);
	append_words(to, "scan", command->scan_argv, n_scan);
	if (command->wants_native)
		buf_printf(to, "%-14s%s\n", "native", "the CPU is to be resolved to explicit flags");
	if (command->records_output_name)
		buf_printf(to, "%-14s%s\n", "records", "the output's name reaches an output");
	if (command->random_seed)
		buf_printf(to, "%-14s%s\n", "random", "the plain compiler differs from itself");
}
