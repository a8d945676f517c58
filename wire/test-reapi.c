/* Encodings must equal the official ones byte for byte: digests are taken of them. The expected bytes are written by
 * hand from the protobuf wire format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "wire/reapi.pb-c.h"

#define HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void assert_packed(const ProtobufCMessage *message, const char *expected, size_t expected_size)
{
	uint8_t bytes[1024];
	assert_int_equal(protobuf_c_message_get_packed_size(message), expected_size);
	assert_int_equal(protobuf_c_message_pack(message, bytes), expected_size);
	assert_memory_equal(bytes, expected, expected_size);
}

static void reapi__an_empty_directory_is_no_bytes(void **state)
{
	(void)state;
	Reapi__Directory directory = REAPI__DIRECTORY__INIT;
	assert_packed(&directory.base, "", 0);
}

static void reapi__a_directory_encodes_like_everybody_elses(void **state)
{
	(void)state;
	Reapi__Digest digest = REAPI__DIGEST__INIT;
	digest.hash = (char *)HASH;
	Reapi__Digest large = REAPI__DIGEST__INIT;
	large.hash = (char *)HASH;
	large.size_bytes = 300;

	Reapi__Timestamp mtime = REAPI__TIMESTAMP__INIT;
	mtime.seconds = 1;
	mtime.nanos = 5;
	Reapi__UInt32Value mode = REAPI__UINT32_VALUE__INIT;
	mode.value = 0755;
	Reapi__NodeProperties properties = REAPI__NODE_PROPERTIES__INIT;
	properties.mtime = &mtime;
	properties.unix_mode = &mode;

	Reapi__FileNode file = REAPI__FILE_NODE__INIT;
	file.name = (char *)"a";
	file.digest = &digest;
	file.is_executable = 1;
	file.node_properties = &properties;
	Reapi__DirectoryNode child = REAPI__DIRECTORY_NODE__INIT;
	child.name = (char *)"d";
	child.digest = &large;
	Reapi__SymlinkNode link = REAPI__SYMLINK_NODE__INIT;
	link.name = (char *)"l";
	link.target = (char *)"../x";

	Reapi__FileNode *files[] = { &file };
	Reapi__DirectoryNode *directories[] = { &child };
	Reapi__SymlinkNode *symlinks[] = { &link };
	Reapi__Directory directory = REAPI__DIRECTORY__INIT;
	directory.n_files = directory.n_directories = directory.n_symlinks = 1;
	directory.files = files;
	directory.directories = directories;
	directory.symlinks = symlinks;

	static const char expected[] =
		"\x0a\x56" /* files, 86 bytes */
		"\x0a\x01"
		"a"			   /*   name */
		"\x12\x42\x0a\x40" HASH	   /*   digest: hash; the size 0 is a default and left out */
		"\x20\x01"		   /*   is_executable = 4 */
		"\x32\x0b"		   /*   node_properties = 6 */
		"\x12\x04\x08\x01\x10\x05" /*     mtime = 2: seconds 1, nanos 5 */
		"\x1a\x03\x08\xed\x03"	   /*     unix_mode = 3: 0755 */
		"\x12\x4a"		   /* directories, 74 bytes */
		"\x0a\x01"
		"d"
		"\x12\x45\x0a\x40" HASH "\x10\xac\x02" /* size 300 */
		"\x1a\x09"			       /* symlinks */
		"\x0a\x01"
		"l"
		"\x12\x04"
		"../x";
	assert_packed(&directory.base, expected, sizeof(expected) - 1);
}

static void reapi__fields_are_encoded_in_order_of_their_numbers(void **state)
{
	(void)state;
	Reapi__OutputSymlink link = REAPI__OUTPUT_SYMLINK__INIT;
	link.path = (char *)"p";
	link.target = (char *)"t";
	Reapi__OutputSymlink *links[] = { &link };
	Reapi__OutputFile file = REAPI__OUTPUT_FILE__INIT;
	file.path = (char *)"o";
	file.contents.data = (uint8_t *)"xy";
	file.contents.len = 2;
	Reapi__OutputFile *files[] = { &file };
	Reapi__Duration took = REAPI__DURATION__INIT;
	took.seconds = 2;
	Reapi__ExecutedActionMetadata metadata = REAPI__EXECUTED_ACTION_METADATA__INIT;
	metadata.worker = (char *)"w";
	metadata.virtual_execution_duration = &took;

	Reapi__ActionResult result = REAPI__ACTION_RESULT__INIT;
	result.n_output_files = 1;
	result.output_files = files;
	result.exit_code = -1;
	result.stderr_raw.data = (uint8_t *)"e";
	result.stderr_raw.len = 1;
	result.execution_metadata = &metadata;
	result.n_output_symlinks = 1;
	result.output_symlinks = links;

	static const char expected[] =
		"\x12\x07\x0a\x01"
		"o"
		"\x2a\x02"
		"xy"
		"\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" /* a negative int32 takes ten bytes */
		"\x3a\x01"
		"e"
		"\x4a\x07\x0a\x01"
		"w"
		"\x62\x02\x08\x02"
		"\x62\x06\x0a\x01"
		"p"
		"\x12\x01"
		"t";
	assert_packed(&result.base, expected, sizeof(expected) - 1);
}

static void reapi__an_action_keeps_its_numbers(void **state)
{
	(void)state;
	Reapi__Digest digest = REAPI__DIGEST__INIT;
	digest.size_bytes = 1;
	Reapi__Platform__Property property = REAPI__PLATFORM__PROPERTY__INIT;
	property.name = (char *)"n";
	Reapi__Platform__Property *properties[] = { &property };
	Reapi__Platform platform = REAPI__PLATFORM__INIT;
	platform.n_properties = 1;
	platform.properties = properties;
	Reapi__Duration timeout = REAPI__DURATION__INIT;
	Reapi__Action action = REAPI__ACTION__INIT;
	action.command_digest = &digest;
	action.input_root_digest = &digest;
	action.timeout = &timeout;
	action.do_not_cache = 1;
	action.salt.data = (uint8_t *)"s";
	action.salt.len = 1;
	action.platform = &platform;
	static const char expected[] = "\x0a\x02\x10\x01\x12\x02\x10\x01"
				       "\x32\x00" /* a message that is present but empty */
				       "\x38\x01\x4a\x01s\x52\x05\x0a\x03\x0a\x01n";
	assert_packed(&action.base, expected, sizeof(expected) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reapi__an_empty_directory_is_no_bytes),
		cmocka_unit_test(reapi__a_directory_encodes_like_everybody_elses),
		cmocka_unit_test(reapi__fields_are_encoded_in_order_of_their_numbers),
		cmocka_unit_test(reapi__an_action_keeps_its_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
