/*
 * arena - memory that lives as long as one request or one step.
 *
 * Nothing is freed by itself; arena_free gives all of it back. Allocations are zeroed and never NULL:
 * when the machine has no memory left the process says so and ends (its supervisor starts it again, and all that
 * must last is in Postgres). What strangers control is bounded before it is allocated, by named limits.
 * Under sanitizers and valgrind each item is an allocation of its own, so an overrun shows.
 * Not for sharing between threads.
 */
#ifndef BERTH_BASE_ARENA_H
#define BERTH_BASE_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *mem);  /* NULL is fine */
void arena_reset(struct arena *mem); /* frees the items, keeps the arena */

void *arena_alloc(struct arena *mem, size_t size);
void *arena_array(struct arena *mem, size_t count, size_t item_size); /* refuses overflow by ending the process */
char *arena_copy(struct arena *mem, const char *text);                /* NULL gives NULL */
char *arena_copy_n(struct arena *mem, const void *bytes, size_t len); /* adds a NUL */
char *arena_printf(struct arena *mem, const char *format, ...) __attribute__((format(printf, 2, 3)));

void arena_cleanup(struct arena **mem);
#define AUTO_ARENA __attribute__((cleanup(arena_cleanup)))

#endif
