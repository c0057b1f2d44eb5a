/* SPDX-License-Identifier: MIT */
/* Message queues and System V IPC. */
#include "recipe.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <time.h>

static const struct timespec *far_away(void)
{
    static struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    time.tv_sec += 3600;
    return &time;
}

/* ---- POSIX message queues: room for one message of 8 bytes ------------------------------------------------------- */

static void make_queue(struct stage *s)
{
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 8};
    snprintf(s->path, sizeof s->path, "/bough-%d", (int)getpid());
    s->fd[0] = mq_open(s->path, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
    if (s->fd[0] < 0)
        SKIP("no message queues here: %s", strerror(errno));
}

static void remove_queue(struct stage *s)
{
    mq_unlink(s->path);
}

static long messages_in(struct stage *s)
{
    struct mq_attr attributes;
    CHECK_EQ(mq_getattr(s->fd[0], &attributes), 0);
    return attributes.mq_curmsgs;
}

static void post_message(struct stage *s)
{
    CHECK_EQ(mq_send(s->fd[0], "x", 1, 3), 0);
}

static void nothing_received(struct stage *s)
{
    CHECK_EQ(s->buffer[0], 0);
}

static void received(struct stage *s, long result)
{
    CHECK_EQ(result, 1);
    CHECK_EQ(s->buffer[0], 'x');
    CHECK_EQ(s->size, 3);
    CHECK_EQ(messages_in(s), 0);
}

static unsigned *priority_of(struct stage *s)
{
    return (unsigned *)&s->size;
}

BOTH(mq_receive, s->fd[0], s->buffer, 8, priority_of(s))
WRONG(mq_receive, s->fd[0], s->buffer, 1, NULL)
RECIPE(mq_receive, .how = BLOCKS, .prepare = make_queue, .release = post_message, .untouched = nothing_received,
       .done = received, .clean = remove_queue)

BOTH(mq_timedreceive, s->fd[0], s->buffer, 8, priority_of(s), far_away())
WRONG(mq_timedreceive, -1, s->buffer, 8, NULL, far_away())
RECIPE(mq_timedreceive, .how = BLOCKS, .prepare = make_queue, .release = post_message, .untouched = nothing_received,
       .done = received, .clean = remove_queue)

static void make_full_queue(struct stage *s)
{
    make_queue(s);
    post_message(s);
}

static void take_message(struct stage *s)
{
    CHECK_EQ(mq_receive(s->fd[0], s->buffer, 8, NULL), 1);
}

static void nothing_sent(struct stage *s)
{
    take_message(s);
    CHECK_EQ(s->buffer[0], 'x');
    CHECK_EQ(messages_in(s), 0);
}

static void sent(struct stage *s, long result)
{
    CHECK_EQ(result, 0);
    take_message(s);
    CHECK_EQ(s->buffer[0], 'y');
}

BOTH(mq_send, s->fd[0], "y", 1, 0)
WRONG(mq_send, s->fd[0], "123456789", 9, 0)
RECIPE(mq_send, .how = BLOCKS, .prepare = make_full_queue, .release = take_message, .untouched = nothing_sent,
       .done = sent, .clean = remove_queue)

BOTH(mq_timedsend, s->fd[0], "y", 1, 0, far_away())
WRONG(mq_timedsend, -1, "y", 1, 0, far_away())
RECIPE(mq_timedsend, .how = BLOCKS, .prepare = make_full_queue, .release = take_message, .untouched = nothing_sent,
       .done = sent, .clean = remove_queue)

/* ---- System V message queues ------------------------------------------------------------------------------------- */

struct letter {
    long type;
    char text[8];
};

static struct letter x = {5, "x"}, y = {6, "y"};

static void make_sysv_queue(struct stage *s)
{
    s->id = msgget(IPC_PRIVATE, 0600);
    if (s->id < 0)
        SKIP("no System V message queues here: %s", strerror(errno));
}

static void remove_sysv_queue(struct stage *s)
{
    msgctl(s->id, IPC_RMID, NULL);
}

static struct letter *letter_of(struct stage *s)
{
    return (struct letter *)s->buffer;
}

static long letters_in(struct stage *s)
{
    struct msqid_ds state;
    CHECK_EQ(msgctl(s->id, IPC_STAT, &state), 0);
    return (long)state.msg_qnum;
}

static void post_letter(struct stage *s)
{
    CHECK_EQ(msgsnd(s->id, &x, 1, 0), 0);
}

static void no_letter(struct stage *s)
{
    CHECK_EQ(letter_of(s)->type, 0);
}

static void got_letter(struct stage *s, long result)
{
    CHECK_EQ(result, 1);
    CHECK_EQ(letter_of(s)->type, 5);
    CHECK_EQ(letters_in(s), 0);
}

BOTH(msgrcv, s->id, letter_of(s), 8, 0, 0)
WRONG(msgrcv, -1, letter_of(s), 8, 0, 0)
RECIPE(msgrcv, .how = BLOCKS, .prepare = make_sysv_queue, .release = post_letter, .untouched = no_letter,
       .done = got_letter, .clean = remove_sysv_queue)

/* Room for eight bytes: full with one letter. */
static void make_full_sysv_queue(struct stage *s)
{
    struct msqid_ds state;
    make_sysv_queue(s);
    CHECK_EQ(msgctl(s->id, IPC_STAT, &state), 0);
    state.msg_qbytes = 8;
    CHECK_EQ(msgctl(s->id, IPC_SET, &state), 0);
    CHECK_EQ(msgsnd(s->id, &x, 8, 0), 0);
}

static void take_letter(struct stage *s)
{
    CHECK_EQ(msgrcv(s->id, letter_of(s), 8, 0, 0), 8);
}

static void no_letter_sent(struct stage *s)
{
    CHECK_EQ(letters_in(s), 1);
}

static void letter_sent(struct stage *s, long result)
{
    CHECK_EQ(result, 0);
    CHECK_EQ(letters_in(s), 1);
    CHECK_EQ(msgrcv(s->id, letter_of(s), 8, 6, IPC_NOWAIT), 1);
}

BOTH(msgsnd, s->id, &y, 1, 0)
WRONG(msgsnd, -1, &y, 1, 0)
RECIPE(msgsnd, .how = BLOCKS, .prepare = make_full_sysv_queue, .release = take_letter, .untouched = no_letter_sent,
       .done = letter_sent, .clean = remove_sysv_queue)

/* ---- System V semaphores ----------------------------------------------------------------------------------------- */

static void make_semaphore(struct stage *s)
{
    s->id = semget(IPC_PRIVATE, 2, 0600);
    if (s->id < 0)
        SKIP("no System V semaphores here: %s", strerror(errno));
}

static void remove_semaphore(struct stage *s)
{
    semctl(s->id, 0, IPC_RMID);
}

/* The first operation could be done at once, the second has to wait: both are done or neither. */
static struct sembuf *up_and_down(void)
{
    static struct sembuf operations[2] = {{.sem_num = 0, .sem_op = 1}, {.sem_num = 1, .sem_op = -1}};
    return operations;
}

static void raise_second(struct stage *s)
{
    CHECK_EQ(semop(s->id, &(struct sembuf){.sem_num = 1, .sem_op = 1}, 1), 0);
}

static void neither_done(struct stage *s)
{
    CHECK_EQ(semctl(s->id, 0, GETVAL), 0);
}

static void both_done(struct stage *s, long result)
{
    CHECK_EQ(result, 0);
    CHECK_EQ(semctl(s->id, 0, GETVAL), 1);
    CHECK_EQ(semctl(s->id, 1, GETVAL), 0);
}

BOTH(semop, s->id, up_and_down(), 2)
WRONG(semop, -1, up_and_down(), 2)
RECIPE(semop, .how = BLOCKS, .prepare = make_semaphore, .release = raise_second, .untouched = neither_done,
       .done = both_done, .clean = remove_semaphore)

static const struct timespec an_hour = {3600, 0}, no_time = {0, 0};

BOTH(semtimedop, s->id, up_and_down(), 2, &an_hour)
WRONG(semtimedop, s->id, up_and_down(), 2, &no_time)
RECIPE(semtimedop, .how = BLOCKS, .prepare = make_semaphore, .release = raise_second, .untouched = neither_done,
       .done = both_done, .clean = remove_semaphore)
