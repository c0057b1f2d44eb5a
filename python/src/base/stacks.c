/* SPDX-License-Identifier: MIT */
/*
 * Memory for the frames of Python threads. The interpreter maps 16 kB for each thread's first frame, and unmaps them at
 * the thread's end, with the interpreter lock held: two system calls, an interrupt of each other processor that runs a
 * thread of the process, and the faults of new pages. For a child with little to do that took longer than everything
 * else. So the blocks of some threads that have ended are kept for the next ones, between the interpreter and its arena
 * allocator.
 *
 * The interpreter writes each part of such a block before it reads it, because threads reuse their blocks in the same
 * way, frame by frame.
 */
#include "base/base.h"
#include "api/module.h"

enum { BLOCK = 16 * 1024, MOST = 64 }; /* as many as the library parks threads */

static PyObjectArenaAllocator original;
static bool installed, keeps;

/* A lock, because subinterpreters have separate interpreter locks. A thread that finds it taken does without a kept
 * block; so does a forked process, permanently, if another thread held it. */
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

/* Restores the allocator, unless other code has replaced it since: that code continues to call this one. */
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

/* For the report: None, if none are kept. */
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
