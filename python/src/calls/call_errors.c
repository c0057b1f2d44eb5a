/* SPDX-License-Identifier: MIT */
/* Chooses the error of an interrupted call by the calling object: the interpreter, its modules, or other C code. */
#include "calls/calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>

/* Objects of the interpreter, and of libraries that its modules use: they pass on any error, which becomes an
 * OSError. */
static const char *const passes_on[] = {"/lib-dynload/",   "/libpython3", "/libssl.so", "/libcrypto.so",
                                        "/libreadline.so", "/libncurses", "/libtinfo"};
enum { PASS_ON = sizeof passes_on / sizeof *passes_on };

/* A loaded object. */
struct object {
    const void *place; /* identifies it */
    const char *path;
};

/* From glibc 2.35 on: takes no lock, and compares no symbols; dladdr() does, for 10 us in the interpreter. */
#ifdef DLFO_STRUCT_HAS_EH_DBASE
static bool find_object(const void *address, struct object *object)
{
    struct dl_find_object found;
    if (_dl_find_object((void *)(uintptr_t)address, &found) != 0)
        return false;
    *object = (struct object){found.dlfo_link_map, found.dlfo_link_map->l_name};
    return true;
}
#else
static bool find_object(const void *address, struct object *object)
{
    Dl_info info;
    if (!dladdr(address, &info))
        return false;
    *object = (struct object){info.dli_fbase, info.dli_fname};
    return true;
}
#endif

/* Identifies the object that contains the interpreter: a program or a library. */
static const void *interpreter;

char bp_interpreters_name[256]; /* the file name of that object; "" is the program */

static void name_interpreter(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    snprintf(bp_interpreters_name, sizeof bp_interpreters_name, "%s", slash ? slash + 1 : path ? path : "");
}

void bp_find_interpreter(void)
{
    struct object object;
    bool found = find_object((const void *)(uintptr_t)PyErr_CheckSignals, &object);
    interpreter = found ? object.place : NULL;
    name_interpreter(found ? object.path : NULL);
}

static bool is_one_of(const char *path, const char *const *parts, int count)
{
    for (int i = 0; path && i < count; i++)
        if (strstr(path, parts[i]))
            return true;
    return false;
}

static bool passes_on_errors(const struct object *object)
{
    return object->place == interpreter || is_one_of(object->path, passes_on, PASS_ON);
}

/*
 * These modules, and the interpreter, raise an OSError right after each call that failed, as their source shows. The
 * interrupt's exception replaces that error, so no later error has to be recognised as the interrupt's: watching the
 * instruction for such an error (cause.c, watch.c) takes longer than the rest of an interrupt. Calls that look up a
 * name are excluded, because other errors follow them.
 */
static const char *const raises_at_once[] = {"/lib-dynload/_socket.", "/lib-dynload/select.", "/lib-dynload/fcntl.",
                                             "/lib-dynload/_multiprocessing."};
enum { AT_ONCE = sizeof raises_at_once / sizeof *raises_at_once };

static bool raises(const struct object *object, const char *call)
{
    if (strncmp(call, "get", 3) == 0)
        return false;
    return object->place == interpreter || is_one_of(object->path, raises_at_once, AT_ONCE);
}

/*
 * The interpreter retries after EINTR, so its calls fail with BP_CUT at once. All other code gets EINTR first, which
 * extension modules handle by PyErr_CheckSignals(). In a lock's method a semaphore's wait fails with ETIMEDOUT, as at
 * the end of its timeout. readline's wait fails with EINTR, because the interpreter repeats the wait after any
 * other error.
 */
int bp_choose_error(void *argument, const char *call, const void *site)
{
    struct bp_thread *t = argument;
    struct object object;
    t->cut.raises = false;
    if (t->wait.in_lock && strncmp(call, "sem_", 4) == 0)
        return ETIMEDOUT;
    if (t->wait.in_readline)
        return EINTR;
    if (!find_object(site, &object) || !passes_on_errors(&object))
        return 0;
    t->cut.raises = raises(&object, call);
    return BP_CUT;
}
