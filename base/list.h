/* An intrusive, circular, doubly linked list. A `struct list` is both head and link; an empty head points to itself.
 * A link that is in no list points to itself as well, so removing it twice is harmless. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name) { &(name), &(name) }

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_append(struct list *head, struct list *link)
{
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define list_first(head, type, member) (list_empty(head) ? NULL : container_of((head)->next, type, member))

/* Walk the objects of a list; the current one may be removed. */
#define list_for_each(pos, head, type, member)                                                                        \
	for (struct list *pos##_link = (head)->next, *pos##_after = pos##_link->next;                                 \
	     pos##_link != (head) && ((pos = container_of(pos##_link, type, member)), true);                          \
	     pos##_link = pos##_after, pos##_after = pos##_link->next)
