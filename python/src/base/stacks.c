/* SPDX-License-Identifier: MIT */
/*
 * Keeps memory for the frames of Python threads. The interpreter maps 16 kB for each thread's first frame, and unmaps
 * the block at the thread's end, with the GIL held. That costs two system calls, an inter-processor interrupt for each
 * CPU that runs another thread of the process, and page faults: more than the rest of a short child. So this allocator,
 * between the interpreter and its arena allocator, keeps the blocks of some ended threads for new threads.
 *
 * A kept block need not be cleared: the interpreter never reads a part of a block that it has not written, because
 * frames of one thread reuse the block of earlier frames in the same way.
 */
#include "base/base.h"
#include "api/module.h"

enum { BLOCK = 16 * 1024, MOST = 64 }; /* as many as the library keeps idle workers */

static PyObjectArenaAllocator original;
static bool installed, keeps;

/* A lock, because each subinterpreter may have a separate GIL. A thread that finds the lock held does not wait: it uses
 * the interpreter's allocator. A forked process does so permanently if another thread held the lock at the fork. */
static bool in_use;
static void *kept[MOST];
static int count;

static bool lock_kept(void)
{
    return !__atomic_test_and_set(&in_use, __ATOMIC_ACQUIRE);
}

static void unlock_kept(void)
{
    __atomic_clear(&in_use, __ATOMIC_RELEASE);
}

static void *kept_block(void)
{
    void *block = NULL;
    if (!lock_kept())
        return NULL;
    if (count)
        block = kept[--count];
    unlock_kept();
    return block;
}

static bool keep(void *block)
{
    if (!lock_kept())
        return false;
    bool room = keeps && count < MOST;
    if (room)
        kept[count++] = block;
    unlock_kept();
    return room;
}

static void *allocate(void *context, size_t size)
{
    void *block = size == BLOCK ? kept_block() : NULL;
    (void)context;
    return block ? block : original.alloc(original.ctx, size);
}

static void release(void *context, void *block, size_t size)
{
    (void)context;
    if (size != BLOCK || !keep(block))
        original.free(original.ctx, block, size);
}

static const PyObjectArenaAllocator allocator = {NULL, allocate, release};

static void install(void)
{
    PyObjectArenaAllocator mine = allocator;
    PyObject_GetArenaAllocator(&original);
    PyObject_SetArenaAllocator(&mine);
    installed = true;
}

/* Restores the allocator, unless other code has replaced bough's since: that code continues to call bough's. */
static void uninstall(void)
{
    PyObjectArenaAllocator now;
    PyObject_GetArenaAllocator(&now);
    if (now.ctx != allocator.ctx || now.alloc != allocator.alloc || now.free != allocator.free)
        return;
    PyObject_SetArenaAllocator(&original);
    installed = false;
}

void bp_keep_stacks(bool on)
{
    void *block;
    keeps = on;
    if (on && !installed)
        install();
    while (!on && (block = kept_block()))
        original.free(original.ctx, block, BLOCK);
    if (!on && installed)
        uninstall();
}

/* For the report. */
static PyObject *kept_stacks(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return keeps ? PyLong_FromLong(count) : Py_NewRef(Py_None);
}

PyMethodDef bp_stack_methods[] = {
    {"kept_stacks", kept_stacks, METH_NOARGS,
     PyDoc_STR("kept_stacks(): how many blocks for the frames of threads are kept; None: bough has not opted in.")},
    {0},
};
