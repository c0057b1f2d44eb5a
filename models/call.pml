/* SPDX-License-Identifier: MIT */
/*
 * Wakes: posters, the ticker, and a thread in calls that handlers of the program interrupt. README.md lists what is
 * checked.
 *
 * The thread is a stack of frames: frame 0 is its code, frame 1 a handler of the program that has interrupted it, frame
 * 2 another handler that has interrupted that one. A frame has a program counter, a mask and at most one call in
 * progress. One turn of the loop in target() is one step that others can see, of the thread or of its kernel. `pc`
 * names the place at which the next step begins.
 */
#ifndef NPOST
#define NPOST 2         /* posters, each with one post */
#endif
#ifndef HRUNS
#define HRUNS 0         /* signals of the program, each with a handler */
#endif
#ifndef DEPTH
#define DEPTH 1         /* nested handlers: 1 or 2 */
#endif
#ifndef ACTS
#define ACTS 2          /* the operations of all handlers together: clear, call, post (SELFPOST), jump (JUMP) */
#endif
#ifndef FOREIGN
#define FOREIGN 0       /* signals of other senders with the wake's number */
#endif
#ifndef FAILS
#define FAILS 0         /* signals that the kernel refuses to send */
#endif
#ifndef RESENDS
#define RESENDS 0       /* how often the ticker finds the thread late and sends again */
#endif
#ifndef SMAX
#define SMAX 3          /* the largest count of senders: 15 in the code */
#endif
#ifndef CALLS
#define CALLS 1         /* calls in frame 0 */
#endif
#ifndef BLOCKED
#define BLOCKED false   /* the program blocks the wake signal in frame 0 */
#endif

/* The word. `changes` has three bits here: never more than seven happen. */
#define BO_DUE 1
#define BO_IN 2
#define BO_NOTE 4
#define BO_WAITS 8
#define BO_SENDER 16
#define BO_SENDERS 48
#define BO_CHANGE 64
#define BO_UNDER_WAY (BO_NOTE | BO_SENDERS)
#define WITHOUT(w, bits) ((w) & (511 - (bits)))
#define SENDERS(w) (((w) & BO_SENDERS) / BO_SENDER)
#define HAS_ROOM(w) (SENDERS(w) < SMAX)

short word;
bool record;                    /* a record is pending */
byte posted;
bool pend, pend_ours, fallback;     /* pending: the wake signal, and it is bough's; the fallback signal */
bool unsent, ticking;
byte fails = FAILS;
byte hpend; bool signals_over;  /* the program's signals: pending; no more come */
bool data;

mtype = { CODE, GONE, BODY,
          /* bo_window, as bo_arch_where() sees it */
          SET, ENTERING, BEFORE, ASLEEP, AFTER, OUT,
          /* bo_wake_send_drain */
          SENDERS_LOAD, SENDERS_FUTEX, SENDERS_ASLEEP, OPEN, CLOSE,
          /* bo_window() has found IN set; call_on_top, bo_window_on_top */
          REFUSED, T_SET, T_ENTERING, T_BEFORE, T_ASLEEP, T_AFTER, T_OUT,
          /* cut */
          CUT, CUT_LOOK,
          /* bo_level_recompute */
          SETTLE_LOAD, SETTLE_LOOK, SETTLE_STEP,
          /* bo_post() to the thread itself: all signals are blocked */
          POST_RECORD, POST_STEP, POST_SEND, POST_SENT,
          OK, ECUT, EINTR, EWOKEN };

/* Of each frame: */
mtype pc[3] = CODE, result[3] = OK;
bool blocked[3], before[3], own[3];     /* the mask has the wake signal; had it before a call; the program wants it so */
short w[3];                             /* a copy of the word */
bool found[3], again[3];                /* bo_level_recompute has found a record; then the call is made again */
bool called[3], theirs[3];              /* ghosts: a call is in progress; a handler of the program has interrupted its sleep */
byte top, acts = ACTS, calls_left = CALLS;

bool in_handler;                /* the wake's handler runs */
bool leaves_kernel;             /* pending signals are delivered first */
bool jumped;                    /* ghost */
bool recomputed_on_top;             /* of a fault */
bool foreign_one;               /* the signal is not bough's, and the program has no handler for it */

#define IN_CALL (called[0] || called[1] || called[2])
#define WINDOW(f) (pc[f] == ENTERING || pc[f] == BEFORE || pc[f] == ASLEEP || pc[f] == AFTER)
#define WAS_LEFT (!(WINDOW(0) || WINDOW(1) || WINDOW(2)))        /* bo_call_was_left(), where the word says IN */
#define IS_ASLEEP (pc[top] == ASLEEP || pc[top] == T_ASLEEP || pc[top] == SENDERS_ASLEEP)
#define POSTING (pc[top] == POST_STEP || pc[top] == POST_SEND || pc[top] == POST_SENT)
#define WAKE_COMES (!in_handler && pend && !blocked[top] && !POSTING)
#define FALLBACK_COMES (!in_handler && fallback && !POSTING)
#define SIGNAL_COMES (!in_handler && hpend > 0 && top < DEPTH && !POSTING)
#define SOMETHING_COMES (WAKE_COMES || FALLBACK_COMES || SIGNAL_COMES)
#define STEPS (!in_handler && (pc[top] != POST_STEP || HAS_ROOM(word)) && !IS_ASLEEP && pc[top] != GONE && !(leaves_kernel && SOMETHING_COMES))
#define QUIET (posted == NPOST && !unsent && !ticking && signals_over && hpend == 0)

/* ---- senders ------------------------------------------------------------------------------------------ */

/* The kernel queues only one signal of a number. */
inline kernel_sends(failed) {
  if
  :: if :: !pend -> pend = true; pend_ours = true :: else fi; failed = false
  :: fails > 0 -> fails--; failed = true
  fi }

/* bo_word_sent() */
inline sent() {
#ifndef FAULT_COUNT
  word = word - BO_SENDER;
#else
  if :: !failed -> word = word - BO_SENDER :: else fi;
#endif
#if defined(FAULT_FUTEX)
  skip
#elif defined(FAULT_FUTEX_IN)
  if :: SENDERS(word) == 0 && !(word & BO_IN) && pc[top] == SENDERS_ASLEEP -> pc[top] = SENDERS_LOAD :: else fi
#else
  if :: SENDERS(word) == 0 && (word & BO_WAITS) && pc[top] == SENDERS_ASLEEP -> pc[top] = SENDERS_LOAD :: else fi
#endif
}

#define CHANGED(w) (((w) + BO_CHANGE) & 511)
#define RISES(w) (((w) & BO_IN) && !((w) & BO_DUE))

/* bo_wake_step(), keep_promise(): all signals are blocked. */
proctype poster() {
  bool promised, failed;
  record = true;
#ifdef FAULT_TWO_STEPS
  promised = RISES(word);
#endif
  atomic {
#ifdef FAULT_ROOM
    true ->
#else
    HAS_ROOM(word) ->                                           /* after_a_moment() */
#endif
#ifndef FAULT_TWO_STEPS
    promised = RISES(word);
#endif
    word = CHANGED(word | BO_DUE);
    if :: promised && HAS_ROOM(word) -> word = (word | BO_NOTE) + BO_SENDER :: else -> promised = false fi }
  if
  :: promised -> atomic { kernel_sends(failed) }
#ifndef FAULT_FAILED
     atomic { if :: failed -> unsent = true :: else fi }
#endif
     atomic { sent() }
  :: else
  fi;
  posted++ }

/* look_at_wake(), bo_signal_again(), bo_unanswered_diagnose(). */
proctype ticker() {
  bool sends, failed; byte resends = RESENDS;
  end: do
  :: atomic { unsent && (HAS_ROOM(word) || !((word & BO_IN) && (word & BO_DUE))) ->
       unsent = false; ticking = true; sends = (word & BO_IN) && (word & BO_DUE);
       if :: sends -> word = (word | BO_NOTE) + BO_SENDER :: else fi }
     if :: sends -> atomic { kernel_sends(failed) }; atomic { unsent = unsent || failed }; atomic { sent() } :: else fi;
     ticking = false
  :: atomic { resends > 0 && !unsent && (word & BO_IN) && (word & BO_DUE) -> resends--; unsent = true }
  :: atomic { resends > 0 -> resends = 0 }
  /* The fallback signal, if the program blocks the wake signal. */
  :: atomic { own[top] && pc[top] == ASLEEP && pend && !fallback && (word & BO_IN) && (word & BO_DUE) && HAS_ROOM(word) ->
       word = (word | BO_NOTE) + BO_SENDER; ticking = true; failed = false }
     fallback = true; atomic { sent() }; ticking = false
  od }

/* ---- others ------------------------------------------------------------------------------------------- */

proctype signals() { byte left = HRUNS;
  do :: atomic { left > 0 && hpend == 0 -> left--; hpend++ }
     :: atomic { true -> signals_over = true; break }
  od }

proctype foreign() { byte left = FOREIGN;
  do :: atomic { left > 0 -> left--; if :: !pend -> pend = true; pend_ours = false :: else fi }
     :: true -> break
  od }

proctype data_source() { if :: data = true :: true fi }

/* ---- the handler of the wake signal ------------------------------------------------------------------- */

inline send_to_self() {
  bool self_failed;
#ifndef FAULT_SELF_NOTE
  word = word | BO_NOTE;
#endif
  kernel_sends(self_failed);
  if :: self_failed -> unsent = true :: else fi;
  self_failed = false }

/* Block the signal in the frame of the handler that was interrupted, and send it again: it is delivered when that
 * handler returns. */
inline come_back() {
  blocked[top] = true; send_to_self() }

inline elsewhere() {
  if
  :: WAS_LEFT -> word = WITHOUT(word, BO_IN)
#ifndef FAULT_COME_BACK
  :: !WAS_LEFT && (word & BO_DUE) -> come_back()
#endif
  :: else
  fi }

/* The kernel's EINTR does not show which handler has caused it: EWOKEN. If nothing is due, cut() returns it as EINTR if
 * the program has handlers. */
#define PROGRAM_HANDLES (HRUNS > 0)
#ifdef FAULT_FOREIGN
#define FOREIGN_COUNTS false
#else
#define FOREIGN_COUNTS foreign_one
#endif
#ifdef FAULT_EINTR
#define WOKEN ECUT
#else
#define WOKEN EWOKEN
#endif

/* In a nested call the handler passes the wake on to the outer call wherever it arrives, because a jump may leave the
 * nested call next. */
#ifdef FAULT_REFUSED
#define COMES_TO_NOTHING (pc[top] == ENTERING || pc[top] == REFUSED)
#else
#define COMES_TO_NOTHING (pc[top] == ENTERING)
#endif
#ifdef FAULT_ENTERING
#define CANCELS_ON_TOP (pc[top] == T_BEFORE)
#define ENTERS_ON_TOP (pc[top] == T_SET || pc[top] == T_ENTERING)
#else
#define CANCELS_ON_TOP (pc[top] == T_SET || pc[top] == T_ENTERING || pc[top] == T_BEFORE)
#define ENTERS_ON_TOP false
#endif
#ifdef FAULT_LEAVING
#define LEAVES_ON_TOP false
#else
#define LEAVES_ON_TOP (pc[top] == T_AFTER)
#endif

inline wake_arrived() {
  if
  :: !(word & BO_IN) -> skip
  :: (word & BO_IN) && (COMES_TO_NOTHING || ENTERS_ON_TOP) -> skip
  :: (word & BO_IN) && pc[top] == BEFORE -> if :: word & BO_DUE -> pc[top] = AFTER; result[top] = ECUT :: else fi
  :: (word & BO_IN) && CANCELS_ON_TOP ->
     if
     :: word & BO_DUE -> pc[top] = T_AFTER; result[top] = ECUT; come_back()
     :: else
     fi
  :: (word & BO_IN) && (pc[top] == AFTER || pc[top] == T_AFTER) ->
     if :: result[top] == EINTR && ((word & BO_DUE) || FOREIGN_COUNTS) -> result[top] = WOKEN :: else fi;
     if :: LEAVES_ON_TOP && (word & BO_DUE) -> come_back() :: else fi
  :: else -> elsewhere()
  fi;
  foreign_one = false }

inline handle_fallback() {
  if
  :: (word & BO_IN) && (word & BO_DUE) && pc[top] == BEFORE -> pc[top] = AFTER; result[top] = ECUT
  :: (word & BO_IN) && (word & BO_DUE) && pc[top] == T_BEFORE -> pc[top] = T_AFTER; result[top] = ECUT
  :: (word & BO_IN) && (pc[top] == AFTER || pc[top] == T_AFTER) && result[top] == EINTR -> result[top] = WOKEN
  :: else
  fi }

/* ---- the thread's kernel side ------------------------------------------------------------------------- */

#ifdef FAULT_SETTLE
#define UNCHANGED true
#else
#define UNCHANGED (word == w[top])
#endif
#ifdef FAULT_NO_WAIT
#define NO_SENDERS true
#else
#define NO_SENDERS (SENDERS(word) == 0)
#endif
#ifdef POLL
#define RESTARTS false          /* such a call is never restarted after a handler */
#else
#define RESTARTS true
#endif

/* A signal ends the thread's sleep. `restarts`: its handler has SA_RESTART. */
inline end_sleep(restarts) {
  if
  :: pc[top] == SENDERS_ASLEEP -> pc[top] = SENDERS_FUTEX
  :: pc[top] == ASLEEP -> if :: restarts -> pc[top] = BEFORE :: else -> pc[top] = AFTER; result[top] = EINTR fi
  :: pc[top] == T_ASLEEP -> if :: restarts -> pc[top] = T_BEFORE :: else -> pc[top] = T_AFTER; result[top] = EINTR fi
  :: else
  fi }

inline handler_begins() {
  top++;
  pc[top] = BODY; blocked[top] = blocked[top - 1]; own[top] = own[top - 1];
#ifdef HMASK
  if :: true :: true -> blocked[top] = true; own[top] = true fi;        /* sa_mask */
#endif
  leaves_kernel = false }

inline frame_ends() {
  pc[top] = CODE; result[top] = OK; blocked[top] = false; before[top] = false; own[top] = false; w[top] = 0;
  found[top] = false; again[top] = false; called[top] = false; theirs[top] = false;
  top--; leaves_kernel = true }

#define GO(place) pc[top] = place
#define CALLER (top == 0 -> CODE : BODY)

/* siglongjmp() to an outer frame: restores that frame's mask, and leaves its call. */
inline jump(to) {
  do :: top > to -> jumped = jumped || called[top]; frame_ends() :: else -> break od;
  jumped = jumped || called[top]; called[top] = false;
  pc[top] = (pc[top] == GONE -> GONE : CALLER);
  result[top] = OK; w[top] = 0; found[top] = false; again[top] = false; theirs[top] = false;
  blocked[top] = own[top]; before[top] = false }

/* ---- one step of the thread --------------------------------------------------------------------------- */

#ifdef LAX_EINTR
#define BEGIN_AGAIN GO(SET)
#else
#define BEGIN_AGAIN assert(!theirs[top]); GO(SET)       /* rule 3: their EINTR is not lost */
#endif

inline step() {
  if
  :: pc[top] == CODE ->
     assert(blocked[0] == own[0]);                              /* the signal is not left blocked */
     if :: calls_left > 0 -> calls_left--; GO(SET)
        :: else -> blocked[0] = false; own[0] = false; leaves_kernel = true; GO(GONE)     /* the program unblocks it, if it was */
     fi
  :: pc[top] == BODY ->
     if
     :: acts > 0 -> acts--; record = false; GO(SETTLE_LOAD)                               /* bough_clear() */
     :: acts > 0 -> acts--; GO(SET)                                                       /* a call */
#ifdef SELFPOST
     :: acts > 0 -> acts--; GO(POST_RECORD)
#endif
#ifdef JUMP
     :: acts > 0 -> acts--; jump(0)
     :: acts > 0 && top > 1 -> acts--; jump(1)
#endif
     :: true -> frame_ends()
     fi

  /* bo_window() */
  :: pc[top] == SET -> result[top] = OK; theirs[top] = false;
#ifndef FAULT_FIND_LEFT
     if :: WAS_LEFT -> word = WITHOUT(word, BO_IN) :: else fi;                            /* find_left() */
#endif
     called[top] = true;
     if :: word & BO_IN -> GO(REFUSED) :: else -> word = word | BO_IN; GO(ENTERING) fi
  :: pc[top] == ENTERING -> if :: word & BO_DUE -> result[top] = ECUT; GO(AFTER) :: else -> GO(BEFORE) fi
  :: pc[top] == BEFORE -> GO(ASLEEP)
  :: pc[top] == AFTER -> word = WITHOUT(word, BO_IN); GO(OUT)
  :: pc[top] == OUT -> if :: word & BO_UNDER_WAY -> GO(SENDERS_LOAD) :: else -> GO(CUT) fi

  /* bo_wake_send_drain(), bo_word_await_senders() */
  :: pc[top] == SENDERS_LOAD ->
     if :: NO_SENDERS -> word = WITHOUT(word, BO_NOTE | BO_WAITS); GO(OPEN)
        :: else -> word = word | BO_WAITS; w[top] = word; GO(SENDERS_FUTEX) fi
  :: pc[top] == SENDERS_FUTEX -> if :: word == w[top] -> GO(SENDERS_ASLEEP) :: else -> w[top] = 0; GO(SENDERS_LOAD) fi
  :: pc[top] == OPEN -> w[top] = 0; before[top] = blocked[top]; blocked[top] = false; leaves_kernel = true; GO(CLOSE)
  :: pc[top] == CLOSE -> blocked[top] = before[top]; before[top] = false; leaves_kernel = true; GO(CUT)

  /* call_on_top(), bo_window_on_top() */
  :: pc[top] == REFUSED -> GO(T_SET)
  :: pc[top] == T_SET -> before[top] = blocked[top];
#ifndef FAULT_OPEN
     blocked[top] = false;
#endif
     leaves_kernel = true; GO(T_ENTERING)
  :: pc[top] == T_ENTERING -> if :: word & BO_DUE -> result[top] = ECUT; GO(T_AFTER) :: else -> GO(T_BEFORE) fi
  :: pc[top] == T_BEFORE -> GO(T_ASLEEP)
  :: pc[top] == T_AFTER -> GO(T_OUT)
  :: pc[top] == T_OUT ->
     blocked[top] = blocked[top] || before[top];
     before[top] = false; leaves_kernel = true; GO(CUT)

  /* cut(), due() */
  :: pc[top] == CUT -> called[top] = false;
#ifdef FAULT_SETTLED_ON_TOP
     if :: result[top] == EWOKEN -> result[top] = (recomputed_on_top -> EINTR : ECUT) :: else fi;
     recomputed_on_top = recomputed_on_top && result[top] == OK;
#else
     if :: result[top] == EWOKEN -> result[top] = (PROGRAM_HANDLES -> EINTR : ECUT) :: else fi;
#endif
     if :: result[top] == OK -> GO(CALLER)
        :: result[top] != OK && (word & BO_DUE) -> GO(CUT_LOOK)
        :: result[top] == EINTR && !(word & BO_DUE) -> assert(theirs[top] || PROGRAM_HANDLES); GO(CALLER)     /* rule 3 */
        :: result[top] == ECUT && !(word & BO_DUE) -> BEGIN_AGAIN
     fi
  :: pc[top] == CUT_LOOK -> if :: record -> GO(CALLER) :: else -> again[top] = (result[top] == ECUT); GO(SETTLE_LOAD) fi

  /* bo_level_recompute() */
  :: pc[top] == SETTLE_LOAD -> w[top] = word; GO(SETTLE_LOOK)
  :: pc[top] == SETTLE_LOOK -> found[top] = record; GO(SETTLE_STEP)
  :: pc[top] == SETTLE_STEP && !UNCHANGED -> found[top] = false; w[top] = 0; GO(SETTLE_LOAD)
  :: pc[top] == SETTLE_STEP && UNCHANGED ->
     word = (found[top] -> (word | BO_DUE) : WITHOUT(word, BO_DUE));
     if :: found[top] && (word & BO_IN) -> come_back(); leaves_kernel = true :: else fi;
#ifdef FAULT_SETTLED_ON_TOP
     recomputed_on_top = recomputed_on_top || (word & BO_IN);
#endif
     found[top] = false; w[top] = 0;
     if :: again[top] -> again[top] = false; BEGIN_AGAIN :: else -> GO(CALLER) fi

  /* bo_post() to the thread itself */
  :: pc[top] == POST_RECORD -> record = true; GO(POST_STEP)
  :: pc[top] == POST_STEP ->
     if :: RISES(word) -> word = CHANGED(word | BO_DUE | BO_NOTE) + BO_SENDER; GO(POST_SEND)
        :: else -> word = CHANGED(word | BO_DUE); GO(BODY)
     fi
  :: pc[top] == POST_SEND -> send_to_self(); GO(POST_SENT)
  :: pc[top] == POST_SENT -> word = word - BO_SENDER; leaves_kernel = true; GO(BODY)
  fi }

proctype target() {
  bool ours;
  atomic { blocked[0] = BLOCKED; own[0] = BLOCKED }
  do
  :: atomic { WAKE_COMES ->
       ours = pend_ours; foreign_one = !pend_ours; pend = false; pend_ours = false;
       assert(!ours || IN_CALL || jumped);                      /* rule 13: no wake of bough's in foreign code */
       ours = false; leaves_kernel = false;
       end_sleep(RESTARTS); in_handler = true }
  :: atomic { in_handler -> in_handler = false; leaves_kernel = true; wake_arrived() }
  :: atomic { FALLBACK_COMES -> fallback = false;
       assert(IN_CALL || jumped);
       end_sleep(RESTARTS); leaves_kernel = true; handle_fallback() }
  :: atomic { SIGNAL_COMES -> hpend--;
       if
#ifndef POLL
       :: true -> end_sleep(RESTARTS)
#endif
       :: true -> theirs[top] = theirs[top] || pc[top] == ASLEEP || pc[top] == T_ASLEEP; end_sleep(false)
       fi;
       handler_begins() }
  :: atomic { STEPS -> leaves_kernel = false; step() }
  /* Data has come; or nothing is pending, and the peer closes. */
  :: atomic { (pc[top] == ASLEEP || pc[top] == T_ASLEEP) && !SOMETHING_COMES && !in_handler && (data || (QUIET && !record)) ->
       data = false; leaves_kernel = true;
       pc[top] = (pc[top] == ASLEEP -> AFTER : T_AFTER) }
  :: atomic { pc[0] == GONE && top == 0 && !in_handler && QUIET && !SOMETHING_COMES ->
       assert(SENDERS(word) == 0);                              /* the count returns to 0 */
       assert(jumped || !(word & (BO_IN | BO_NOTE | BO_WAITS)));
       assert(!pend);
       assert(!record || (word & BO_DUE));
       break }
  od }

/* After a lost wake, or with a sender that never finishes, the thread sleeps forever: invalid end states. */
init { atomic { byte i;
  for (i : 1 .. NPOST) { run poster() }
  run ticker(); run target();
#if HRUNS > 0
  run signals();
#else
  signals_over = true;
#endif
#if FOREIGN > 0
  run foreign();
#endif
#ifdef DATA
  run data_source();
#endif
  } }
