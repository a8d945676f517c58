#include "files/view.h"

#include <assert.h>
#include <endian.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/path.h"
#include "files/links.h"
#include "files/listing.h"
#include "files/reading.h"

enum {
	RACY_MS = 2000,
	/* In a directory that changed just now, a request asks so many names one by one, and a quarter of its names
	 * more, before it has the directory listed. */
	ASKED_BEFORE_LISTING = 32,
	/* Everything is forgotten when there are more paths or contents than this (some 100 MB): it costs each request
	 * that comes afterwards a few hundred stats, once. */
	ENTRIES_LIMIT = 250000,
	/* Smaller ones are hashed faster than remembered. */
	REMEMBERED_BYTES = 128 << 10,
	/* A directory is opened when so many names below it have been asked for, and no more directories at once than this. */
	ASKED_BEFORE_OPENING = 4,
	OPEN_LIMIT = 64,
};

/* What stood at one path. A count in `…_at` is that of the requests that had arrived when the answer was taken from the
 * file system: it serves those, and no later one. 0 = never. There are many: what most questions touch comes first. */
struct entry {
	uint64_t followed_at, seen_at;
	struct view_info followed; /* through symlinks */
	struct view_info *link;	   /* itself, while that is a symlink; else NULL, and `followed` was asked with it */
	struct entry *folded;	   /* of a path with `..`: of that without; else NULL */
	/* The digest of the file that `followed` is, unless it is stale. */
	bool digested, digest_kept; /* kept: it may be used for as long as that identity lasts, else only for requests up to digested_at */
	uint64_t digested_at;
	struct digest digest;
	uint64_t straight_at;	     /* no component of the path was a symlink */
	uint64_t plain_at;	     /* nor that, and all were directories that we can walk through */
	uint64_t read_at;	     /* by the reader, whatever came of it: what these requests still ask is answered here */
	struct directory *directory; /* of its inode, once it was asked for a name */
	struct entry *parent;	     /* of the path without its last component; once it was asked for */
	uint32_t name_at;	     /* the last component in `path`, when there is a parent */
	uint32_t spell_asked;	     /* names in this directory during `spell` of the view */
	uint64_t spell;
	int spell_fd;		     /* this directory, or AT_FDCWD */
	struct entry *next_vanished; /* after this one; of the last, the entry itself */
	char path[];
};

/* The bytes behind one identity: a file's content or a symlink's target. */
struct content {
	struct view_identity identity;
	struct digest digest;
};

/* The names behind one directory inode. */
struct directory {
	struct {
		uint64_t dev, ino;
	} key;
	struct listing listing;
	struct view_identity identity; /* when the listing was read */
	uint64_t read_at;	       /* 0 = there is no listing */
	bool kept;     /* it may be used for as long as the identity lasts, else only for requests up to read_at */
	bool hopeless; /* not worth listing to learn of absences: too long, unreadable, untrusted */
	uint64_t state; /* which of the view's listings this is, counted from 1 */
	bool digested;
	struct digest digest; /* of the listing */
	uint64_t asked_for;   /* the request that last asked for a name while there was no valid listing, */
	size_t asked;	      /* how many it asked, */
	size_t names;	      /* and how many names there were when last listed */
};

struct view {
	uint64_t arrived;
	uint64_t epoch;		/* of the entries: what is kept of earlier ones is gone; counted from 1 */
	struct map entries;	/* path → struct entry */
	struct map contents;	/* struct view_identity → struct content */
	struct map directories; /* dev, ino → struct directory */
	struct buf target;	/* of the last symlink read */
	struct buf text;	/* of the last file read, if it was no large one; */
	struct digest text_digest; /* its digest, or zero */
	struct entry *vanished; /* the first entry that is to be told of; view_next_vanished() */
	uint64_t spell;		/* ends with view_arrive() and view_rest() */
	int open_fds[OPEN_LIMIT]; /* directories, during this spell */
	size_t n_open_fds;
	int64_t (*now_ns)(void);
	int64_t racy_ns;
	struct view_memory memory;
	struct view_reader reader;
	struct view_counters counters;
};

static_assert(sizeof(struct view_identity) == 5 * 8, "identities are map keys and must not have padding");

struct view *view_new(void)
{
	struct view *view = calloc(1, sizeof(*view));
	if (!view)
		abort();
	view->epoch = 1;
	view->now_ns = clock_realtime_ns;
	view_set_racy(view, RACY_MS);
	return view;
}

static void forget_everything(struct view *view)
{
	const struct map_entry *e;
	for (size_t at = 0; (e = map_next(&view->entries, &at));) {
		free(((struct entry *)e->value)->link);
		free(e->value);
	}
	for (size_t at = 0; (e = map_next(&view->contents, &at));)
		free(e->value);
	for (size_t at = 0; (e = map_next(&view->directories, &at));) {
		listing_deinit(&((struct directory *)e->value)->listing);
		free(e->value);
	}
	view->vanished = NULL;
	view->epoch++;
	map_deinit(&view->entries);
	map_deinit(&view->contents);
	map_deinit(&view->directories);
}

void view_free(struct view *view)
{
	if (!view)
		return;
	view_rest(view);
	forget_everything(view);
	buf_deinit(&view->target);
	buf_deinit(&view->text);
	free(view);
}

void view_set_clock(struct view *view, int64_t (*now_ns)(void))
{
	view->now_ns = now_ns;
}

void view_set_racy(struct view *view, unsigned ms)
{
	view->racy_ns = (int64_t)ms * 1000000;
}

void view_set_memory(struct view *view, const struct view_memory *memory)
{
	view->memory = *memory;
}

void view_set_reader(struct view *view, const struct view_reader *reader)
{
	view->reader = *reader;
}

struct view_counters view_counters(const struct view *view)
{
	return view->counters;
}

void view_rest(struct view *view)
{
	view->spell++;
	while (view->n_open_fds > 0)
		close(view->open_fds[--view->n_open_fds]);
}

uint64_t view_arrive(struct view *view)
{
	view_rest(view);
	if (view->entries.n > ENTRIES_LIMIT || view->contents.n > ENTRIES_LIMIT || view->directories.n > ENTRIES_LIMIT)
		forget_everything(view);
	return ++view->arrived;
}

static void split(struct slice path, struct slice *directory, struct slice *name)
{
	const char *slash = memrchr(path.ptr, '/', path.len);
	assert(slash);
	*directory = slash == path.ptr ? slice_of("/", 1) : slice_of(path.ptr, (size_t)(slash - path.ptr));
	*name = slice_of(slash + 1, (size_t)(path.ptr + path.len - slash - 1));
}

/* `path` without `..`: where it leads if it leads through no symlinks. */
static void fold(const char *path, struct buf *ret)
{
	for (const char *rest = path + 1; *rest; rest += *rest == '/') {
		struct slice name = slice_of(rest, strcspn(rest, "/"));
		rest += name.len;
		if (slice_equal_str(name, "..")) {
			while (ret->len > 0 && ret->ptr[--ret->len] != '/')
				;
		} else if (name.len > 0 && !slice_equal_str(name, ".")) {
			buf_append_char(ret, '/');
			buf_append_slice(ret, name);
		}
	}
	if (ret->len == 0)
		buf_append_char(ret, '/');
}

static struct entry *get_entry(struct view *view, struct slice path)
{
	struct entry *e = map_get(&view->entries, path);
	if (e)
		return e;
	e = calloc(1, sizeof(*e) + path.len + 1);
	if (!e)
		abort();
	memcpy(e->path, path.ptr, path.len);
	map_put(&view->entries, slice_of(e->path, path.len), e);
	if (path_has_dotdot(e->path)) {
		_cleanup_buf_ struct buf folded = { 0 };
		fold(e->path, &folded);
		e->folded = get_entry(view, buf_slice(&folded));
	}
	return e;
}

bool view_identity_equal(const struct view_identity *a, const struct view_identity *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static int64_t changed_ns(const struct view_identity *identity)
{
	return identity->mtime_ns > identity->ctime_ns ? identity->mtime_ns : identity->ctime_ns;
}

/* Whether bytes read at `now_ns` may be followed by others with the same identity. The future is racy too. */
static bool is_racy(const struct view *view, const struct view_identity *identity, int64_t now_ns)
{
	return changed_ns(identity) > now_ns - view->racy_ns;
}

static void note_vanished(struct view *view, struct entry *e)
{
	if (e->next_vanished)
		return;
	e->next_vanished = view->vanished ? view->vanished : e;
	view->vanished = e;
}

const char *view_next_vanished(struct view *view)
{
	struct entry *e = view->vanished;
	if (!e)
		return NULL;
	view->vanished = e->next_vanished == e ? NULL : e->next_vanished;
	e->next_vanished = NULL;
	return e->path;
}

static void set_followed(struct entry *e, const struct view_info *info, uint64_t at)
{
	e->digested = e->digested && view_identity_equal(&e->followed.identity, &info->identity);
	e->followed = *info;
	e->followed_at = at;
}

static struct entry *parent_of(struct view *view, struct entry *e)
{
	struct slice parent, name;
	if (!e->parent) {
		split(slice_str(e->path), &parent, &name);
		e->parent = get_entry(view, parent);
		e->name_at = (uint32_t)(name.ptr - e->path);
	}
	return e->parent;
}

/* From where to ask for `e`, and by which name. A path that a request asked for often enough needn't be walked again and again. */
static int vantage(struct view *view, struct entry *e, const char **name)
{
	*name = e->path;
	if (e->path[1] == '\0')
		return AT_FDCWD;
	struct entry *parent = parent_of(view, e);
	if (parent->spell != view->spell) {
		parent->spell = view->spell;
		parent->spell_asked = 0;
		parent->spell_fd = AT_FDCWD;
	}
	if (++parent->spell_asked == ASKED_BEFORE_OPENING && view->n_open_fds < OPEN_LIMIT) {
		int fd = open(parent->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			parent->spell_fd = view->open_fds[view->n_open_fds++] = fd;
	}
	if (parent->spell_fd >= 0)
		*name = e->path + e->name_at;
	return parent->spell_fd;
}

/* Ask the file system about the path itself. */
static void ask(struct view *view, struct entry *e, bool follow)
{
	struct stat st;
	struct view_info info;
	const char *name;
	int from = vantage(view, e, &name);
	view->counters.stats++;
	if (fstatat(from, name, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) == 0)
		info = reading_info(&st);
	else
		info = (struct view_info){ .kind = errno == ENOENT || errno == ENOTDIR ? VIEW_ABSENT : VIEW_SPECIAL };
	if (info.kind == VIEW_ABSENT && (e->link || e->followed.kind != VIEW_ABSENT))
		note_vanished(view, e);
	if (!follow)
		e->seen_at = view->arrived;
	if (info.kind == VIEW_LINK) {
		if (!e->link && !(e->link = malloc(sizeof(*e->link))))
			abort();
		*e->link = info;
		return;
	}
	if (!follow) {
		free(e->link);
		e->link = NULL;
	}
	set_followed(e, &info, view->arrived);
}

static const struct view_info *examine(struct view *view, uint64_t since, struct entry *e, bool follow)
{
	assert(since > 0 && since <= view->arrived);
	if (!follow) {
		if (e->seen_at < since)
			ask(view, e, false);
		return e->link ? e->link : &e->followed;
	}
	/* Of what was asked for itself before, both will be wanted again, and of most things lstat answers both. */
	if (e->followed_at < since && e->seen_at > 0 && e->seen_at < since && !e->link)
		ask(view, e, false);
	if (e->followed_at < since)
		ask(view, e, true);
	return &e->followed;
}

/* Whether `e` is a directory, no component of its path is a symlink, and all can be walked through: then `..` behind one is the component before. */
static bool is_plain(struct view *view, uint64_t since, struct entry *e)
{
	if (e->plain_at >= since || strcmp(e->path, "/") == 0)
		return true;
	if (!is_plain(view, since, parent_of(view, e)))
		return false;
	struct entry *folded = e->folded ? e->folded : e;
	const struct view_info *info = examine(view, since, folded, false);
	if (info->kind != VIEW_DIRECTORY || ((info->mode & 0111) != 0111 && faccessat(AT_FDCWD, folded->path, X_OK, AT_EACCESS) < 0))
		return false;
	e->plain_at = since;
	return true;
}

/* The entry to ask about what is at the path of `e`. Compilers name the same file by many ways (lib/gcc/x/12/../../../../include/math.h), and the
 * kernel walks all of each. */
static struct entry *entry_to_ask(struct view *view, uint64_t since, struct entry *e)
{
	return e->folded && is_plain(view, since, parent_of(view, e)) ? e->folded : e;
}

static struct entry *entry_at(struct view *view, uint64_t since, struct slice path)
{
	return entry_to_ask(view, since, get_entry(view, path));
}

static struct entry *entry_of(struct view *view, uint64_t since, struct view_place *place, const char *path)
{
	if (place->epoch != view->epoch)
		*place = (struct view_place){ get_entry(view, slice_str(path)), view->epoch };
	return entry_to_ask(view, since, place->entry);
}

void view_fetch(const struct view *view, const struct view_place *place)
{
	if (place->epoch != view->epoch)
		return;
	for (const char *line = (const char *)place->entry; line < place->entry->path; line += 64)
		__builtin_prefetch(line);
}

struct view_info view_stat(struct view *view, uint64_t since, const char *path, bool follow)
{
	return *examine(view, since, entry_at(view, since, slice_str(path)), follow);
}

/* Contents */

static const struct digest *find_content(const struct view *view, const struct view_identity *identity)
{
	const struct content *content = map_get(&view->contents, slice_of(identity, sizeof(*identity)));
	return content ? &content->digest : NULL;
}

static void keep_content(struct view *view, const struct view_identity *identity, const struct digest *digest)
{
	struct content *content = malloc(sizeof(*content));
	if (!content)
		abort();
	*content = (struct content){ *identity, *digest };
	free(map_put(&view->contents, slice_of(&content->identity, sizeof(content->identity)), content));
}

/* What was read for requests up to `arrived`. Meanwhile others may have asked again and know better. */
static void take_reading(struct view *view, struct entry *e, uint64_t arrived, const struct reading *reading)
{
	const struct view_identity *identity = &reading->info.identity;
	bool kept = !is_racy(view, identity, reading->begun_ns);
	view->counters.hashes++;
	view->counters.hashed_bytes += (uint64_t)reading->digest.size_bytes;
	if (e->followed_at <= arrived)
		set_followed(e, &reading->info, arrived);
	if (e->digested_at <= arrived) {
		e->digest = reading->digest;
		e->digested = view_identity_equal(&e->followed.identity, identity);
		e->digested_at = arrived;
		e->digest_kept = kept;
	}
	if (kept) {
		keep_content(view, identity, &reading->digest);
		if (view->memory.put && reading->digest.size_bytes >= REMEMBERED_BYTES)
			view->memory.put(view->memory.ctx, identity, &reading->digest);
	}
}

static int hash_file(struct view *view, struct entry *e, struct error *err)
{
	struct reading reading;
	view->text_digest = (struct digest){ 0 };
	int r = reading_make(e->path, view->now_ns, &view->text, &reading, err);
	if (r == 0) {
		if (reading.digest.size_bytes == (int64_t)view->text.len)
			view->text_digest = reading.digest;
		take_reading(view, e, view->arrived, &reading);
	} else if (reading.info.kind != VIEW_ABSENT) {
		set_followed(e, &reading.info, view->arrived);
	}
	return r;
}

bool view_text(const struct view *view, const struct digest *digest, struct slice *ret)
{
	if (!digest_equal(digest, &view->text_digest))
		return false;
	*ret = buf_slice(&view->text);
	return true;
}

void view_take(struct view *view, uint64_t arrived, const char *path, const struct reading *reading)
{
	struct entry *e = get_entry(view, slice_str(path));
	e->read_at = arrived;
	if (reading)
		take_reading(view, e, arrived, reading);
}

/* Brings e->digest up to date with e->followed. 0, VIEW_NOT_A_FILE or -1. */
static int entry_digest(struct view *view, uint64_t since, struct entry *e, struct error *err)
{
	const struct view_info *info = examine(view, since, e, true);
	if (info->kind != VIEW_FILE)
		return VIEW_NOT_A_FILE;
	if (e->digested && (e->digest_kept || e->digested_at >= since))
		return 0;
	const struct digest *known = find_content(view, &info->identity);
	struct digest remembered;
	if (!known && view->memory.get && info->identity.size >= REMEMBERED_BYTES &&
		view->memory.get(view->memory.ctx, &info->identity, &remembered) == 0 && remembered.size_bytes == info->identity.size) {
		keep_content(view, &info->identity, &remembered);
		known = &remembered;
	}
	if (!known && view->reader.read && info->identity.size >= VIEW_LARGE_BYTES && e->read_at < since) {
		view->reader.read(view->reader.ctx, e->path, view->arrived, view->now_ns);
		return error_set(err, EAGAIN, "%s is being read", e->path);
	}
	if (!known)
		return hash_file(view, e, err);
	e->digest = *known;
	e->digested = e->digest_kept = true;
	return 0;
}

int view_digest(struct view *view, uint64_t since, const char *path, struct digest *ret, struct view_info *info_ret,
	struct error *err)
{
	return view_digest_at(view, since, &(struct view_place){ 0 }, path, ret, info_ret, err);
}

int view_digest_at(struct view *view, uint64_t since, struct view_place *place, const char *path, struct digest *ret,
	struct view_info *info_ret, struct error *err)
{
	struct entry *e = entry_of(view, since, place, path);
	int r = entry_digest(view, since, e, err);
	if (r != 0)
		return r;
	*ret = e->digest;
	if (info_ret)
		*info_ret = e->followed;
	return 0;
}

const char *view_readlink(struct view *view, uint64_t since, const char *path)
{
	struct entry *e = entry_at(view, since, slice_str(path));
	if (examine(view, since, e, false)->kind != VIEW_LINK)
		return NULL;
	for (size_t room = 256;; room *= 2) {
		buf_reset(&view->target);
		ssize_t n = readlink(e->path, buf_reserve(&view->target, room), room - 1);
		if (n < 0)
			return NULL;
		view->target.ptr[n] = '\0';
		if ((size_t)n < room - 1)
			return view->target.ptr;
	}
}

struct asking {
	struct view *view;
	uint64_t since;
};

static const char *target_at_home(void *ctx, const char *path)
{
	const struct asking *asking = ctx;
	return view_readlink(asking->view, asking->since, path);
}

/* Directories */

static struct directory *get_directory(struct view *view, struct entry *e)
{
	const struct view_identity *identity = &e->followed.identity;
	if (e->directory && e->directory->key.ino == identity->ino && e->directory->key.dev == identity->dev)
		return e->directory;
	struct directory key = { .key = { identity->dev, identity->ino } };
	struct directory *d = map_get(&view->directories, slice_of(&key.key, sizeof(key.key)));
	if (!d) {
		d = malloc(sizeof(*d));
		if (!d)
			abort();
		*d = key;
		map_put(&view->directories, slice_of(&d->key, sizeof(d->key)), d);
	}
	e->directory = d;
	return d;
}

/* 0, VIEW_TOO_MANY_NAMES, or -1. */
static int read_directory(struct view *view, const char *path, struct directory *d, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		d->hopeless = true;
		return error_set(err, errno, "cannot open directory %s", path);
	}
	int64_t now_ns = view->now_ns();
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "cannot stat directory %s", path);
	struct view_info info = reading_info(&st);
	if (info.identity.dev != d->key.dev || info.identity.ino != d->key.ino)
		return error_set(err, 0, "directory %s was replaced while it was read", path);
	listing_deinit(&d->listing);
	d->read_at = 0;
	d->digested = false;
	view->counters.listings++;
	int r = listing_read(take_fd(fd), &d->listing);
	d->hopeless = r != 0 || !d->listing.trusted;
	if (r < 0)
		return error_set(err, errno, "cannot read directory %s", path);
	if (r == LISTING_TOO_LONG)
		return VIEW_TOO_MANY_NAMES;
	d->read_at = view->arrived;
	d->state = view->counters.listings;
	d->names = d->listing.names.n;
	/* If names changed while we read, the identity from before is already history and will never be seen again. */
	d->identity = info.identity;
	d->kept = d->listing.trusted && !is_racy(view, &info.identity, now_ns);
	return 0;
}

static bool listing_is_valid(const struct directory *d, const struct view_identity *identity, uint64_t since)
{
	return d->read_at >= since || (d->read_at > 0 && d->kept && view_identity_equal(&d->identity, identity));
}

/* The valid listing of the directory `e`. 0, VIEW_NOT_A_DIRECTORY, VIEW_TOO_MANY_NAMES or -1. */
static int entry_listing(struct view *view, uint64_t since, struct entry *e, struct directory **ret, struct error *err)
{
	if (examine(view, since, e, true)->kind != VIEW_DIRECTORY)
		return VIEW_NOT_A_DIRECTORY;
	struct directory *d = get_directory(view, e);
	if (!listing_is_valid(d, &e->followed.identity, since)) {
		int r = read_directory(view, e->path, d, err);
		if (r != 0)
			return r;
	}
	*ret = d;
	return 0;
}

static int entry_listing_digest(
	struct view *view, uint64_t since, struct entry *e, struct digest *ret, struct error *err)
{
	struct directory *d;
	int r = entry_listing(view, since, e, &d, err);
	if (r != 0)
		return r;
	if (!d->digested) {
		d->digest = listing_digest(&d->listing);
		d->digested = true;
	}
	*ret = d->digest;
	return 0;
}

int view_names(struct view *view, uint64_t since, const char *path, struct arena *arena, struct view_name **ret,
	size_t *n_ret, struct error *err)
{
	struct directory *d;
	int r = entry_listing(view, since, entry_at(view, since, slice_str(path)), &d, err);
	if (r != 0)
		return r;
	struct view_name *names = listing_sorted(&d->listing, arena);
	for (size_t i = 0; i < d->listing.names.n; i++)
		names[i].name = arena_strdup(arena, names[i].name);
	*ret = names;
	*n_ret = d->listing.names.n;
	return 0;
}

/* Absences */

/* The listing of the directory `e`, which was examined, for a question about `n` of its names; NULL: it is better to ask for the names. */
static const struct listing *listing_for(struct view *view, uint64_t since, struct entry *e, size_t n)
{
	struct directory *d = get_directory(view, e);
	if (d->hopeless)
		return NULL;
	if (!listing_is_valid(d, &e->followed.identity, since)) {
		if (d->asked_for != since) {
			d->asked_for = since;
			d->asked = 0;
		}
		d->asked += n;
		if (is_racy(view, &e->followed.identity, view->now_ns()) && d->asked <= ASKED_BEFORE_LISTING + d->names / 4)
			return NULL;
		if (read_directory(view, e->path, d, NULL) != 0 || d->hopeless)
			return NULL;
	}
	return &d->listing;
}

/* Whether it is certain, without asking for the name itself, that `name` is not in the directory `e`, which was
 * examined. */
static bool directory_lacks(struct view *view, uint64_t since, struct entry *e, struct slice name)
{
	switch (e->followed.kind) {
	case VIEW_ABSENT:
	case VIEW_FILE:
		return true;
	case VIEW_LINK: /* never, when followed */
	case VIEW_SPECIAL:
		return false;
	case VIEW_DIRECTORY:
		break;
	}
	/* `..` is in no listing; a longer name is not absent but ENAMETOOLONG. */
	if (name.len == 0 || name.len > 255 || slice_equal_str(name, ".."))
		return false;
	const struct listing *listing = listing_for(view, since, e, 1);
	return listing && !listing_has(listing, name);
}

/* Examine what is expected to be a directory, or to be absent together with a whole subtree. */
static struct entry *examine_directory(struct view *view, uint64_t since, struct slice path)
{
	struct entry *e = entry_at(view, since, path);
	if (e->followed_at >= since)
		return e;
	if (e->followed_at > 0 && e->followed.kind == VIEW_ABSENT && path.len > 1) {
		struct slice parent, name;
		split(path, &parent, &name);
		if (directory_lacks(view, since, examine_directory(view, since, parent), name)) {
			e->followed_at = since;
			return e;
		}
	}
	examine(view, since, e, true);
	return e;
}

void view_name_hash(struct slice name, unsigned char ret[VIEW_NAME_HASH_BYTES])
{
	uint32_t low = htole32((uint32_t)map_hash(name));
	memcpy(ret, &low, sizeof(low));
}

bool view_lacks(struct view *view, uint64_t since, const char *directory, const unsigned char *hashes, size_t n)
{
	struct entry *e = examine_directory(view, since, slice_str(directory));
	if (e->followed.kind == VIEW_ABSENT || e->followed.kind == VIEW_FILE)
		return true;
	const struct listing *listing = e->followed.kind == VIEW_DIRECTORY ? listing_for(view, since, e, n) : NULL;
	if (!listing)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint32_t low;
		memcpy(&low, hashes + i * VIEW_NAME_HASH_BYTES, sizeof(low));
		if (map_may_have(&listing->names, le32toh(low)))
			return false;
	}
	return true;
}

/* The directory that the last absent name was in: names come sorted, so the next is mostly in the same. */
struct cursor {
	struct slice path;
	struct entry *directory;
};

static bool is_absent(struct view *view, uint64_t since, const char *path, struct cursor *cursor)
{
	struct slice directory, name;
	split(slice_str(path), &directory, &name);
	if (!cursor->directory || !slice_equal(cursor->path, directory))
		*cursor = (struct cursor){ directory, examine_directory(view, since, directory) };
	return directory_lacks(view, since, cursor->directory, name) ||
	       examine(view, since, entry_at(view, since, slice_str(path)), true)->kind == VIEW_ABSENT;
}

bool view_is_absent(struct view *view, uint64_t since, const char *path)
{
	return is_absent(view, since, path, &(struct cursor){ 0 });
}

uint64_t view_names_state(struct view *view, uint64_t since, struct view_place *place, const char *path)
{
	struct entry *e = entry_of(view, since, place, path);
	if (examine(view, since, e, true)->kind != VIEW_DIRECTORY)
		return 0;
	struct directory *d = get_directory(view, e);
	bool known = d->read_at > 0 && d->kept && view_identity_equal(&d->identity, &e->followed.identity);
	if (!known && (d->hopeless || is_racy(view, &e->followed.identity, view->now_ns()) ||
			      read_directory(view, e->path, d, NULL) != 0 || !d->kept))
		return 0;
	return d->state;
}

/* Look-ups */

/* Whether no component of `path` is a symlink: the common case, answered once per directory and request. */
static bool is_straight(struct view *view, uint64_t since, struct slice path)
{
	struct slice parent, name;
	if (path.len == 1)
		return true;
	struct entry *e = entry_at(view, since, path);
	if (e->straight_at >= since)
		return true;
	split(path, &parent, &name);
	if (examine(view, since, e, false)->kind == VIEW_LINK || !is_straight(view, since, parent))
		return false;
	e->straight_at = since;
	return true;
}

/* Where the symlinks on `path` lead; zero when there are none. */
static struct digest whereabouts(struct view *view, uint64_t since, const char *path)
{
	if (is_straight(view, since, slice_str(path)))
		return (struct digest){ 0 };
	return links_digest(path, target_at_home, &(struct asking){ view, since });
}

static int observe_link(struct view *view, uint64_t since, struct lookup *lookup, struct entry *e)
{
	switch (examine(view, since, e, false)->kind) {
	case VIEW_ABSENT:
		lookup->kind = LOOKUP_ABSENT;
		return 0;
	case VIEW_SPECIAL:
		lookup->kind = LOOKUP_SPECIAL;
		return 0;
	case VIEW_LINK:
	case VIEW_FILE:
	case VIEW_DIRECTORY:
		break;
	}
	/* A symlink in the middle of the path is part of the answer too. */
	lookup->digest = whereabouts(view, since, lookup->path);
	return 0;
}

static int observe_what_is_there(
	struct view *view, uint64_t since, struct lookup *lookup, struct entry *e, struct error *err)
{
	struct error reason = { 0 };
	int r;
	switch (examine(view, since, e, true)->kind) {
	case VIEW_ABSENT:
		lookup->kind = LOOKUP_ABSENT;
		return 0;
	case VIEW_DIRECTORY:
		lookup->kind = LOOKUP_DIRECTORY;
		lookup->digest = whereabouts(view, since, lookup->path);
		return 0;
	case VIEW_LINK: /* never, when followed */
	case VIEW_SPECIAL:
		break;
	case VIEW_FILE:
		r = entry_digest(view, since, e, &reason);
		if (r == 0) {
			lookup->kind = LOOKUP_FILE;
			lookup->digest = e->digest;
			return 0;
		}
		if (r < 0 && reason.code != EACCES && reason.code != EPERM) {
			if (err)
				*err = reason;
			return -1;
		}
		break;
	}
	lookup->kind = LOOKUP_SPECIAL;
	return 0;
}

int view_observe(struct view *view, uint64_t since, struct lookup *lookup, struct error *err)
{
	struct entry *e = entry_at(view, since, slice_str(lookup->path));
	lookup->digest = (struct digest){ 0 };
	if (lookup->kind == LOOKUP_LINK)
		return observe_link(view, since, lookup, e);
	if (lookup->kind != LOOKUP_LISTING)
		return observe_what_is_there(view, since, lookup, e, err);
	int r = entry_listing_digest(view, since, e, &lookup->digest, NULL);
	if (r == VIEW_NOT_A_DIRECTORY)
		return observe_what_is_there(view, since, lookup, e, err);
	if (r != 0)
		lookup->kind = LOOKUP_SPECIAL;
	return 0;
}

/* Whether `lookup`, no absence, is answered now as it says. */
static bool is_confirmed(struct view *view, uint64_t since, const struct lookup *lookup)
{
	struct entry *e = entry_at(view, since, slice_str(lookup->path));
	struct lookup now = { lookup->path, lookup->kind, { { 0 }, 0 } };
	switch (lookup->kind) {
	case LOOKUP_FILE:
		/* Another size is another content: no need to read it. */
		return examine(view, since, e, true)->kind == VIEW_FILE &&
		       e->followed.identity.size == lookup->digest.size_bytes &&
		       entry_digest(view, since, e, NULL) == 0 && digest_equal(&e->digest, &lookup->digest);
	case LOOKUP_DIRECTORY:
		if (examine(view, since, e, true)->kind != VIEW_DIRECTORY)
			return false;
		now.digest = whereabouts(view, since, lookup->path);
		return digest_equal(&now.digest, &lookup->digest);
	case LOOKUP_LISTING:
		return entry_listing_digest(view, since, e, &now.digest, NULL) == 0 &&
		       digest_equal(&now.digest, &lookup->digest);
	case LOOKUP_LINK:
		return observe_link(view, since, &now, e) == 0 && now.kind == LOOKUP_LINK &&
		       digest_equal(&now.digest, &lookup->digest);
	case LOOKUP_ABSENT: /* is_absent() */
	case LOOKUP_SPECIAL:
		break;
	}
	return false;
}

int view_check(struct view *view, uint64_t since, const struct lookups *lookups, size_t *at)
{
	struct cursor cursor = { 0 };
	for (size_t i = 0; i < lookups->n; i++) {
		const struct lookup *lookup = &lookups->v[i];
		if (lookup->kind == LOOKUP_ABSENT ? is_absent(view, since, lookup->path, &cursor)
						  : is_confirmed(view, since, lookup))
			continue;
		if (at)
			*at = i;
		return VIEW_DIFFERS;
	}
	return 0;
}

/* Whether `path`, a directory or symlink on the way to an input, was made, renamed or retargeted since. A directory
 * whose names changed has mtime and ctime of the same moment; one that was renamed has only a new ctime. */
static bool way_is_newer(struct view *view, uint64_t since, struct slice path, int64_t since_ns)
{
	const struct view_info *info = examine(view, since, entry_at(view, since, path), false);
	if (info->identity.ctime_ns < since_ns)
		return false;
	return info->kind != VIEW_DIRECTORY || info->identity.ctime_ns != info->identity.mtime_ns;
}

bool view_any_newer(struct view *view, uint64_t since, const struct lookups *lookups, int64_t since_ns)
{
	struct slice known = { 0 }; /* the directory of the last look-up, whose way was looked at */
	for (size_t i = 0; i < lookups->n; i++) {
		const struct lookup *lookup = &lookups->v[i];
		struct slice path = slice_str(lookup->path), directory, name;
		struct entry *e = entry_at(view, since, path);
		switch (lookup->kind) {
		case LOOKUP_ABSENT:
		case LOOKUP_SPECIAL:
			continue;
		case LOOKUP_FILE:
		case LOOKUP_LISTING:
			if (changed_ns(&examine(view, since, e, true)->identity) >= since_ns)
				return true;
			break;
		case LOOKUP_DIRECTORY:
		case LOOKUP_LINK:
			break;
		}
		if (way_is_newer(view, since, path, since_ns))
			return true;
		split(path, &directory, &name);
		if (slice_equal(directory, known))
			continue;
		known = directory;
		while (directory.len > 1) {
			if (way_is_newer(view, since, directory, since_ns))
				return true;
			split(directory, &directory, &name);
		}
	}
	return false;
}

static bool shares_inode(const struct view_info *a, const struct view_info *b)
{
	return a->identity.dev == b->identity.dev && a->identity.ino == b->identity.ino;
}

static bool shares_second(const struct view_info *a, const struct view_info *b)
{
	return a->identity.mtime_ns / 1000000000 == b->identity.mtime_ns / 1000000000;
}

void view_alias_signature(struct view *view, uint64_t since, const struct lookups *lookups, struct digest *ret)
{
	struct twin {
		size_t at;	    /* in lookups */
		struct twin *first; /* with this content */
		struct twin *next;  /* with this content, or NULL */
		struct twin *last;  /* of a first: where the chain ends */
		struct view_info info;
	};
	_cleanup_map_ struct map firsts = { 0 };
	*ret = (struct digest){ 0 };
	_cleanup_free_ struct twin *twins = malloc((lookups->n + 1) * sizeof(*twins));
	if (!twins)
		abort();
	size_t n = 0;
	for (size_t i = 0; i < lookups->n; i++) {
		if (lookups->v[i].kind != LOOKUP_FILE)
			continue;
		struct twin *twin = &twins[n++];
		*twin = (struct twin){ .at = i };
		struct slice key = digest_slice(&lookups->v[i].digest);
		struct twin *first = map_get(&firsts, key);
		if (!first) {
			map_put(&firsts, key, twin);
			twin->first = twin->last = twin;
			continue;
		}
		twin->first = first;
		first->last->next = twin;
		first->last = twin;
	}

	/* Per content that several have: for each of them, which is the first with the same inode and with the same mtime. Contents count in no order, for that of
	 * the paths is another below another base directory. */
	for (struct twin *first = twins; first < twins + n; first++) {
		if (first->first != first || !first->next)
			continue;
		_cleanup_buf_ struct buf class = { 0 };
		buf_append_slice(&class, digest_slice(&lookups->v[first->at].digest));
		for (struct twin *twin = first; twin; twin = twin->next) {
			twin->info = view_stat(view, since, lookups->v[twin->at].path, true);
			uint64_t inode = 0, second = 0;
			for (const struct twin *p = first; p != twin && !shares_inode(&p->info, &twin->info); p = p->next)
				inode++;
			for (const struct twin *p = first; p != twin && !shares_second(&p->info, &twin->info); p = p->next)
				second++;
			buf_append(&class, &inode, sizeof(inode));
			buf_append(&class, &second, sizeof(second));
		}
		struct digest digest = digest_of(buf_slice(&class));
		for (size_t i = 0; i < sizeof(ret->hash); i++)
			ret->hash[i] ^= digest.hash[i];
	}
}
