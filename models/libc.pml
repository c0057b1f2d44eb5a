/* SPDX-License-Identifier: MIT */
/*
 * Waits inside libc (REPEAT): the program counter does not show the state of the call, so the wake's handler sets the
 * wait's time to the past, and the ticker repeats the wake until the thread has left. README.md lists what is checked.
 *
 * Frame 0 waits in libc, or with -DWINDOW in a call of bough; a handler of the program that interrupts it (frame 1)
 * does either, too.
 */
#ifndef NPOST
#define NPOST 1
#endif
#ifndef HRUNS
#define HRUNS 1
#endif
#ifndef ACTS
#define ACTS 1          /* the operations of the handler: a wait, a call, clear (CLEAR), jump (JUMP) */
#endif

#define BO_DUE 1
#define BO_IN 2
#define BO_NOTE 4
#define BO_REPEAT 8
#define BO_SENDER 16
#define BO_SENDERS 48
#define BO_UNDER_WAY (BO_NOTE | BO_SENDERS)
#define WITHOUT(w, bits) ((w) & (63 - (bits)))
#define SENDERS(w) (((w) & BO_SENDERS) / BO_SENDER)
#define HAS_ROOM(w) (SENDERS(w) < 3)

byte word;
bool record, pend, pend_ours, data;
byte posted;
byte hpend; bool signals_over;

mtype = { CODE, GONE, BODY,
          L_BEGIN, L_OPEN, L_LOOK, L_READ, L_SLEEP, L_ASLEEP, L_END, L_OUT,      /* bo_libc_begin() .. bo_libc_end() */
          W_SET, W_BEFORE, W_ASLEEP, W_AFTER, W_OUT,                             /* bo_window() */
          T_SET, T_TEST, T_BEFORE, T_ASLEEP, T_AFTER, T_OUT,                     /* bo_window_on_top() */
          SENDERS_WAIT, OPEN };
mtype pc[2] = CODE;
bool listed[2], until[2], taken[2];     /* listed in t->libc_wait; its time is past; the copy of the kernel or libc */
byte below[2];
bool blocked[2];
bool alive[2];                          /* ghost: the frame of the wait still exists */
bool called[2];                         /* ghost: it is in a call */
bool before[2];                         /* the mask had the wake signal before a nested call */
byte top, calls_left = 1, acts = ACTS;
bool leaves_kernel, jumped;
bool watched;                           /* bo_ticker_watch() */

#define IN_CALL (called[0] || called[1])
#define ON_TOP (pc[top] == T_SET || pc[top] == T_TEST || pc[top] == T_BEFORE || pc[top] == T_AFTER)
#define IS_ASLEEP (pc[top] == L_ASLEEP || pc[top] == W_ASLEEP || pc[top] == T_ASLEEP)
#define WAKE_COMES (pend && !blocked[top])
#define SIGNAL_COMES (hpend > 0 && top == 0)
#define QUIET (posted == NPOST && signals_over && hpend == 0)
#define GO(place) pc[top] = place
#define CALLER (top == 0 -> CODE : BODY)

inline send_wake() { if :: !pend -> pend = true; pend_ours = true :: else fi }

proctype poster() { bool rises;
  record = true;
  atomic { rises = (word & BO_IN) && !(word & BO_DUE); word = word | BO_DUE;
           if :: rises -> word = (word | BO_NOTE) + BO_SENDER :: else fi }
  if :: rises -> atomic { send_wake() }; watched = true; word = word - BO_SENDER :: else fi;
  posted++ }

/* look_at_repeat(), as long as the thread is listed. -DLIVE: the pause before it repeats is long enough for a thread
 * that is awake. */
#ifdef LIVE
#define PAUSE_IS_OVER IS_ASLEEP
#else
#define PAUSE_IS_OVER true
#endif
#define WAITS ((word & BO_IN) && (word & BO_REPEAT) && (word & BO_DUE))

proctype ticker() {
  end: do
  :: atomic { watched && !((word & BO_IN) && (word & BO_DUE)) -> watched = false }
#ifndef FAULT_REPEAT
  :: atomic { watched && WAITS && HAS_ROOM(word) && !pend && PAUSE_IS_OVER -> word = (word | BO_NOTE) + BO_SENDER }
     atomic { send_wake() }
     word = word - BO_SENDER
#endif
  od }

proctype signals() {
  if :: atomic { HRUNS > 0 -> hpend++; signals_over = true } :: atomic { true -> signals_over = true } fi }

proctype data_source() { if :: data = true :: true fi }

inline send_to_self() { watched = true; word = word | BO_NOTE; send_wake() }

inline come_back() { blocked[top] = true; send_to_self() }

inline end_libc_waits() {
#ifndef FAULT_UNTIL
  if :: listed[0] -> assert(alive[0]); until[0] = true :: else fi;               /* nothing is written to a frame that is gone */
#endif
  if :: listed[1] -> assert(alive[1]); until[1] = true :: else fi }

inline wake_arrived() {
  if
  :: !(word & BO_IN) -> skip
  :: (word & BO_IN) && pc[top] == W_SET -> skip
  :: (word & BO_IN) && pc[top] == W_BEFORE -> if :: word & BO_DUE -> pc[top] = W_AFTER :: else fi
  :: (word & BO_IN) && pc[top] == W_AFTER -> skip
  /* In a nested call the handler passes the wake on to the outer call, wherever it arrives. */
  :: (word & BO_IN) && ON_TOP ->
     if :: word & BO_DUE -> pc[top] = T_AFTER; come_back() :: else fi
#ifndef FAULT_DEAD
  :: (word & BO_IN) && !IN_CALL -> word = WITHOUT(word, BO_IN | BO_REPEAT); listed[0] = false; listed[1] = false      /* left by a jump */
#endif
  :: else ->
     if
     :: word & BO_REPEAT -> end_libc_waits()
     :: !(word & BO_REPEAT) && (word & BO_DUE) -> come_back()
     :: else
     fi
  fi }

/* The kernel does not restart a timed futex wait; libc does that, and reads the time again. */
inline end_sleep() {
  if
  :: pc[top] == L_ASLEEP -> pc[top] = L_READ
  :: pc[top] == W_ASLEEP -> pc[top] = W_BEFORE
  :: pc[top] == T_ASLEEP -> pc[top] = T_BEFORE
  :: else
  fi }

inline frame_ends() {
  pc[1] = CODE; listed[1] = false; until[1] = false; taken[1] = false; below[1] = 0; blocked[1] = false; alive[1] = false;
  called[1] = false; before[1] = false; top = 0; leaves_kernel = true }

inline step() {
  if
  :: pc[top] == CODE ->
     assert(blocked[0] == false);                               /* the signal is not left blocked */
     if :: calls_left > 0 -> calls_left--; called[0] = true;
#ifdef WINDOW
           word = WITHOUT(word, jumped * (BO_IN | BO_REPEAT)) | BO_IN; GO(W_SET)
#else
           GO(L_BEGIN)
#endif
        :: else -> GO(GONE)
     fi
  :: pc[top] == BODY ->
     if
     :: acts > 0 -> acts--; called[1] = true; GO(L_BEGIN)
#ifdef CLEAR
     :: acts > 0 -> acts--; record = false; word = WITHOUT(word, BO_DUE)               /* bough_clear(): level.pml has its steps */
#endif
     :: acts > 0 -> acts--; called[1] = true; if :: word & BO_IN -> GO(T_SET) :: else -> word = word | BO_IN; GO(W_SET) fi
#ifdef JUMP
     :: acts > 0 && pc[0] != GONE -> acts--; jumped = called[0]; called[0] = false; alive[0] = false; pc[0] = CODE; blocked[0] = false; until[0] = false; taken[0] = false; frame_ends()
#endif
     :: true -> frame_ends()
     fi

  /* bo_libc_begin(), announce_libc_wait() */
  :: pc[top] == L_BEGIN -> alive[top] = true; listed[top] = true; until[top] = false; below[top] = word & (BO_IN | BO_REPEAT);
     word = word | BO_IN | BO_REPEAT;
     if :: below[top] & BO_IN -> GO(L_OPEN) :: else -> GO(L_LOOK) fi
  :: pc[top] == L_OPEN ->
#ifndef FAULT_OPEN
     blocked[top] = false;
#endif
     leaves_kernel = true; GO(L_LOOK)
  :: pc[top] == L_LOOK ->
#ifndef FAULT_LOOK
     if :: word & BO_DUE -> until[top] = true :: else fi;
#endif
     GO(L_READ)
  /* libc */
  :: pc[top] == L_READ -> taken[top] = until[top]; GO(L_SLEEP)
  :: pc[top] == L_SLEEP -> if :: taken[top] -> GO(L_END) :: else -> GO(L_ASLEEP) fi
  /* bo_libc_end() */
  :: pc[top] == L_END -> listed[top] = false; until[top] = false; taken[top] = false; alive[top] = false;
     word = WITHOUT(word, (BO_IN | BO_REPEAT) & (63 - below[top])); GO(L_OUT)
  :: pc[top] == L_OUT ->
     if
     :: !(below[top] & BO_IN) && (word & BO_UNDER_WAY) -> GO(SENDERS_WAIT)
#ifndef FAULT_AGAIN
     :: (below[top] & BO_IN) && (word & BO_DUE) -> come_back(); leaves_kernel = true; called[top] = false; GO(CALLER)       /* bo_wake_again() */
#endif
     :: else -> called[top] = false; GO(CALLER)
     fi;
     below[top] = 0
  /* bo_wake_send_drain() */
  :: pc[top] == SENDERS_WAIT && SENDERS(word) == 0 -> word = WITHOUT(word, BO_NOTE); blocked[top] = false; leaves_kernel = true; GO(OPEN)
  :: pc[top] == OPEN -> called[top] = false; GO(CALLER)

  /* bo_window() */
  :: pc[top] == W_SET -> if :: word & BO_DUE -> GO(W_AFTER) :: else -> GO(W_BEFORE) fi
  :: pc[top] == W_BEFORE -> GO(W_ASLEEP)
  :: pc[top] == W_AFTER -> word = WITHOUT(word, BO_IN); GO(W_OUT)
  :: pc[top] == W_OUT -> if :: word & BO_UNDER_WAY -> GO(SENDERS_WAIT) :: else -> called[top] = false; GO(CALLER) fi

  /* call_on_top(), bo_window_on_top() */
  :: pc[top] == T_SET -> before[top] = blocked[top]; blocked[top] = false; leaves_kernel = true; GO(T_TEST)
  :: pc[top] == T_TEST -> if :: word & BO_DUE -> GO(T_AFTER) :: else -> GO(T_BEFORE) fi
  :: pc[top] == T_BEFORE -> GO(T_ASLEEP)
  :: pc[top] == T_AFTER -> GO(T_OUT)
  :: pc[top] == T_OUT -> blocked[top] = blocked[top] || before[top]; before[top] = false; leaves_kernel = true; called[top] = false; GO(CALLER)
  fi }

#define STEPS (!IS_ASLEEP && pc[top] != GONE && !(leaves_kernel && (WAKE_COMES || SIGNAL_COMES)) && !(pc[top] == SENDERS_WAIT && SENDERS(word) != 0))

proctype target() { bool ours;
  do
  :: atomic { WAKE_COMES -> ours = pend_ours; pend = false; pend_ours = false;
       assert(!ours || IN_CALL || jumped);                      /* rule 13 */
       ours = false; end_sleep(); leaves_kernel = true; wake_arrived() }
  :: atomic { SIGNAL_COMES -> hpend--; end_sleep(); top = 1; pc[1] = BODY; blocked[1] = blocked[0]; leaves_kernel = false }
  :: atomic { STEPS -> leaves_kernel = false; step() }
  :: atomic { IS_ASLEEP && !WAKE_COMES && !SIGNAL_COMES && (data || (QUIET && !record)) -> data = false; leaves_kernel = true;
       pc[top] = (pc[top] == L_ASLEEP -> L_END : (pc[top] == W_ASLEEP -> W_AFTER : T_AFTER)) }
  :: atomic { top == 0 && pc[0] == GONE && QUIET && !WAKE_COMES && SENDERS(word) == 0 ->
       assert(jumped || !(word & (BO_IN | BO_NOTE | BO_REPEAT)));
       assert(!pend);
break }
  od;
progress: skip }

init { atomic { byte i; for (i : 1 .. NPOST) { run poster() }; run ticker(); run target(); run signals(); run data_source() } }
