/* SPDX-License-Identifier: MIT */
/*
 * The end of a thread's generation against posters, the ticker and the freezing of a poster (rules 6, 13 and 37).
 * README.md lists what is checked.
 *
 * The thread makes a call in its first generation, leaves it or ends inside of it (pthread_exit() in a handler), and is
 * then used again: its second generation runs foreign code, and the thread exits.
 */
#ifndef NPOST
#define NPOST 2
#endif

#define BO_DUE 1
#define BO_IN 2
#define BO_NOTE 4
#define BO_LIVE 8
#define BO_WAITS 16
#define BO_SENDER 32
#define BO_SENDERS 96
#define GENERATION_BIT 128       /* one bit */
#define WITHOUT(w, bits) ((w) & (255 - (bits)))
#define SENDERS(w) (((w) & BO_SENDERS) / BO_SENDER)
#define GENERATION(w) ((w) / GENERATION_BIT)

byte word = BO_LIVE;
byte pins;
byte records, writing;          /* ghosts: pending records of this generation; posters that are writing one */
bool pend;                      /* a wake of bough's is pending */
bool foreign_code, exited;      /* ghosts: where the thread is */
byte posted;

mtype = { AWAKE, ON_PINS, ON_WORD };
mtype sleeps = AWAKE;

#define QUIET (posted == NPOST)

inline send_wake() {
  assert(!exited);                                      /* the id still belongs to the thread */
  pend = true }

inline sent() {
  word = word - BO_SENDER;
#ifndef FAULT_FUTEX
  if :: SENDERS(word) == 0 && (word & BO_WAITS) && sleeps == ON_WORD -> sleeps = AWAKE :: else fi
#endif
}

inline unpin() {
  pins--;
#ifndef FAULT_UNPIN
  if :: pins == 0 && sleeps == ON_PINS -> sleeps = AWAKE :: else fi
#endif
}

/* bo_post(). A signal handler may freeze its thread: so signals are blocked, from the pin to the last step. */
#ifdef FAULT_FREEZE
#define MAY_FREEZE if :: frozen = true; goto stands_still :: true fi
#else
#define MAY_FREEZE skip
#endif

proctype poster() { bool rises, frozen;
  pins++;
  MAY_FREEZE;
  if
  :: atomic { GENERATION(word) != 0 || !(word & BO_LIVE) -> unpin() }           /* ESRCH */
     goto done
  :: else
  fi;
  writing++;
  atomic { writing--; records++ }
  MAY_FREEZE;
  atomic {
    if
#ifndef FAULT_GENERATION
    :: GENERATION(word) != 0 || !(word & BO_LIVE) -> rises = false
#endif
    :: else ->
       assert(word & BO_LIVE);
       rises = (word & BO_IN) && !(word & BO_DUE); word = word | BO_DUE;
       if :: rises -> word = (word | BO_NOTE) + BO_SENDER :: else fi
    fi }
  MAY_FREEZE;
  if :: rises -> atomic { send_wake() }; atomic { sent() } :: else fi;
  atomic { unpin() }
done:
  atomic { posted++; rises = false }
stands_still:
  atomic { if :: frozen -> posted++ :: else fi } }

/* bo_signal_again(): without a pin; the word has the generation. */
proctype ticker() { byte w;
  if
  :: atomic { (word & BO_LIVE) && (word & BO_IN) && (word & BO_DUE) -> w = word }
     if
#ifdef FAULT_TICKER
     :: true -> atomic { word = (word | BO_NOTE) + BO_SENDER }
#else
     :: atomic { word == w -> word = (w | BO_NOTE) + BO_SENDER }
     :: atomic { word != w -> goto done }
#endif
     fi;
     atomic { send_wake() }; atomic { sent() }
  :: true
  fi;
done: w = 0 }

/* The signal is delivered at any moment, at the latest at the end of a system call. */
inline arrives() { pend = false; assert(!foreign_code) }
#define MAY if :: atomic { pend -> arrives() } :: true fi
#define SYSTEM_CALL do :: atomic { pend -> arrives() } :: atomic { !pend -> break } od

inline await_senders() {                                /* bo_word_await_senders() */
  do
  :: atomic { SENDERS(word) == 0 -> break }
  :: atomic { SENDERS(word) != 0 -> word = word | BO_WAITS; sleeps = ON_WORD }
     do :: atomic { sleeps != AWAKE && pend -> arrives(); sleeps = AWAKE } :: sleeps == AWAKE -> break od
  od;
  word = WITHOUT(word, BO_WAITS) }

inline drain() {                                        /* bo_wake_send_drain() */
#ifndef FAULT_SENDERS
  await_senders();
#endif
  word = WITHOUT(word, BO_NOTE);
  SYSTEM_CALL }

proctype target() { bool inside;
  word = word | BO_IN;
  MAY;
  if
  :: true -> word = WITHOUT(word, BO_IN); MAY;
     if :: word & (BO_NOTE | BO_SENDERS) -> drain() :: else fi;
     foreign_code = true; MAY; foreign_code = false
  :: inside = true
  fi;
  /* bo_retire() */
#ifndef FAULT_ABANDON
  if :: inside -> word = WITHOUT(word, BO_IN); drain() :: else fi;
#endif
  word = (word & BO_SENDERS) + GENERATION_BIT;           /* bo_generation_end() */
#ifndef FAULT_PINS
  do
  :: atomic { pins == 0 -> break }
  :: atomic { pins != 0 -> sleeps = ON_PINS }
     do :: atomic { sleeps != AWAKE && pend -> arrives(); sleeps = AWAKE } :: sleeps == AWAKE -> break od
  od;
#endif
#ifndef FAULT_SENDERS
  await_senders();
#endif
  atomic { assert(writing == 0); records = 0 }          /* closed */
  atomic { inside = false;
#ifndef FAULT_SENDERS
    assert(SENDERS(word) == 0);
#endif
    word = GENERATION_BIT + BO_LIVE }                    /* bo_publish() */
  foreign_code = true; MAY; foreign_code = false;
  atomic { assert(records == 0); exited = true } }

init { atomic { byte i; for (i : 1 .. NPOST) { run poster() }; run ticker(); run target() } }
