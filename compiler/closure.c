#include "compiler/closure.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/path.h"
#include "compiler/expand.h"
#include "compiler/watch.h"

enum {
	/* Everything is forgotten when there are more files, directories and nodes than this (some 80 MB). */
	KNOWN_LIMIT = 200000,
	/* No compilation reads so many files: includes that form a ring through symlinks do, by ever longer paths. */
	WALK_LIMIT = 50000,
	/* Computed includes may lead to texts that define what other computed includes need: so often that is followed. */
	COMPUTED_ROUNDS = 8,
};

/* What two paths share when they lead to one file. */
struct inode {
	struct {
		uint64_t dev, ino;
	} key;
	uint64_t walk;	    /* the walk that has looked into it, */
	struct file *first; /* by this path, and then by others */
};

/* One path, as all commands see it. */
struct file {
	uint64_t examined_at; /* the request that it was last examined for */
	struct view_place place;
	struct inode *inode;  /* when `readable` */
	struct file *next;    /* path of the same inode in the current walk */
	struct digest digest;
	uint32_t version;      /* moves with the content */
	bool present;	       /* something is there that can be read, or might be */
	bool readable;	       /* and it has a digest */
	bool known;	       /* the flags are those of this version */
	bool computed;	       /* asks for names that only macros tell */
	bool date_time, timestamp, once;
	uint32_t directory_len; /* of path */
	char path[];
};

/* What conclusions rest on: directories in which names were looked for in vain. Few such sets serve many nodes, so each is checked once per request. */
struct grounds {
	uint64_t checked_at; /* the request that all were checked for */
	uint64_t changed_at; /* the latest of theirs, then */
	uint64_t collected;  /* the collection that has them already */
	size_t n;
	struct watch *v[]; /* in the order of their addresses */
};

/* A file as one search path sees it. */
struct node {
	struct file *file;
	uint64_t visited;   /* the walk that has met it */
	uint64_t collected; /* the collection that has it already */
	uint64_t made_at;   /* the moment (watches_moment) at which the edges were made; 0 = never */
	uint32_t version;   /* of the file, then */
	bool leaf;	    /* data: not looked into */
	bool source;	    /* precompiled headers are looked for beside what it includes */
	struct node **edges;
	size_t n_edges;
	struct grounds *grounds;   /* of the edges, beside the files they lead to; shared */
	struct file *pch;	   /* beside an edge; or NULL */
	struct computed *computed; /* of a source: what its whole closure computes; or NULL */
};

/* The names that macros made, of one source. */
struct computed {
	uint64_t fingerprint; /* of the walk: all its files and their versions, and the macros of the command */
	uint64_t made_at;
	size_t unresolved;
	struct node **edges;
	size_t n_edges;
	struct grounds *grounds; /* shared */
};

/* Everything that one search path has resolved. */
struct graph {
	struct slice key;
	struct slice cwd;
	struct slice *quote, *bracket, *embed, *dirs; /* absolute, squeezed */
	size_t n_quote, n_bracket, n_embed, n_dirs;
	bool no_source_dir;
	bool preprocesses; /* else only the assembler asks for files */
	struct map nodes;  /* struct file * → struct node */
	struct arena arena;
};

struct nodes {
	struct node **v;
	size_t n, capacity;
};

struct rests {
	struct watch **v;
	size_t n, capacity;
};

struct closures {
	struct view *view;	      /* borrowed */
	struct skeletons *skeletons; /* borrowed */
	struct watches watches;
	struct map files, inodes, graphs;
	struct map grounds; /* their watches → struct grounds */
	size_t n_nodes;
	uint64_t walks;
	uint64_t collections;
	struct nodes edges; /* being collected: memory kept */
	struct rests rests;
	struct file *pch;
	struct nodes queue; /* of the walk */
	struct nodes computed;
	struct buf path, key;
	uint64_t resolved;
};

#define GROW(list)                                                                                                     \
	do {                                                                                                           \
		if ((list)->n == (list)->capacity) {                                                                   \
			(list)->capacity = (list)->capacity ? (list)->capacity * 2 : 64;                               \
			(list)->v = realloc((list)->v, (list)->capacity * sizeof(*(list)->v));                         \
			if (!(list)->v)                                                                                \
				abort();                                                                               \
		}                                                                                                      \
	} while (0)

static void *must_calloc(size_t size)
{
	void *object = calloc(1, size);
	if (!object)
		abort();
	return object;
}

struct closures *closures_new(struct view *view, struct skeletons *skeletons)
{
	struct closures *closures = must_calloc(sizeof(*closures));
	closures->view = view;
	watches_init(&closures->watches, view);
	closures->skeletons = skeletons;
	return closures;
}

static void computed_free(struct computed *computed)
{
	if (!computed)
		return;
	free(computed->edges);
	free(computed);
}

static void graph_free(struct graph *graph)
{
	const struct map_entry *e;
	for (size_t at = 0; (e = map_next(&graph->nodes, &at));) {
		struct node *node = e->value;
		free(node->edges);
		computed_free(node->computed);
		free(node);
	}
	map_deinit(&graph->nodes);
	struct arena arena = graph->arena; /* which the graph is in */
	arena_deinit(&arena);
}

static void forget_everything(struct closures *closures)
{
	const struct map_entry *e;
	for (size_t at = 0; (e = map_next(&closures->graphs, &at));)
		graph_free(e->value);
	for (size_t at = 0; (e = map_next(&closures->files, &at));)
		free(e->value);
	for (size_t at = 0; (e = map_next(&closures->inodes, &at));)
		free(e->value);
	for (size_t at = 0; (e = map_next(&closures->grounds, &at));)
		free(e->value);
	map_deinit(&closures->graphs);
	map_deinit(&closures->files);
	map_deinit(&closures->inodes);
	map_deinit(&closures->grounds);
	watches_deinit(&closures->watches);
	closures->n_nodes = 0;
}

void closures_free(struct closures *closures)
{
	if (!closures)
		return;
	forget_everything(closures);
	free(closures->edges.v);
	free(closures->rests.v);
	free(closures->queue.v);
	free(closures->computed.v);
	buf_deinit(&closures->path);
	buf_deinit(&closures->key);
	free(closures);
}

struct closure_counters closure_counters(const struct closures *closures)
{
	return (struct closure_counters){ closures->files.n, closures->n_nodes, closures->resolved };
}

/* Files */

static size_t directory_length(struct slice path)
{
	const char *slash = memrchr(path.ptr, '/', path.len);
	assert(slash);
	return slash == path.ptr ? 1 : (size_t)(slash - path.ptr);
}

static struct file *get_file(struct closures *closures, struct slice path)
{
	struct file *file = map_get(&closures->files, path);
	if (file)
		return file;
	file = must_calloc(sizeof(*file) + path.len + 1);
	memcpy(file->path, path.ptr, path.len);
	file->directory_len = (uint32_t)directory_length(path);
	map_put(&closures->files, slice_of(file->path, path.len), file);
	return file;
}

static struct inode *get_inode(struct closures *closures, const struct view_identity *identity)
{
	struct inode key = { .key = { identity->dev, identity->ino } };
	struct inode *inode = map_get(&closures->inodes, slice_of(&key.key, sizeof(key.key)));
	if (inode)
		return inode;
	inode = must_calloc(sizeof(*inode));
	*inode = key;
	map_put(&closures->inodes, slice_of(&inode->key, sizeof(inode->key)), inode);
	return inode;
}

static void examine(struct closures *closures, uint64_t since, struct file *file)
{
	if (file->examined_at >= since)
		return;
	struct digest digest;
	struct view_info info;
	struct error err;
	int r = view_digest_at(closures->view, since, &file->place, file->path, &digest, &info, &err);
	/* What is still being read (EAGAIN) is asked again. */
	file->examined_at = r < 0 && err.code == EAGAIN ? 0 : since;
	if (r == 0 && (!file->inode || file->inode->key.ino != info.identity.ino || file->inode->key.dev != info.identity.dev))
		file->inode = get_inode(closures, &info.identity);
	if (r == 0 && file->readable && digest_equal(&digest, &file->digest))
		return;
	file->version++;
	file->known = file->computed = file->date_time = file->timestamp = file->once = false;
	file->readable = r == 0;
	file->present = r <= 0;
	if (r == 0) {
		file->digest = digest;
		/* Mostly it is a text that will be looked into, and now is in memory. */
		struct slice text;
		if (view_text(closures->view, &digest, &text))
			skeletons_get(closures->skeletons, file->path, &digest, NULL);
	} else if (r > 0) {
		file->present = view_stat(closures->view, since, file->path, true).kind == VIEW_SPECIAL;
	}
}

static struct slice file_directory(const struct file *file)
{
	return slice_of(file->path, file->directory_len);
}

static bool share_directory(struct closures *closures, uint64_t since, const struct file *a, const struct file *b)
{
	const struct file *files[] = { a, b };
	struct view_identity identities[2];
	for (size_t i = 0; i < 2; i++) {
		_cleanup_buf_ struct buf path = { 0 };
		buf_append_slice(&path, file_directory(files[i]));
		identities[i] = view_stat(closures->view, since, path.ptr, true).identity;
	}
	return identities[0].ino == identities[1].ino && identities[0].dev == identities[1].dev;
}

/* Whether the current walk has looked into this very file, in this very directory, by another path (dir/../dir/x.h): what it asks for from here has
 * other names, but is the same. Texts that include each other by such names would be followed without end. */
static bool is_repeated(struct closures *closures, uint64_t since, struct file *file)
{
	struct inode *inode = file->inode;
	if (!file->readable)
		return false;
	if (inode->walk != closures->walks) {
		inode->walk = closures->walks;
		inode->first = NULL;
	}
	for (const struct file *other = inode->first; other; other = other->next)
		if (share_directory(closures, since, file, other))
			return true;
	file->next = inode->first;
	inode->first = file;
	return false;
}

/* Collecting */

static void begin_collecting(struct closures *closures)
{
	closures->collections++;
	closures->edges.n = 0;
	closures->rests.n = 0;
	closures->pch = NULL;
}

static void collect_watch(struct closures *closures, struct watch *watch)
{
	if (watch->mark == closures->collections)
		return;
	watch->mark = closures->collections;
	GROW(&closures->rests);
	closures->rests.v[closures->rests.n++] = watch;
}

static void collect_edge(struct closures *closures, struct node *node)
{
	if (node->collected == closures->collections)
		return;
	node->collected = closures->collections;
	GROW(&closures->edges);
	closures->edges.v[closures->edges.n++] = node;
}

/* watches_absent, whose grounds are collected. */
static bool is_absent(struct closures *closures, uint64_t since, const char *path, size_t len, bool strictly)
{
	struct watch *watch;
	if (!watches_absent(&closures->watches, since, path, len, strictly, &watch))
		return false;
	collect_watch(closures, watch);
	return true;
}

/* Graphs */

static void key_add(struct buf *key, const char *const *strings, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_append(key, strings[i], strlen(strings[i]) + 1);
	buf_append_char(key, '\0');
}

static struct slice *copy_paths(struct arena *arena, const char *cwd, const char *const *paths, size_t n)
{
	struct slice *copies = arena_array(arena, struct slice, n);
	for (size_t i = 0; i < n; i++)
		copies[i] = slice_str(arena_strdup(arena, path_squeeze(arena, path_absolute(arena, cwd, paths[i]))));
	return copies;
}

static bool has_preprocessor(enum language language)
{
	return language == LANGUAGE_C || language == LANGUAGE_CXX || language == LANGUAGE_ASM_CPP;
}

static struct graph *get_graph(struct closures *closures, const struct search *search, const struct closure_request *request)
{
	static const struct search nowhere = { 0 };
	if (!search)
		search = &nowhere;
	struct buf *key = &closures->key;
	bool preprocesses = has_preprocessor(request->language);
	buf_reset(key);
	key_add(key, &request->cwd, 1);
	key_add(key, search->quote, search->n_quote);
	key_add(key, search->bracket, search->n_bracket);
	key_add(key, search->embed, search->n_embed);
	key_add(key, request->dirs, request->n_dirs);
	buf_append_char(key, (char)(request->no_source_dir + 2 * preprocesses));
	struct graph *graph = map_get(&closures->graphs, buf_slice(key));
	if (graph)
		return graph;

	struct arena arena = ARENA_INIT;
	graph = arena_new(&arena, struct graph);
	*graph = (struct graph){
		.key = slice_of(arena_strndup(&arena, key->ptr, key->len), key->len),
		.cwd = slice_str(arena_strdup(&arena, request->cwd)),
		.quote = copy_paths(&arena, request->cwd, search->quote, search->n_quote),
		.n_quote = search->n_quote,
		.bracket = copy_paths(&arena, request->cwd, search->bracket, search->n_bracket),
		.n_bracket = search->n_bracket,
		.embed = copy_paths(&arena, request->cwd, search->embed, search->n_embed),
		.n_embed = search->n_embed,
		.dirs = copy_paths(&arena, request->cwd, request->dirs, request->n_dirs),
		.n_dirs = request->n_dirs,
		.no_source_dir = request->no_source_dir,
		.preprocesses = preprocesses,
	};
	graph->arena = arena;
	map_put(&closures->graphs, graph->key, graph);
	return graph;
}

static struct node *get_node(struct closures *closures, struct graph *graph, struct file *file, bool leaf)
{
	struct node *node = map_get(&graph->nodes, slice_of(&file, sizeof(file)));
	if (!node) {
		node = must_calloc(sizeof(*node));
		node->file = file;
		node->leaf = leaf;
		map_put(&graph->nodes, slice_of(&node->file, sizeof(node->file)), node);
		closures->n_nodes++;
	}
	node->leaf = node->leaf && leaf;
	return node;
}

/* Names */

struct asking {
	struct closures *closures;
	struct graph *graph;
	uint64_t since;
	struct slice beside; /* the directory of the text that asks */
	bool pch;	     /* precompiled headers count */
};

/* dir/name, squeezed, into closures->path. False: it can only be a directory. */
static bool join(struct closures *closures, struct slice directory, const char *name)
{
	struct buf *path = &closures->path;
	buf_reset(path);
	if (name[0] != '/' && directory.len > 1)
		buf_append_slice(path, directory);
	size_t n = 0;
	bool is_name = false;
	for (; *name; name += n) {
		name += strspn(name, "/");
		n = strcspn(name, "/");
		is_name = n > 0 && !(n == 1 && name[0] == '.');
		if (!is_name)
			continue;
		buf_append_char(path, '/');
		buf_append(path, name, n);
	}
	return is_name;
}

static bool find_in(const struct asking *asking, struct slice directory, const char *name, bool leaf)
{
	struct closures *closures = asking->closures;
	if (!join(closures, directory, name))
		return false;
	struct buf *path = &closures->path;
	size_t len = path->len;
	if (asking->pch) {
		buf_append_str(path, ".gch");
		if (!is_absent(closures, asking->since, path->ptr, path->len, true))
			closures->pch = get_file(closures, buf_slice(path));
		path->len = len;
		path->ptr[len] = '\0';
	}
	struct file *file = map_get(&closures->files, buf_slice(path));
	if (!file || file->examined_at < asking->since || !file->present) {
		if (is_absent(closures, asking->since, path->ptr, len, false))
			return false;
		file = get_file(closures, slice_of(path->ptr, len));
		examine(closures, asking->since, file);
		if (!file->present)
			return false;
	}
	collect_edge(closures, get_node(closures, asking->graph, file, leaf));
	return true;
}

/* Where a name is looked for: lists of directories, one after the other. */
struct place {
	const struct slice *v;
	size_t n;
};

static bool find_along(const struct asking *asking, const struct place *places, size_t n, const char *name, bool all, bool leaf)
{
	bool found = false;
	if (name[0] == '/')
		return find_in(asking, slice_str("/"), name, leaf);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < places[i].n; k++) {
			found = find_in(asking, places[i].v[k], name, leaf) || found;
			if (found && !all)
				return true;
		}
	}
	return found;
}

/* Collects what `name` may be. False: nothing. */
static bool resolve(const struct asking *asking, enum skeleton_kind kind, enum skeleton_form form, const char *name)
{
	const struct graph *graph = asking->graph;
	bool quote = form == SKELETON_QUOTE;
	const struct place beside = { &asking->beside, 1 }, cwd = { &graph->cwd, 1 }, none = { NULL, 0 },
			   quotes = { graph->quote, graph->n_quote }, brackets = { graph->bracket, graph->n_bracket },
			   embeds = { graph->embed, graph->n_embed }, dirs = { graph->dirs, graph->n_dirs };
	if (!graph->preprocesses && kind != SKELETON_ASSEMBLER)
		return false;
	switch (kind) {
	case SKELETON_INCLUDE:
	case SKELETON_INCLUDE_NEXT: {
		struct place places[] = { quote && !graph->no_source_dir ? beside : none, quote ? quotes : none, brackets };
		return find_along(asking, places, 3, name, kind == SKELETON_INCLUDE_NEXT, false);
	}
	case SKELETON_EMBED: {
		struct place places[] = { quote ? beside : none, quote ? cwd : none, embeds, dirs };
		return find_along(asking, places, 4, name, true, true);
	}
	case SKELETON_ASSEMBLER: {
		struct place places[] = { cwd, beside, dirs, quotes, brackets };
		return find_along(asking, places, 5, name, true, false);
	}
	}
	return false;
}

/* Edges */

static struct node **copy_edges(const struct nodes *edges)
{
	struct node **copy = must_calloc((edges->n + 1) * sizeof(*copy));
	if (edges->n)
		memcpy(copy, edges->v, edges->n * sizeof(*copy));
	return copy;
}

static int compare_addresses(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)*(struct watch *const *)a, y = (uintptr_t)*(struct watch *const *)b;
	return (x > y) - (x < y);
}

/* The collected watches. */
static struct grounds *get_grounds(struct closures *closures)
{
	const struct rests *rests = &closures->rests;
	size_t size = rests->n * sizeof(*rests->v);
	if (rests->n > 1)
		qsort(rests->v, rests->n, sizeof(*rests->v), compare_addresses);
	struct grounds *grounds = map_get(&closures->grounds, slice_of(rests->v, size));
	if (grounds)
		return grounds;
	grounds = must_calloc(sizeof(*grounds) + size);
	grounds->n = rests->n;
	if (rests->n)
		memcpy(grounds->v, rests->v, size);
	map_put(&closures->grounds, slice_of(grounds->v, size), grounds);
	return grounds;
}

static const struct skeleton *skeleton_of(struct closures *closures, struct file *file)
{
	if (!file->readable)
		return NULL;
	const struct skeleton *skeleton = skeletons_get(closures->skeletons, file->path, &file->digest, NULL);
	if (!skeleton || file->known)
		return skeleton;
	file->known = true;
	file->computed = false;
	for (size_t i = 0; i < skeleton->n_items; i++)
		file->computed = file->computed || skeleton->items[i].form == SKELETON_COMPUTED;
	file->date_time = skeleton->date_time;
	file->timestamp = skeleton->timestamp;
	file->once = skeleton->once;
	return skeleton;
}

static void make_edges(struct closures *closures, struct graph *graph, uint64_t since, struct node *node)
{
	struct file *file = node->file;
	const struct skeleton *skeleton = skeleton_of(closures, file);
	struct asking asking = { closures, graph, since, file_directory(file), node->source };
	closures->resolved++;
	begin_collecting(closures);
	for (size_t i = 0; skeleton && i < skeleton->n_items; i++)
		if (skeleton->items[i].form != SKELETON_COMPUTED)
			resolve(&asking, skeleton->items[i].kind, skeleton->items[i].form, skeleton->items[i].name);
	free(node->edges);
	node->edges = copy_edges(&closures->edges);
	node->n_edges = closures->edges.n;
	node->grounds = get_grounds(closures);
	node->pch = closures->pch;
	node->version = file->version;
	node->made_at = skeleton ? watches_moment(&closures->watches) : 0; /* unreadable: to be tried again */
}

/* Walking */

struct walk {
	struct closures *closures;
	struct graph *graph;
	uint64_t since;
	const struct search *search;
	const struct closure_request *request;
	struct file *pch;
	size_t unread;
};

static void meet(struct walk *walk, struct node *node)
{
	struct closures *closures = walk->closures;
	if (node->visited == closures->walks)
		return;
	node->visited = closures->walks;
	GROW(&closures->queue);
	closures->queue.v[closures->queue.n++] = node;
}

/* Whether what was made at `made_at` still has its grounds. */
static bool grounds_hold(const struct walk *walk, struct grounds *grounds, uint64_t made_at)
{
	if (grounds->checked_at < walk->since) {
		for (size_t i = 0; i < grounds->n; i++) {
			watch_check(&walk->closures->watches, walk->since, grounds->v[i]);
			if (grounds->changed_at < grounds->v[i]->changed_at)
				grounds->changed_at = grounds->v[i]->changed_at;
		}
		grounds->checked_at = walk->since;
	}
	return grounds->changed_at <= made_at;
}

/* When a request comes, little of what the walk will touch is in the processor's caches, as clients and compilers ran meanwhile. So what is needed
 * next is fetched while there is other work: the nodes that the next one in the queue leads to, and the files of a node's edges before the
 * first of them is examined. */

static void fetch_nodes(const struct node *node)
{
	for (size_t i = 0; i < node->n_edges; i++) {
		__builtin_prefetch(node->edges[i]);
		__builtin_prefetch(node->edges[i] + 1);
	}
}

static void fetch_files(const struct walk *walk, struct node **edges, size_t n)
{
	uint64_t current = walk->closures->walks;
	for (size_t i = 0; i < n; i++) {
		if (edges[i]->visited == current)
			continue;
		__builtin_prefetch(edges[i]->file);
		__builtin_prefetch(edges[i]->file + 1);
	}
	for (size_t i = 0; i < n; i++) {
		if (edges[i]->visited == current)
			continue;
		view_fetch(walk->closures->view, &edges[i]->file->place);
		__builtin_prefetch(edges[i]->file->inode);
	}
}

/* Meet all that the edges lead to. False: one leads to nothing any more. */
static bool follow(struct walk *walk, struct node **edges, size_t n)
{
	uint64_t current = walk->closures->walks;
	fetch_files(walk, edges, n);
	for (size_t i = 0; i < n; i++) {
		if (edges[i]->visited == current)
			continue;
		examine(walk->closures, walk->since, edges[i]->file);
		if (!edges[i]->file->present)
			return false;
		meet(walk, edges[i]);
	}
	return true;
}

static void visit(struct walk *walk, struct node *node)
{
	struct closures *closures = walk->closures;
	if (node->leaf || is_repeated(closures, walk->since, node->file))
		return;
	bool valid = node->made_at > 0 && node->version == node->file->version &&
		     grounds_hold(walk, node->grounds, node->made_at) &&
		     (!node->pch || !view_is_absent(closures->view, walk->since, node->pch->path));
	if (!valid || !follow(walk, node->edges, node->n_edges)) {
		make_edges(closures, walk->graph, walk->since, node);
		follow(walk, node->edges, node->n_edges);
	}
	if (node->made_at == 0)
		walk->unread++;
	if (node->pch)
		walk->pch = node->pch;
	if (node->file->computed) {
		GROW(&closures->computed);
		closures->computed.v[closures->computed.n++] = node;
	}
}

static void visit_from(struct walk *walk, size_t first)
{
	const struct nodes *queue = &walk->closures->queue;
	for (size_t i = first; i < queue->n && i < WALK_LIMIT; i++) {
		if (i + 2 < queue->n)
			__builtin_prefetch(queue->v[i + 2]->edges); /* for fetch_nodes() */
		if (i + 1 < queue->n)
			fetch_nodes(queue->v[i + 1]);
		visit(walk, queue->v[i]);
	}
	walk->unread += walk->closures->queue.n > WALK_LIMIT;
}

/* What the compiler reads before the source, whatever the source says. */
static void meet_forced(struct walk *walk)
{
	struct closures *closures = walk->closures;
	const struct closure_request *request = walk->request;
	struct asking asking = { closures, walk->graph, walk->since, walk->graph->cwd, true };
	const struct graph *graph = walk->graph;
	const struct place places[] = { { &graph->cwd, 1 }, { graph->quote, graph->n_quote }, { graph->bracket, graph->n_bracket } };
	if (!graph->preprocesses)
		return;
	begin_collecting(closures);
	for (size_t i = 0; i < request->n_forced; i++) {
		find_along(&asking, places, 3, request->forced[i], false, false);
		/* clang's, which takes the place of the header, too. */
		_cleanup_buf_ struct buf pch = { 0 };
		buf_printf(&pch, "%s.pch", request->forced[i]);
		if (join(closures, graph->cwd, pch.ptr) &&
			!is_absent(closures, walk->since, closures->path.ptr, closures->path.len, true))
			closures->pch = get_file(closures, buf_slice(&closures->path));
	}
	if (request->implicit)
		resolve(&asking, SKELETON_INCLUDE, SKELETON_ANGLE, "stdc-predef.h");
	if (closures->pch)
		walk->pch = closures->pch;
	for (size_t i = 0; i < closures->edges.n; i++)
		meet(walk, closures->edges.v[i]);
}

static void walk_from(struct walk *walk, struct node *source)
{
	struct closures *closures = walk->closures;
	closures->walks++;
	closures->queue.n = 0;
	closures->computed.n = 0;
	walk->pch = NULL;
	walk->unread = 0;
	examine(closures, walk->since, source->file);
	meet(walk, source);
	meet_forced(walk);
	visit_from(walk, 0);
}

/* Computed names */

static uint64_t mixed(uint64_t h)
{
	h ^= h >> 31;
	h *= 0x9e3779b97f4a7c15u;
	return h ^ (h >> 29);
}

/* Of all texts that the walk has met, in no order, and the command's own macros. */
static uint64_t fingerprint(const struct walk *walk)
{
	const struct nodes *queue = &walk->closures->queue;
	const struct closure_request *request = walk->request;
	uint64_t sum = 0;
	for (size_t i = 0; i < queue->n; i++)
		sum += mixed((uintptr_t)queue->v[i] + mixed(queue->v[i]->file->version));
	for (size_t i = 0; i < request->n_macros; i++)
		sum += mixed(map_hash(slice_str(request->macros[i].name)) + 3 * map_hash(slice_str(request->macros[i].body)));
	return sum;
}

/* Collects what the computed names of one text may be; returns how many of them can't be told. */
static size_t compute(struct walk *walk, const struct node *node, const struct definitions *definitions)
{
	struct closures *closures = walk->closures;
	const struct skeleton *skeleton = skeleton_of(closures, node->file);
	struct asking asking = { closures, walk->graph, walk->since, file_directory(node->file), false };
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	size_t unresolved = 0;
	for (size_t i = 0; skeleton && i < skeleton->n_items; i++) {
		const struct skeleton_item *item = &skeleton->items[i];
		struct expand_name names[EXPAND_NAMES_LIMIT];
		bool exhausted, found = strcmp(item->name, "__FILE__") == 0;
		if (item->form != SKELETON_COMPUTED)
			continue;
		size_t n = expand(item->kind, item->name, definitions, &arena, names, &exhausted);
		for (size_t k = 0; k < n; k++)
			found = resolve(&asking, item->kind, names[k].form, names[k].name) || found;
		unresolved += exhausted || (!found && (item->kind == SKELETON_ASSEMBLER || expand_is_defined(item->name, definitions)));
	}
	return unresolved;
}

/* Expand until nothing new is met. What comes of it is kept with the source, for as long as the walk is the same. */
static size_t walk_computed(struct walk *walk, struct node *source)
{
	struct closures *closures = walk->closures;
	struct definitions definitions = { 0 };
	size_t defined = 0, unresolved = 0, met;
	definitions_add(&definitions, walk->request->macros, walk->request->n_macros);
	if (walk->search)
		definitions_add(&definitions, walk->search->macros, walk->search->n_macros);

	struct nodes all = { 0 };
	struct rests rests = { 0 };
	for (unsigned round = 0; round < COMPUTED_ROUNDS; round++) {
		for (; defined < closures->queue.n; defined++) {
			const struct skeleton *skeleton = skeleton_of(closures, closures->queue.v[defined]->file);
			if (skeleton && !closures->queue.v[defined]->leaf)
				definitions_add(&definitions, skeleton->macros, skeleton->n_macros);
		}
		begin_collecting(closures);
		unresolved = 0;
		for (size_t i = 0; i < closures->computed.n; i++)
			unresolved += compute(walk, closures->computed.v[i], &definitions);
		for (size_t i = 0; i < closures->edges.n; i++) {
			GROW(&all);
			all.v[all.n++] = closures->edges.v[i];
		}
		for (size_t i = 0; i < closures->rests.n; i++) {
			GROW(&rests);
			rests.v[rests.n++] = closures->rests.v[i];
		}
		met = closures->queue.n;
		for (size_t i = 0; i < closures->edges.n; i++)
			meet(walk, closures->edges.v[i]);
		if (closures->queue.n == met)
			break;
		visit_from(walk, met);
	}
	definitions_deinit(&definitions);

	begin_collecting(closures);
	for (size_t i = 0; i < all.n; i++)
		collect_edge(closures, all.v[i]);
	for (size_t i = 0; i < rests.n; i++)
		collect_watch(closures, rests.v[i]);
	free(all.v);
	free(rests.v);
	computed_free(source->computed);
	struct computed *computed = source->computed = must_calloc(sizeof(*computed));
	*computed = (struct computed){
		.fingerprint = fingerprint(walk),
		.made_at = watches_moment(&closures->watches),
		.unresolved = unresolved,
		.edges = copy_edges(&closures->edges),
		.n_edges = closures->edges.n,
		.grounds = get_grounds(closures),
	};
	return unresolved;
}

/* Follow what was computed last time. False: it may be otherwise now. */
static bool walk_remembered(struct walk *walk, const struct node *source)
{
	const struct computed *computed = source->computed;
	size_t met = walk->closures->queue.n;
	if (!computed || !grounds_hold(walk, computed->grounds, computed->made_at) ||
		!follow(walk, computed->edges, computed->n_edges))
		return false;
	visit_from(walk, met);
	return fingerprint(walk) == computed->fingerprint;
}

/* Predictions */

static struct node *get_source(struct closures *closures, struct graph *graph, const struct closure_request *request)
{
	struct node *source = get_node(closures, graph, get_file(closures, slice_str(request->source)), false);
	if (!source->source) {
		source->source = true;
		source->made_at = 0;
	}
	return source;
}

static void keep_bounds(struct closures *closures)
{
	if (closures->files.n + closures->inodes.n + closures->watches.by_path.n + closures->grounds.n + closures->n_nodes > KNOWN_LIMIT)
		forget_everything(closures);
	skeletons_keep_bounds(closures->skeletons);
}

void closures_predict(struct closures *closures, uint64_t since, const struct search *search, const struct closure_request *request,
	struct arena *arena, struct prediction *ret)
{
	keep_bounds(closures);
	struct walk walk = { closures, get_graph(closures, search, request), since, search, request, NULL, 0 };
	struct node *source = get_source(closures, walk.graph, request);
	*ret = (struct prediction){ 0 };
	walk_from(&walk, source);
	if (closures->computed.n) {
		if (walk_remembered(&walk, source)) {
			ret->unresolved = source->computed->unresolved;
		} else {
			walk_from(&walk, source);
			ret->unresolved = walk_computed(&walk, source);
		}
	}

	const struct nodes *queue = &closures->queue;
	ret->paths = arena_array(arena, const char *, queue->n);
	ret->n_paths = queue->n;
	ret->unresolved += walk.unread;
	ret->pch = walk.pch ? walk.pch->path : NULL;
	begin_collecting(closures);
	for (size_t i = 0; i < queue->n; i++) {
		const struct node *node = queue->v[i];
		const struct file *file = node->file;
		ret->paths[i] = file->path;
		if (node->leaf)
			continue;
		if (node->grounds && node->grounds->collected != closures->collections) {
			node->grounds->collected = closures->collections;
			for (size_t k = 0; k < node->grounds->n; k++)
				collect_watch(closures, node->grounds->v[k]);
		}
		if (file->date_time && !ret->date_time)
			ret->date_time = file->path;
		if (file->timestamp && !ret->timestamp)
			ret->timestamp = file->path;
		ret->once = ret->once || file->once;
	}
	ret->n_directories = closures->rests.n;
	ret->directories = arena_array(arena, const char *, ret->n_directories);
	for (size_t i = 0; i < ret->n_directories; i++)
		ret->directories[i] = closures->rests.v[i]->path;
}
