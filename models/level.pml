/* SPDX-License-Identifier: MIT */
/*
 * Levels: settling, masking and unmasking, budgets, clears, and calls that a handler makes in between. README.md lists
 * what is checked.
 *
 * The signal itself is modelled in call.pml: here a step that sets DUE in a thread that is in a call sets `wake`, which
 * ends the sleep of the innermost call.
 */
#ifndef NPOST
#define NPOST 2
#endif
#ifndef HRUNS
#define HRUNS 1         /* handlers, one after the other */
#endif
#ifndef OPS
#define OPS 3           /* operations of the thread, including handlers: begin a section, end it, clear, call */
#endif

#define BO_DUE 1
#define BO_PENDING 2
#define BO_DISABLED 4
#define BO_TIMED 8
#define BO_OVERRUN 16
#define BO_IN 32
#define BO_CHANGE 64    /* `changes`: four bits here; never more than 15 happen */
#define BITS 63
#define CHANGED(w) ((((w) & (15 * BO_CHANGE)) + BO_CHANGE) & (15 * BO_CHANGE) | ((w) & BITS))
#define WITHOUT(w, bits) ((w) & (1023 - (bits)))

short word;
bool record;
byte posted;
bool wake;
bool work, ticking;             /* the ticker's list */
byte hleft = HRUNS, ops = OPS;

byte crit_depth;                /* t->open.critical; the owner's */
byte sections;                  /* ghost: how many have begun */
bool protects;                  /* ghost: the section is entered, and its budget is not used up */
bool spent;                     /* this incident's pauses have used up the budget */

mtype = { CODE, GONE, SET, ASLEEP, LEAVE, CUT, CUT_LOOK, SETTLE_LOAD, SETTLE_LOOK, SETTLE_CLEARED, SETTLE_STEP,
          SECTION_COUNT, SECTION_SPENT, LEVEL_SET, LEVEL_AFTER };
mtype pc[2] = CODE;
short w[2];
bool found[2], again[2], cut[2], outer[2], mine[2];     /* mine: the frame has a section open */
byte top;

#define QUIET (posted == NPOST && !work && !ticking)
#define GO(place) pc[top] = place

/* The word after a post, and the edge. */
inline post_step() {
#ifdef FAULT_CHANGES
  if :: (word & BO_PENDING) && ((word & BO_DUE) || (word & BO_DISABLED)) -> skip :: else -> word = CHANGED(word) fi;
#else
  word = CHANGED(word);
#endif
  word = word | BO_PENDING;
  if
  :: !(word & BO_DISABLED) -> wake = wake || ((word & BO_IN) && !(word & BO_DUE)); word = word | BO_DUE
  :: else
  fi }

proctype poster() { bool timed;
  record = true;
  atomic { post_step(); timed = (word & BO_TIMED) != 0 }
#ifndef FAULT_TIMED
  if :: timed -> work = true :: else fi;
#endif
  posted++ }

/* look_at_section(): as often as the thread is listed; the time may be over at any moment after a look. */
proctype ticker() { short seen; byte section;
  end: do
  :: atomic { work -> work = false; ticking = true; seen = word; section = sections }
     do
     :: atomic { !((seen & BO_PENDING) && (seen & BO_TIMED)) -> break }
     :: atomic { (seen & BO_PENDING) && (seen & BO_TIMED) && word != seen -> seen = word; section = sections }
     :: atomic { (seen & BO_PENDING) && (seen & BO_TIMED) && word == seen ->
          assert(section == sections);                  /* rule 17: the section that was examined */
          word = WITHOUT(word, BO_DISABLED | BO_TIMED) | BO_OVERRUN; protects = false; spent = true }
        atomic { post_step(); seen = 0; section = 0 }
     od;
     ticking = false
  od }

/* set_level(): the word follows the regions. */
#ifdef FAULT_NESTED
#define SECTION_IS_OPEN mine[top]       /* the end of an inner section ends the outer one */
#else
#define SECTION_IS_OPEN (crit_depth > 0)
#endif
inline set_level() {
  word = WITHOUT(word, BO_DISABLED | BO_TIMED);
  if :: crit_depth == 0 -> word = WITHOUT(word, BO_OVERRUN) :: else fi;
  if
  :: SECTION_IS_OPEN && !(word & BO_OVERRUN) -> word = WITHOUT(word, BO_DUE) | BO_DISABLED | BO_TIMED
  :: else ->
#ifndef FAULT_UNMASK
     if :: (w[top] & BO_DISABLED) && (word & BO_PENDING) -> word = word | BO_DUE :: else fi
#endif
  fi }

inline step() {
  if
  :: pc[top] == CODE && ops > 0 ->
     if
     :: ops--; record = false; spent = false; GO(SETTLE_LOAD)                  /* bough_clear() */
     :: ops--; GO(SET)                                                         /* bough_read() */
     :: !mine[top] && ops > 0 -> ops--; mine[top] = true; crit_depth++;        /* bough_critical_begin() */
        if :: crit_depth == 1 -> GO(SECTION_COUNT) :: else -> GO(LEVEL_SET) fi
     :: mine[top] -> mine[top] = false; crit_depth--; GO(LEVEL_SET)            /* bough_region_end() */
     :: top > 0 && !mine[top] -> pc[top] = CODE; top--
     fi
  :: pc[top] == CODE && ops == 0 ->
     if
     :: mine[top] -> mine[top] = false; crit_depth--; GO(LEVEL_SET)
     :: !mine[top] && top > 0 -> top--
     :: !mine[top] && top == 0 -> GO(GONE)
     fi

  /* count_section(), bo_section_enter(), bo_level_set() */
  :: pc[top] == SECTION_COUNT -> sections++;
#ifndef FAULT_SECTION
     word = CHANGED(word);
#endif
     GO(SECTION_SPENT)
  :: pc[top] == SECTION_SPENT -> if :: (word & BO_PENDING) && spent -> word = word | BO_OVERRUN :: else fi; GO(LEVEL_SET)
  :: pc[top] == LEVEL_SET -> w[top] = word; set_level(); found[top] = (word & BO_DISABLED) != 0;
     protects = (crit_depth > 0 && !(word & BO_OVERRUN));
#ifndef FAULT_MASK
     if :: (word & BO_PENDING) && found[top] -> work = true :: else fi;        /* with signals off: no handler comes in between */
#endif
     GO(LEVEL_AFTER)
  :: pc[top] == LEVEL_AFTER ->
     if
     :: (w[top] & BO_PENDING) && !found[top] -> GO(SETTLE_LOAD)
     :: (w[top] & BO_PENDING) && found[top] -> work = true; GO(CODE)
     :: !(w[top] & BO_PENDING) -> GO(CODE)
     fi;
     w[top] = 0; found[top] = false

  /* bo_call() */
  :: pc[top] == SET -> outer[top] = !(word & BO_IN); cut[top] = false; word = word | BO_IN;
     if :: word & BO_DUE -> cut[top] = true; GO(LEAVE) :: else -> GO(ASLEEP) fi
  :: pc[top] == LEAVE ->
     if
     :: outer[top] -> word = WITHOUT(word, BO_IN); wake = false
     :: !outer[top] && (word & BO_DUE) -> wake = true                          /* bo_wake_again() */
     :: !outer[top] && !(word & BO_DUE)
     fi;
     if :: cut[top] -> GO(CUT) :: else -> GO(CODE) fi
  :: pc[top] == CUT -> if :: word & BO_DUE -> GO(CUT_LOOK) :: else -> GO(SET) fi
  :: pc[top] == CUT_LOOK ->
     if
     :: record && !(word & BO_DISABLED) ->
          assert(!protects);                                   /* rule 17: a section protects */
          GO(CODE)
     :: else -> again[top] = true; GO(SETTLE_LOAD)
     fi

  /* bo_level_recompute() */
#ifdef FAULT_SETTLE_CLEARS
  :: pc[top] == SETTLE_LOAD -> word = WITHOUT(word, BO_DUE | BO_PENDING); GO(SETTLE_LOOK)
  :: pc[top] == SETTLE_LOOK -> found[top] = record; GO(SETTLE_STEP)
  :: pc[top] == SETTLE_STEP ->
     word = (found[top] -> word | BO_PENDING | (word & BO_DISABLED -> 0 : BO_DUE) : word);
#else
  :: pc[top] == SETTLE_LOAD -> w[top] = word; GO(SETTLE_LOOK)
  :: pc[top] == SETTLE_LOOK -> found[top] = record; GO(SETTLE_STEP)
  :: pc[top] == SETTLE_STEP && word != w[top] -> GO(SETTLE_LOAD)
  :: pc[top] == SETTLE_STEP && word == w[top] ->
     word = WITHOUT(word, BO_DUE | BO_PENDING) | (found[top] -> BO_PENDING | (word & BO_DISABLED -> 0 : BO_DUE) : 0);
#endif
     wake = wake || ((word & BO_DUE) && (word & BO_IN));
     if :: (word & BO_PENDING) && !(word & BO_DUE) && (word & BO_TIMED) -> work = true :: else fi;
     w[top] = 0; found[top] = false;
     if :: again[top] -> again[top] = false; GO(SET) :: else -> GO(CODE) fi
  fi }

proctype target() {
  do
  :: atomic { pc[top] != GONE && pc[top] != ASLEEP -> step() }
  :: atomic { pc[top] == ASLEEP && wake -> wake = false; if :: word & BO_DUE -> cut[top] = true; GO(LEAVE) :: else fi }
  :: atomic { pc[top] == ASLEEP && !wake && QUIET && !record -> GO(LEAVE) }
  :: atomic { top == 0 && hleft > 0 && ops > 0 && pc[0] != GONE -> hleft--; top++ }
  :: atomic { top == 0 && hleft > 0 -> hleft-- }
  :: atomic { pc[0] == GONE && QUIET ->
       assert(!(word & (BO_IN | BO_DISABLED | BO_TIMED | BO_OVERRUN)));
       assert(!record || (word & BO_DUE));              /* no post is overlooked */
       assert(!(word & BO_DUE) || (word & BO_PENDING));
       break }
  od }

init { atomic { byte i; for (i : 1 .. NPOST) { run poster() }; run ticker(); run target() } }
