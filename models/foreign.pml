/* SPDX-License-Identifier: MIT */
/*
 * Calls of code that was not written for bough: FOREIGN_DUE and SILENT_DUE, delivery there and the suppression after
 * it, taking it back, and becoming due again after the grace period. README.md lists what is checked. The signal is
 * modelled in call.pml: here a step that sets one of the due bits in a thread that is in a call sets `wake`.
 */
#ifndef NPOST
#define NPOST 2
#endif
#ifndef OPS
#define OPS 2           /* calls of the thread, clears, failures taken back */
#endif

#define BO_DUE 1
#define BO_FOREIGN_DUE 2
#define BO_SILENT_DUE 4
#define BO_ALL_DUE 7
#define BO_IN 8
#define BO_CHANGE 16    /* four bits, never more than 15 changes */
#define WITHOUT(w, bits) ((w) & (255 - (bits)))

/* Sorts of calls: bough's own (0), those that can report an interrupt (1), silent waits (2). BIT:
 * bo_foreign_due_bit(). */
#define BIT(sort) (1 << (sort))

byte word;
byte posts, low, high;          /* records written; the first and the last pending one; 0: none */
byte posted;
bool wake, work, ticking;

byte seq[3];                    /* t->reported (1) and t->silenced (2): records up to this one do not count, */
bool lasts[3];                  /* the grace period is not over yet */
byte delivered[3];              /* ghost: of that sort, within the present grace period */

mtype = { CODE, GONE, SET, ASLEEP, LEAVE, CUT, CUT_LOOK, SEQ, FIND, SUPPRESS, SETTLE_LOAD, SETTLE_FOREIGN, SETTLE_FOREIGN_LATE,
          SETTLE_SILENT, SETTLE_SILENT_LATE, SETTLE_STEP };
mtype pc = CODE;
byte ops = OPS, sort, w, upto, met, looked;     /* looked: ghost */
bool foreign_due, silent_due, again, cut;

#define MUFFLED(s) (high <= seq[s] && lasts[s])
#define PENDS(s) (high > 0 && ((s) == 0 || !MUFFLED(s)))
#define FIRST(s) (lasts[s] && seq[s] >= low -> seq[s] + 1 : low)     /* the reason: the record that was posted first */
#define GRACE_RUNS (lasts[1] || lasts[2])
#ifdef FAULT_GRACE
#define RAN_OUT(s) true
#else
#define RAN_OUT(s) (!lasts[s])                  /* grace_ran_out() */
#endif
#define QUIET (posted == NPOST && !work && !ticking && !GRACE_RUNS)

/* bo_wake_step(): also by the ticker. The edge: any of the bits rises. */
inline post_step() {
#ifdef FAULT_EDGE
  wake = wake || ((word & BO_IN) && !(word & BO_DUE));
#else
  wake = wake || ((word & BO_IN) && (word & BO_ALL_DUE) != BO_ALL_DUE);
#endif
#ifdef FAULT_CHANGES
  if :: (word & BO_ALL_DUE) != BO_ALL_DUE -> word = word + BO_CHANGE :: else fi;
#else
  word = word + BO_CHANGE;
#endif
  word = word | BO_ALL_DUE }

proctype poster() {
  atomic { posts++; if :: high == 0 -> low = posts :: else fi; high = posts }
  atomic { post_step() }
  posted++ }

/* suppressed_until() */
#define WAITS_FOR(s) (seq[s] != 0 && !(word & BIT(s)))
#define SUPPRESSED ((word & BO_DUE) && (WAITS_FOR(1) || WAITS_FOR(2)))

/* bo_foreign_look() */
proctype ticker() {
  end: do
  :: atomic { work -> work = false; ticking = true }
     do
     :: atomic { !SUPPRESSED -> break }
     :: atomic { SUPPRESSED && ((WAITS_FOR(1) && !lasts[1]) || (WAITS_FOR(2) && !lasts[2])) ->
#ifdef FAULT_TICKER
          word = word | BO_ALL_DUE
#else
          skip
#endif
        }
        atomic { post_step(); break }
     od;
     ticking = false
  od }

/* Time passes. */
proctype clock() {
  end: do
  :: atomic { lasts[1] -> lasts[1] = false; delivered[1] = 0 }
  :: atomic { lasts[2] -> lasts[2] = false; delivered[2] = 0 }
  od }

#define GO(place) pc = place

inline step() {
  if
  :: pc == CODE && ops > 0 ->
     if
     :: ops--; sort = 0; GO(SET)
     :: ops--; sort = 1; GO(SET)
     :: ops--; sort = 2; GO(SET)
     :: ops--; high = 0; GO(SETTLE_LOAD)                       /* bough_clear() */
     :: seq[1] != 0 -> ops--; seq[1] = 0; delivered[1] = 0;    /* bo_foreign_take_back() */
#ifdef FAULT_TAKE_BACK
        lasts[1] = false
#else
        lasts[1] = false; GO(SETTLE_LOAD)
#endif
     fi
  :: pc == CODE && ops == 0 -> GO(GONE)

  :: pc == SET -> cut = false; word = word | BO_IN;
     if :: word & BIT(sort) -> cut = true; GO(LEAVE) :: else -> GO(ASLEEP) fi
  :: pc == LEAVE -> word = WITHOUT(word, BO_IN); wake = false; if :: cut -> GO(CUT) :: else -> GO(CODE) fi
  :: pc == CUT -> if :: word & BIT(sort) -> GO(CUT_LOOK) :: else -> GO(SET) fi
  :: pc == CUT_LOOK ->
     if
     :: PENDS(sort) && sort == 0 -> GO(CODE)
     :: PENDS(sort) && sort > 0 -> GO(SEQ)
     :: else -> again = true; GO(SETTLE_LOAD)
     fi

  /* bo_foreign_deliver(), bo_foreign_silence() */
#ifndef FAULT_SEQ
  :: pc == SEQ -> upto = high; GO(FIND)
  :: pc == FIND -> met = (PENDS(sort) -> FIRST(sort) : 0); looked = high; GO(SUPPRESS)
#else
  :: pc == SEQ -> met = (PENDS(sort) -> FIRST(sort) : 0); looked = high; GO(FIND)
  :: pc == FIND -> upto = high; GO(SUPPRESS)
#endif
  :: pc == SUPPRESS ->
     if
     :: met > 0 ->
          assert(met != delivered[sort]);                       /* rule 22: once in a grace period */
          assert(upto <= looked);                               /* only delivered records are suppressed */
          seq[2] = upto; lasts[2] = true; delivered[2] = met;
          if :: sort == 1 -> seq[1] = upto; lasts[1] = true; delivered[1] = met :: else fi
     :: else
     fi;
     upto = 0; met = 0; looked = 0; GO(SETTLE_LOAD)

  /* bo_level_recompute(); grace_ran_out() */
  :: pc == SETTLE_LOAD -> w = word; GO(SETTLE_FOREIGN)
  :: pc == SETTLE_FOREIGN -> foreign_due = PENDS(1); if :: foreign_due -> GO(SETTLE_SILENT) :: else -> GO(SETTLE_FOREIGN_LATE) fi
  :: pc == SETTLE_FOREIGN_LATE -> if :: RAN_OUT(1) -> seq[1] = 0; foreign_due = high > 0 :: else fi; GO(SETTLE_SILENT)
  :: pc == SETTLE_SILENT -> silent_due = PENDS(2); if :: silent_due -> GO(SETTLE_STEP) :: else -> GO(SETTLE_SILENT_LATE) fi
  :: pc == SETTLE_SILENT_LATE -> if :: RAN_OUT(2) -> seq[2] = 0; silent_due = high > 0 :: else fi; GO(SETTLE_STEP)
  :: pc == SETTLE_STEP && word != w -> GO(SETTLE_LOAD)
  :: pc == SETTLE_STEP && word == w ->
     word = WITHOUT(word, BO_ALL_DUE);
     if :: high > 0 -> word = word | BO_DUE | (foreign_due -> BO_FOREIGN_DUE : 0) | (silent_due -> BO_SILENT_DUE : 0) :: else fi;
#ifndef FAULT_LOOK
     if :: (word & BO_DUE) && (word & BO_ALL_DUE) != BO_ALL_DUE -> work = true :: else fi;
#endif
     w = 0; foreign_due = false; silent_due = false;
     if :: again -> again = false; GO(SET) :: else -> GO(CODE) fi
  fi }

proctype target() {
  do
  :: atomic { pc != GONE && pc != ASLEEP -> step() }
  :: atomic { pc == ASLEEP && wake -> wake = false; if :: word & BIT(sort) -> cut = true; GO(LEAVE) :: else fi }
  :: atomic { pc == ASLEEP && !wake && QUIET && high == 0 -> GO(LEAVE) }
  :: atomic { pc == GONE && QUIET -> assert(!(word & BO_IN)); assert(high == 0 || (word & BO_DUE)); break }
  od }

init { atomic { byte i; for (i : 1 .. NPOST) { run poster() }; run ticker(); run clock(); run target() } }
