#include "store/tree.h"

#include <assert.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "base/map.h"
#include "base/path.h"
#include "wire/reapi.pb-c.h"

enum { NS_PER_S = 1000000000 };

struct node {
	struct tree_entry entry; /* target is owned; digest of a directory is valid while it is not dirty */
	struct node *parent;	 /* NULL for the root */
	struct node **children;	 /* of a directory: owned, sorted by name */
	size_t n_children, capacity;
	bool dirty; /* a directory whose encoding may have changed since the last commit; then so are those above it */
	size_t length;
	char path[]; /* `length` long; ends with the name */
};

struct tree {
	struct node *root;
	struct map nodes; /* path → struct node, without the root */
	int64_t size_bytes;
	uint64_t generation, losses;
};

static struct slice node_path(const struct node *node)
{
	return slice_of(node->path, node->length);
}

static struct node *node_new(struct node *parent, struct slice path, enum tree_kind kind)
{
	struct node *node = calloc(1, sizeof(*node) + path.len + 1);
	if (!node)
		abort();
	memcpy(node->path, path.ptr, path.len);
	node->length = path.len;
	node->entry.kind = kind;
	node->entry.name = path_basename(node->path);
	node->parent = parent;
	node->dirty = kind == TREE_DIRECTORY;
	return node;
}

static void node_free(struct tree *tree, struct node *node)
{
	for (size_t i = 0; i < node->n_children; i++)
		node_free(tree, node->children[i]);
	if (node->entry.kind == TREE_FILE)
		tree->size_bytes -= node->entry.digest.size_bytes;
	map_remove(&tree->nodes, node_path(node));
	free(node->children);
	free((char *)node->entry.target);
	free(node);
}

struct tree *tree_new(void)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	if (!tree)
		abort();
	tree->root = node_new(NULL, slice_str(""), TREE_DIRECTORY);
	return tree;
}

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	node_free(tree, tree->root);
	map_deinit(&tree->nodes);
	free(tree);
}

static void mark_dirty(struct node *node)
{
	for (; node && !node->dirty; node = node->parent)
		node->dirty = true;
}

/* The child's place in `children`, or where it would be inserted. */
static size_t child_index(const struct node *directory, const char *name)
{
	size_t low = 0, high = directory->n_children;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(directory->children[middle]->entry.name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct node *find_node(const struct tree *tree, struct slice path)
{
	return path.len == 0 ? tree->root : map_get(&tree->nodes, path);
}

static void remove_node(struct tree *tree, struct node *node)
{
	struct node *directory = node->parent;
	size_t at = child_index(directory, node->entry.name);
	node_free(tree, node);
	memmove(directory->children + at, directory->children + at + 1,
		(--directory->n_children - at) * sizeof(*directory->children));
	directory->entry.renamed = ++tree->generation;
	tree->losses++;
	mark_dirty(directory);
}

static void insert_child(struct node *directory, struct node *child)
{
	size_t at = child_index(directory, child->entry.name);
	if (directory->n_children == directory->capacity) {
		directory->capacity = directory->capacity ? directory->capacity * 2 : 8;
		directory->children = reallocarray(
			directory->children, directory->capacity, sizeof(*directory->children));
		if (!directory->children)
			abort();
	}
	memmove(directory->children + at + 1, directory->children + at,
		(directory->n_children++ - at) * sizeof(*directory->children));
	directory->children[at] = child;
	mark_dirty(directory);
}

/* The node of that kind at `path`; one of another kind is replaced, an absent one is made, and directories on the way. */
static struct node *make_node(struct tree *tree, struct slice path, enum tree_kind kind)
{
	struct node *node = find_node(tree, path);
	if (node && node->entry.kind == kind)
		return node;
	const char *slash = memrchr(path.ptr, '/', path.len);
	struct node *directory = make_node(tree, slice_of(path.ptr, slash ? (size_t)(slash - path.ptr) : 0), TREE_DIRECTORY);
	if (node)
		remove_node(tree, node);
	node = node_new(directory, path, kind);
	assert(*node->entry.name && strcmp(node->entry.name, ".") != 0 && strcmp(node->entry.name, "..") != 0);
	map_put(&tree->nodes, node_path(node), node);
	insert_child(directory, node);
	node->entry.changed = node->entry.renamed = directory->entry.renamed = ++tree->generation;
	return node;
}

bool tree_set_file(struct tree *tree, const char *path, const struct digest *digest, bool executable, int64_t mtime_ns)
{
	uint64_t before = tree->generation;
	struct node *node = make_node(tree, slice_str(path), TREE_FILE);
	struct tree_entry *entry = &node->entry;
	if (digest_equal(&entry->digest, digest) && entry->executable == executable && entry->mtime_ns == mtime_ns)
		return false;
	tree->size_bytes += digest->size_bytes - entry->digest.size_bytes;
	entry->digest = *digest;
	entry->executable = executable;
	entry->mtime_ns = mtime_ns;
	tree->losses += tree->generation == before; /* it is no new node */
	entry->changed = ++tree->generation;
	mark_dirty(node->parent);
	return true;
}

void tree_set_symlink(struct tree *tree, const char *path, const char *target)
{
	uint64_t before = tree->generation;
	struct node *node = make_node(tree, slice_str(path), TREE_SYMLINK);
	if (node->entry.target && strcmp(node->entry.target, target) == 0)
		return;
	free((char *)node->entry.target);
	node->entry.target = strdup(target);
	tree->losses += tree->generation == before;
	node->entry.changed = ++tree->generation;
	mark_dirty(node->parent);
}

void tree_set_directory(struct tree *tree, const char *path)
{
	make_node(tree, slice_str(path), TREE_DIRECTORY);
}

void tree_remove(struct tree *tree, const char *path)
{
	struct node *node = find_node(tree, slice_str(path));
	if (node && node != tree->root)
		remove_node(tree, node);
}

void tree_clear(struct tree *tree)
{
	while (tree->root->n_children > 0)
		remove_node(tree, tree->root->children[tree->root->n_children - 1]);
}

const struct tree_entry *tree_lookup(const struct tree *tree, const char *path)
{
	const struct node *node = find_node(tree, slice_str(path));
	return node ? &node->entry : NULL;
}

static void walk(const struct node *directory, void (*fn)(void *ctx, const char *path, const struct tree_entry *entry), void *ctx)
{
	for (size_t i = 0; i < directory->n_children; i++) {
		const struct node *child = directory->children[i];
		fn(ctx, child->path, &child->entry);
		walk(child, fn, ctx);
	}
}

void tree_walk(
	const struct tree *tree, void (*fn)(void *ctx, const char *path, const struct tree_entry *entry), void *ctx)
{
	walk(tree->root, fn, ctx);
}

uint64_t tree_generation(const struct tree *tree)
{
	return tree->generation;
}

uint64_t tree_losses(const struct tree *tree)
{
	return tree->losses;
}

void tree_list(const struct tree *tree, const char *path, void (*fn)(void *ctx, const struct tree_entry *entry), void *ctx)
{
	const struct tree_entry *entry = tree_lookup(tree, path);
	if (!entry || entry->kind != TREE_DIRECTORY)
		return;
	const struct node *directory = container_of(entry, struct node, entry);
	for (size_t i = 0; i < directory->n_children; i++)
		fn(ctx, &directory->children[i]->entry);
}

int64_t tree_size_bytes(const struct tree *tree)
{
	return tree->size_bytes;
}

/* Messages */

static Reapi__Digest *digest_message(struct arena *arena, const struct digest *digest)
{
	Reapi__Digest *message = arena_alloc(arena, sizeof(*message));
	reapi__digest__init(message);
	message->hash = arena_alloc(arena, DIGEST_HEX_CHARS + 1);
	digest_hex(digest, message->hash);
	message->size_bytes = digest->size_bytes;
	return message;
}

static Reapi__NodeProperties *mtime_message(struct arena *arena, int64_t mtime_ns)
{
	if (mtime_ns == 0)
		return NULL;
	Reapi__NodeProperties *message = arena_alloc(arena, sizeof(*message));
	reapi__node_properties__init(message);
	message->mtime = arena_alloc(arena, sizeof(*message->mtime));
	reapi__timestamp__init(message->mtime);
	/* Nanoseconds count forward, also before 1970. */
	message->mtime->seconds = mtime_ns / NS_PER_S - (mtime_ns % NS_PER_S < 0);
	message->mtime->nanos = (int32_t)(mtime_ns - message->mtime->seconds * NS_PER_S);
	return message;
}

static void encode_directory(const struct node *directory, struct buf *ret)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	size_t n = directory->n_children;
	Reapi__Directory message = REAPI__DIRECTORY__INIT;
	message.files = arena_array(&arena, Reapi__FileNode *, n);
	message.directories = arena_array(&arena, Reapi__DirectoryNode *, n);
	message.symlinks = arena_array(&arena, Reapi__SymlinkNode *, n);
	for (size_t i = 0; i < n; i++) {
		const struct tree_entry *entry = &directory->children[i]->entry;
		switch (entry->kind) {
		case TREE_FILE: {
			Reapi__FileNode *node = arena_alloc(&arena, sizeof(*node));
			reapi__file_node__init(node);
			node->name = (char *)entry->name;
			node->digest = digest_message(&arena, &entry->digest);
			node->is_executable = entry->executable;
			node->node_properties = mtime_message(&arena, entry->mtime_ns);
			message.files[message.n_files++] = node;
			break;
		}
		case TREE_DIRECTORY: {
			Reapi__DirectoryNode *node = arena_alloc(&arena, sizeof(*node));
			reapi__directory_node__init(node);
			node->name = (char *)entry->name;
			node->digest = digest_message(&arena, &entry->digest);
			message.directories[message.n_directories++] = node;
			break;
		}
		case TREE_SYMLINK: {
			Reapi__SymlinkNode *node = arena_alloc(&arena, sizeof(*node));
			reapi__symlink_node__init(node);
			node->name = (char *)entry->name;
			node->target = (char *)entry->target;
			message.symlinks[message.n_symlinks++] = node;
			break;
		}
		}
	}
	size_t size = reapi__directory__get_packed_size(&message);
	ret->len += reapi__directory__pack(&message, (uint8_t *)buf_reserve(ret, size));
}

static int commit(struct node *directory, struct store *store, struct error *err)
{
	if (!directory->dirty)
		return 0;
	for (size_t i = 0; i < directory->n_children; i++)
		if (directory->children[i]->entry.kind == TREE_DIRECTORY &&
			commit(directory->children[i], store, err) < 0)
			return -1;
	_cleanup_buf_ struct buf message = { 0 };
	encode_directory(directory, &message);
	struct digest digest = digest_of(buf_slice(&message));
	if (store_put(store, &digest, buf_slice(&message), err) < 0)
		return error_wrap(err, "cannot keep directory %s", directory->entry.name);
	directory->entry.digest = digest;
	directory->dirty = false;
	return 0;
}

int tree_commit(struct tree *tree, struct store *store, struct digest *root, struct error *err)
{
	if (commit(tree->root, store, err) < 0)
		return -1;
	*root = tree->root->entry.digest;
	return 0;
}

static void *allocate(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

static void release(void *arena, void *memory)
{
	(void)arena;
	(void)memory;
}

static int parse_digest(const Reapi__Digest *message, struct digest *ret)
{
	if (!message || message->size_bytes < 0 || digest_parse_hex(slice_str(message->hash), ret) < 0)
		return -1;
	ret->size_bytes = message->size_bytes;
	return 0;
}

static int parse_mtime(const Reapi__NodeProperties *properties, int64_t *ret)
{
	const Reapi__Timestamp *mtime = properties ? properties->mtime : NULL;
	*ret = 0;
	if (!mtime)
		return 0;
	if (mtime->nanos < 0 || mtime->nanos >= NS_PER_S || mtime->seconds < -INT64_MAX / NS_PER_S + 1 ||
		mtime->seconds > INT64_MAX / NS_PER_S - 1)
		return -1;
	*ret = mtime->seconds * NS_PER_S + mtime->nanos;
	return 0;
}

static bool name_is_safe(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Names of one kind rise strictly, so each occurs once. */
static bool names_are_good(const struct tree_entry *entries, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!name_is_safe(entries[i].name) || (i > 0 && strcmp(entries[i - 1].name, entries[i].name) >= 0))
			return false;
	return true;
}

/* Whether two lists with good names have one in common. */
static bool share_a_name(const struct tree_entry *a, size_t n_a, const struct tree_entry *b, size_t n_b)
{
	for (size_t i = 0, j = 0; i < n_a && j < n_b;) {
		int order = strcmp(a[i].name, b[j].name);
		if (order == 0)
			return true;
		if (order < 0)
			i++;
		else
			j++;
	}
	return false;
}

int tree_parse_directory(
	struct slice message, struct arena *arena, struct tree_entry **ret, size_t *n_ret, struct error *err)
{
	ProtobufCAllocator allocator = { .alloc = allocate, .free = release, .allocator_data = arena };
	const Reapi__Directory *directory = reapi__directory__unpack(
		&allocator, message.len, (const uint8_t *)message.ptr);
	if (!directory)
		return error_set(err, 0, "malformed Directory message");
	/* A NUL inside a name or target would cut it short, and then the message would encode to fewer bytes. This also
	 * finds encodings that are not canonical. */
	if (reapi__directory__get_packed_size(directory) != message.len)
		return error_set(err, 0, "Directory message is not in canonical form");

	size_t n_files = directory->n_files, n_directories = directory->n_directories,
	       n_symlinks = directory->n_symlinks;
	size_t n = n_files + n_directories + n_symlinks;
	struct tree_entry *entries = arena_array(arena, struct tree_entry, n), *entry = entries;
	for (size_t i = 0; i < n_files; i++, entry++) {
		const Reapi__FileNode *node = directory->files[i];
		entry->kind = TREE_FILE;
		entry->name = node->name;
		entry->executable = node->is_executable;
		if (parse_digest(node->digest, &entry->digest) < 0 ||
			parse_mtime(node->node_properties, &entry->mtime_ns) < 0)
			return error_set(err, 0, "malformed file %s in Directory message", node->name);
	}
	for (size_t i = 0; i < n_directories; i++, entry++) {
		const Reapi__DirectoryNode *node = directory->directories[i];
		entry->kind = TREE_DIRECTORY;
		entry->name = node->name;
		if (parse_digest(node->digest, &entry->digest) < 0)
			return error_set(err, 0, "malformed directory %s in Directory message", node->name);
	}
	for (size_t i = 0; i < n_symlinks; i++, entry++) {
		const Reapi__SymlinkNode *node = directory->symlinks[i];
		entry->kind = TREE_SYMLINK;
		entry->name = node->name;
		entry->target = node->target;
		if (!*node->target)
			return error_set(err, 0, "symlink %s without target in Directory message", node->name);
	}

	const struct tree_entry *files = entries, *directories = files + n_files,
				*symlinks = directories + n_directories;
	if (!names_are_good(files, n_files) || !names_are_good(directories, n_directories) ||
		!names_are_good(symlinks, n_symlinks) || share_a_name(files, n_files, directories, n_directories) ||
		share_a_name(files, n_files, symlinks, n_symlinks) ||
		share_a_name(directories, n_directories, symlinks, n_symlinks))
		return error_set(err, 0, "names in Directory message are unsafe, unsorted or double");
	*ret = entries;
	*n_ret = n;
	return 0;
}

static void uncommit(struct node *node)
{
	node->dirty = node->entry.kind == TREE_DIRECTORY;
	for (size_t i = 0; i < node->n_children; i++)
		uncommit(node->children[i]);
}

void tree_uncommit(struct tree *tree)
{
	uncommit(tree->root);
}
