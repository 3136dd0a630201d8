#include "core/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fatal.h"

enum { BLOCK_LEAST = 16 * 1024, BLOCK_MOST = 256 * 1024 };

/* With one allocation an item, ASan and valgrind see where each of them ends. */
#ifdef BERTH_ARENA_ITEMS
static const int one_item_a_block = 1;
#else
static const int one_item_a_block = 0;
#endif

struct block {
    struct block *next;
    size_t room;
    size_t used;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct block *blocks; /* the first one is being filled */
    size_t next_room;
};

struct arena *arena_new(void)
{
    struct arena *mem = calloc(1, sizeof(*mem));

    if (!mem)
        fatal_no_memory();
    mem->next_room = BLOCK_LEAST;
    return mem;
}

static void blocks_free(struct block *block)
{
    while (block) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
}

void arena_free(struct arena *mem)
{
    if (!mem)
        return;
    blocks_free(mem->blocks);
    free(mem);
}

void arena_cleanup(struct arena **mem)
{
    arena_free(*mem);
}

void arena_reset(struct arena *mem)
{
    struct block *first = mem->blocks;

    mem->next_room = BLOCK_LEAST;
    if (first && first->room == BLOCK_LEAST && !one_item_a_block) {
        blocks_free(first->next);
        first->next = NULL;
        memset(first->bytes, 0, first->used);
        first->used = 0;
        return;
    }
    blocks_free(first);
    mem->blocks = NULL;
}

static struct block *block_new(size_t room)
{
    if (room > SIZE_MAX - sizeof(struct block))
        fatal_no_memory();

    struct block *block = calloc(1, sizeof(struct block) + room);

    if (!block)
        fatal_no_memory();
    block->room = room;
    return block;
}

/* A block for this item alone goes behind the one being filled, whose rest stays in use. */
static void *alone(struct arena *mem, size_t size)
{
    struct block *block = block_new(size);

    block->used = size;
    if (mem->blocks) {
        block->next = mem->blocks->next;
        mem->blocks->next = block;
    } else {
        mem->blocks = block;
    }
    return block->bytes;
}

void *arena_alloc(struct arena *mem, size_t size)
{
    const size_t align = _Alignof(max_align_t);

    if (one_item_a_block || size > BLOCK_LEAST / 2)
        return alone(mem, size);

    size_t rounded = size == 0 ? align : (size + align - 1) / align * align;
    struct block *block = mem->blocks;

    if (!block || block->room - block->used < rounded) {
        block = block_new(mem->next_room);
        block->next = mem->blocks;
        mem->blocks = block;
        if (mem->next_room < BLOCK_MOST)
            mem->next_room *= 2;
    }
    void *item = block->bytes + block->used;
    block->used += rounded;
    return item;
}

void *arena_array(struct arena *mem, size_t count, size_t item_size)
{
    size_t size = 0;

    if (__builtin_mul_overflow(count, item_size, &size))
        fatal("an array larger than the address space was asked for");
    return arena_alloc(mem, size);
}

char *arena_copy_n(struct arena *mem, const void *bytes, size_t len)
{
    if (len == SIZE_MAX)
        fatal_no_memory();

    char *copy = arena_alloc(mem, len + 1);

    if (len > 0)
        memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}

char *arena_copy(struct arena *mem, const char *text)
{
    return text ? arena_copy_n(mem, text, strlen(text)) : NULL;
}

char *arena_printf(struct arena *mem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        fatal("arena_printf was given a format that cannot be printed");

    char *text = arena_alloc(mem, (size_t)len + 1);

    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}
