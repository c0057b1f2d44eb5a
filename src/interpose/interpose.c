/* SPDX-License-Identifier: MIT */
/* Decides what each slot should hold: by the names passed to bough_interpose(), and by hooks. */
#define _GNU_SOURCE
#include <bough/interpose.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "interpose/patch.h"
#include "interpose/report.h"
#include "interpose/wrapper.h"
#include "thread/adopt.h"
#include "thread/foreign.h"

/* A selected object: any with this name, or exactly one (BOUGH_LOADED_ONLY). */
struct named {
    struct named *next;
    uintptr_t base; /* the base of the selected object, if `exactly` */
    bool exactly;
    char name[];
};

struct bough_hook_entry {
    struct bough_hook_entry *next; /* in its bucket */
    char *object, *symbol;
    uint32_t hash; /* of the symbol */
    uintptr_t function, real;
};

static struct named *named_objects;
static bool everything;

/* Hooks by the hash of their symbol, the newest first. */
enum { BUCKETS = 64 };
static struct bough_hook_entry *buckets[BUCKETS];
static int hooks;

static struct bough_hook_entry **bucket_of(uint32_t hash)
{
    return &buckets[hash % BUCKETS];
}

/* ---- the wanted values --------------------------------------------------------------------------------- */

static bool is_wanted(const struct bo_object *o)
{
    if (everything)
        return true;
    for (const struct named *n = named_objects; n; n = n->next)
        if (n->exactly ? n->base == o->base && strcmp(n->name, o->path) == 0 : bo_object_is_named(o, n->name))
            return true;
    return false;
}

static const struct bough_hook_entry *hook_of(const struct bo_object *o, const char *symbol, uint32_t hash)
{
    for (const struct bough_hook_entry *h = *bucket_of(hash); h; h = h->next)
        if (strcmp(h->symbol, symbol) == 0 && (!h->object || bo_object_is_named(o, h->object)))
            return h;
    return NULL;
}

static struct bo_wish wish(const struct bo_object *o, const char *symbol)
{
    uint32_t hash = bo_symbol_hash(symbol);
    const struct bough_hook_entry *h = hook_of(o, symbol, hash);
    if (h)
        return (struct bo_wish){h->function, h->real, bo_wrapper_taken(symbol, hash), true, NULL};
    const struct bo_wrapper *w = bo_wrapper_of(symbol, hash);
    if (!w || !is_wanted(o))
        return (struct bo_wish){0};
    if (o->searches && strcmp(symbol, "dlopen") == 0)
        return (struct bo_wish){
            .refused =
                "the object has a search path (RUNPATH), which only a dlopen() called by the object itself follows"};
    return (struct bo_wish){(uintptr_t)w->function, *w->real, bo_wrapper_taken(symbol, hash), false, NULL};
}

/* ---- setting them --------------------------------------------------------------------------------------- */

static void refresh(void)
{
    if (bo_patch_stale())
        bough_interpose_rescan();
}

/* Called under the lock. */
static int apply(void)
{
    int count = bo_patch_apply(wish);
    bo_store_release(&bo_foreign_refresh, everything || named_objects || hooks ? refresh : NULL);
    return count;
}

int bough_interpose_rescan(void)
{
    int saved = errno;
    bo_patch_lock();
    int count = everything || named_objects || hooks ? apply() : 0;
    bo_patch_unlock();
    if (count >= 0)
        errno = saved;
    return count;
}

/* ---- naming --------------------------------------------------------------------------------------------- */

static bool add_name(const char *name, uintptr_t base, bool exactly)
{
    size_t size = strlen(name) + 1;
    struct named *n = malloc(sizeof *n + size);
    if (!n)
        return errno = ENOMEM, false;
    *n = (struct named){named_objects, base, exactly};
    memcpy(n->name, name, size);
    named_objects = n;
    return true;
}

static void forget_names(const struct named *until)
{
    while (named_objects != until) {
        struct named *n = named_objects;
        named_objects = n->next;
        free(n);
    }
}

struct choice {
    const char *const *objects;
    bool failed;
};

static bool is_chosen(const struct choice *c, const struct bo_object *o)
{
    for (const char *const *name = c->objects; name && *name; name++)
        if (bo_object_is_named(o, *name))
            return true;
    return !c->objects;
}

static int add_loaded(struct dl_phdr_info *info, size_t size, void *context)
{
    struct choice *c = context;
    struct bo_object o;
    (void)size;
    if (bo_object_open(&o, info) && is_chosen(c, &o))
        c->failed |= !add_name(o.path, o.base, true);
    return 0;
}

static bool add_names(const char *const objects[], unsigned flags)
{
    struct choice c = {objects, false};
    if (flags & BOUGH_LOADED_ONLY) {
        dl_iterate_phdr(add_loaded, &c);
        return !c.failed;
    }
    for (; objects && *objects; objects++)
        if (!add_name(*objects, 0, false))
            return false;
    everything |= !objects;
    return true;
}

/* Called before the patcher's lock is taken, because this takes the loader's lock: a thread whose constructor opts in
 * may hold that one, and wait for the patcher's. */
static int prepare_interposing(void)
{
    return bo_init() == 0 && bo_wrappers_init() == 0 ? 0 : -1;
}

int bough_interpose(const char *const objects[], unsigned flags)
{
    if (flags & ~(unsigned)BOUGH_LOADED_ONLY)
        return errno = EINVAL, -1;
    if (prepare_interposing() != 0)
        return -1;
    bo_patch_lock();
    const struct named *before = named_objects;
    bool everything_before = everything;
    int count = add_names(objects, flags) ? apply() : -1;
    if (count < 0) {
        int error = errno;
        forget_names(before);
        everything = everything_before;
        apply();
        errno = error;
    }
    bo_patch_unlock();
    return count;
}

int bough_interpose_undo(void)
{
    bo_patch_lock();
    forget_names(NULL);
    everything = false;
    int left = apply();
    bo_patch_unlock();
    return left;
}

/* ---- hooks ---------------------------------------------------------------------------------------------- */

static void hook_free(struct bough_hook_entry *h)
{
    free(h->object);
    free(h->symbol);
    free(h);
}

static struct bough_hook_entry *hook_new(const char *object, const char *symbol, bough_code *function)
{
    struct bough_hook_entry *h = calloc(1, sizeof *h);
    if (!h)
        return errno = ENOMEM, NULL;
    h->object = object ? strdup(object) : NULL;
    h->symbol = strdup(symbol);
    h->hash = bo_symbol_hash(symbol);
    h->function = (uintptr_t)function;
    if (h->symbol && (h->object || !object))
        return h;
    hook_free(h);
    return errno = ENOMEM, NULL;
}

static bool is_taken(const struct bough_hook_entry *by)
{
    for (const struct bough_hook_entry *h = *bucket_of(by->hash); h; h = h->next)
        if (strcmp(h->symbol, by->symbol) == 0 &&
            strcmp(h->object ? h->object : "*", by->object ? by->object : "*") == 0)
            return true;
    return false;
}

struct search {
    const char *object;
    char path[PATH_MAX];
};

static int note_path(struct dl_phdr_info *info, size_t size, void *argument)
{
    struct search *s = argument;
    (void)size;
    if (!*info->dlpi_name || !bo_path_is_named(info->dlpi_name, s->object) || strlen(info->dlpi_name) >= PATH_MAX)
        return 0;
    strcpy(s->path, info->dlpi_name);
    return 1;
}

/* Finds a function of an object that was loaded with RTLD_LOCAL, or of the object's dependencies. */
static uintptr_t find_for(const char *object, const char *symbol)
{
    struct search s = {.object = object};
    if (!object || !dl_iterate_phdr(note_path, &s))
        return 0;
    void *handle = dlopen(s.path, RTLD_LAZY | RTLD_NOLOAD);
    uintptr_t function = handle ? (uintptr_t)dlsym(handle, symbol) : 0;
    if (handle)
        dlclose(handle);
    return function;
}

static uintptr_t find_function(const char *object, const char *symbol)
{
    uintptr_t function = (uintptr_t)dlsym(RTLD_DEFAULT, symbol);
    if (function && bo_patch_is_jump(symbol, function))
        return (uintptr_t)dlsym(RTLD_NEXT, symbol);
    return function ? function : find_for(object, symbol);
}

/* Finds the address that a slot must hold to be replaced, and the function that the hook calls as the original. */
static bool find_original(struct bough_hook_entry *h, bough_code **original)
{
    const struct bo_wrapper *w = bo_wrapper_of(h->symbol, h->hash);
    h->real = w ? *w->real : find_function(h->object, h->symbol);
    if (!h->real)
        return errno = ENOENT, false;
    *original = w ? w->function : (bough_code *)h->real;
    return true;
}

static void add_hook(struct bough_hook_entry *h)
{
    struct bough_hook_entry **bucket = bucket_of(h->hash);
    h->next = *bucket;
    *bucket = h;
    hooks++;
}

static void remove_hook(struct bough_hook_entry *h)
{
    struct bough_hook_entry **link = bucket_of(h->hash);
    while (*link != h)
        link = &(*link)->next;
    *link = h->next;
    hooks--;
}

/* Compares addresses only: a hook that was removed before must not be read. */
static bool is_hook(const struct bough_hook_entry *hook)
{
    for (int i = 0; i < BUCKETS; i++)
        for (const struct bough_hook_entry *h = buckets[i]; h; h = h->next)
            if (h == hook)
                return true;
    return false;
}

/* Called under the lock. *original is set first, because the function may be called as soon as the first slot holds
 * it. */
static bool put_hook(struct bough_hook_entry *h, bough_code **original, bough_code *instead)
{
    if (is_taken(h))
        return errno = EEXIST, false;
    bough_code *before = *original;
    *original = instead;
    add_hook(h);
    if (apply() >= 0)
        return true;
    remove_hook(h);
    *original = before;
    return false;
}

bough_hook_t *bough_hook(const char *object, const char *symbol, bough_code *function, bough_code **original)
{
    if (!symbol || !*symbol || !function)
        return errno = EINVAL, NULL;
    struct bough_hook_entry *h = prepare_interposing() == 0 ? hook_new(object, symbol, function) : NULL;
    if (!h)
        return NULL;
    bough_code *instead, *unwanted = NULL;
    bool put = find_original(h, &instead);
    if (put) {
        bo_patch_lock();
        put = put_hook(h, original ? original : &unwanted, instead);
        bo_patch_unlock();
    }
    if (put)
        return h;
    hook_free(h);
    return NULL;
}

int bough_unhook(bough_hook_t *hook)
{
    bo_patch_lock();
    int result = -1;
    if (!is_hook(hook)) {
        errno = EINVAL;
    } else {
        remove_hook(hook);
        result = apply() < 0 ? -1 : 0;
        if (result == 0)
            hook_free(hook);
        else
            add_hook(hook);
    }
    bo_patch_unlock();
    return result;
}

/* ---- reporting ---------------------------------------------------------------------------------- */

int bo_interpose_visit(void (*visit)(void *context, const struct bough_slot *slot), void *context)
{
    if (prepare_interposing() != 0)
        return -1;
    bo_patch_lock();
    int count = bo_patch_visit(wish, visit, context);
    bo_patch_unlock();
    return count;
}
