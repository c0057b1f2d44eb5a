/* SPDX-License-Identifier: MIT */
/*
 * Marking a branch against adding to it and against its end (rules 4 and 6): the record, the bits that show where
 * threads below a branch are, and the notes that walks leave in branches. README.md lists what is checked.
 *
 * A thread has branch OUTER open, opens INNER in it, adds children, ends INNER, and begins again in the same slots.
 * Another thread adds a child to its branch, OTHER, in any free slot; a thread below INNER adds a child to INNER at the
 * same time. Posters post to INNER or OUTER. All slots lie in one part of a group: they share a bit of bo_reach.
 */
#ifndef NPOST
#define NPOST 1
#endif
#ifndef ROUNDS
#define ROUNDS 2        /* generations of INNER */
#endif
#ifndef CHILDREN
#define CHILDREN 1      /* in each of them */
#endif
#ifndef SLOTS
#define SLOTS 1         /* of children */
#endif

#define INNER 0
#define OUTER 1
#define OTHER 2
#define NONE 3
#define ENDED 7         /* no generation of a record */

/* Branches: */
bool is_open[3]; byte branch_generation[3], live[3], pins[3];
bool sleeps[3];                         /* the owner sleeps, on the futex word `pins` */
bool marked[3]; byte record[3] = ENDED; /* a bit in target->due; the generation whose record is pending */
bool writing[3];                        /* ghost: a poster writes the record */
byte innermost = OUTER;                 /* t->top of their owner */
bool reach[3], sure[3];
byte marks = 1, ahead[3];               /* INNER's: nothing around it since this mark; 0: not known */

/* Children's slots: */
bool taken[SLOTS], LIVE[SLOTS], due[SLOTS], started[SLOTS];
byte generation[SLOTS], parent[SLOTS] = NONE;

byte posted;
#define QUIET (posted == NPOST)
#define IS_BELOW(slot, target) (parent[slot] == (target) || ((target) == OUTER && parent[slot] == INNER))

inline unpin(b) {
#ifdef FAULT_UNPIN
  pins[b]--
#else
  atomic { pins[b]--; if :: pins[b] == 0 -> sleeps[b] = false :: else fi }
#endif
}

/* bo_post() */
proctype poster() {
  byte target, g, slot, seen; bool alone, below;
  atomic { if :: target = INNER :: target = OUTER fi; g = branch_generation[target] }
#ifdef FAULT_PIN_ORDER
  if :: is_open[target] && branch_generation[target] == g -> pins[target]++ :: else -> goto done fi;
#else
  pins[target]++;
  if :: is_open[target] && branch_generation[target] == g -> skip :: else -> unpin(target); goto done fi;
#endif
  atomic { if :: record[target] == g -> skip :: else -> writing[target] = true; record[target] = g fi }
  atomic { assert(branch_generation[target] == g || pins[target] > 0);
           assert(record[target] == g);                                /* rule 6: a record is of one generation */
           writing[target] = false; marked[target] = true }
  /* has_subtree() */
  alone = (live[target] == 0);
  if :: alone -> alone = (innermost == target) :: else fi;
  if :: alone -> goto woken_all :: else fi;
#if !defined(FAULT_MARKS) && !defined(FAULT_MARKS_LATE)
  marks++;                                                             /* bo_tree_marked() */
#endif
  /* wake_scanned(), bo_scan_next() */
  slot = (reach[target] -> 0 : SLOTS);
  do
  :: slot < SLOTS ->
     atomic { below = LIVE[slot]; seen = generation[slot] }
     if :: below -> below = IS_BELOW(slot, target) :: else fi;
     if
     :: below -> atomic {
#ifndef FAULT_GENERATION
          if :: LIVE[slot] && generation[slot] == seen ->
#else
          if :: LIVE[slot] ->
#endif
               assert(IS_BELOW(slot, target));                         /* no other thread is marked */
               due[slot] = true
             :: else
          fi }
     :: else
     fi;
     slot++
  :: else -> break
  od;
#ifdef FAULT_MARKS_LATE
  marks++;
#endif
woken_all:
  unpin(target);
done:
  atomic { posted++; target = 0; g = 0; slot = 0; seen = 0; alone = false; below = false } }

/* bo_branch_ahead() from INNER. `is`: whether OUTER has a mark, as far as the walk sees it. */
inline look_ahead(is) {
  number = marks;
  if
  :: ahead[INNER] == number -> is = false
  :: else ->
     is = marked[OUTER];
#ifdef FAULT_NOTE
     number = marks;
#endif
     if :: !is -> ahead[INNER] = number :: else fi
  fi;
  number = 0 }

/* A worker runs whatever is started in its slot. */
proctype worker(byte slot) { byte b, number; bool found;
  end: do
  :: atomic { started[slot] -> started[slot] = false; b = parent[slot] }
     /* It sleeps in a call: if a mark is missed, the child never wakes. */
     if
     :: true -> skip                                                   /* it ends without an interrupt */
     :: true ->
        if
        :: due[slot] ->
           /* It searches for the record, which must exist, or it would sleep again. */
           found = marked[b];
           if :: !found && b == INNER -> look_ahead(found) :: else fi;
           assert(found);
           found = false
        :: atomic { QUIET && record[INNER] == ENDED && record[OUTER] == ENDED }
        :: atomic { QUIET && b == OTHER }
        fi
     fi;
     atomic { LIVE[slot] = false; generation[slot]++ }                 /* bo_retire() */
     parent[slot] = NONE;
     taken[slot] = false;
     live[b]--;                                                        /* bo_child_gone() */
     b = 0
  od }

inline look(b) {
#ifdef FAULT_OUTER
  refused = marked[b] && record[b] != ENDED
#else
  refused = marked[b] && record[b] != ENDED;
  if :: !refused && b == INNER -> look_ahead(refused); refused = refused && record[OUTER] != ENDED :: else fi
#endif
}

/* bo_reach_add() */
#ifdef FAULT_SURE
#define IS_SURE(b) reach[b]
#else
#define IS_SURE(b) sure[b]
#endif
inline reach_add(b) {
  if
  :: IS_SURE(b)
  :: else ->
     reach[b] = true;
     if :: b == INNER -> reach[OUTER] = true :: else fi;
     sure[b] = true;
     if :: b == INNER -> sure[OUTER] = true :: else fi
  fi }

/* bough_add(): wake/post.h has the argument. */
inline add(b) {
  atomic { if :: !taken[0] -> slot = 0
#if SLOTS > 1
              :: !taken[1] -> slot = 1
#endif
           fi; taken[slot] = true }
#ifdef FAULT_LOOK
  look(b);
#endif
#ifndef FAULT_LIVE
  live[b]++;
#endif
  parent[slot] = b;
#ifndef FAULT_REACH
  reach_add(b);
#endif
  atomic { LIVE[slot] = true; due[slot] = false }                      /* bo_publish() */
#ifndef FAULT_LOOK
  look(b);
#endif
#ifdef FAULT_LIVE
  live[b]++;
#endif
#ifdef FAULT_REACH
  reach_add(b);
#endif
  if
  :: refused -> atomic { LIVE[slot] = false; generation[slot]++ }      /* withdraw() */
     parent[slot] = NONE; taken[slot] = false; live[b]--
  :: else -> started[slot] = true
  fi;
  atomic { refused = false; slot = 0 } }

/* bough_branch_end(): join_children(), bo_generation_end(). */
inline end_branch(b) {
  (live[b] == 0);
  assert(!LIVE[0] || parent[0] != b);
  if :: b == INNER -> innermost = OUTER :: else fi;
  atomic { is_open[b] = false; branch_generation[b]++ }
#ifndef FAULT_PINS
  do
  :: atomic { pins[b] == 0 -> break }
  :: atomic { pins[b] != 0 -> sleeps[b] = true }
     !sleeps[b]
  od;
#endif
  atomic { assert(!writing[b]);                                        /* no poster is still writing */
           record[b] = ENDED; marked[b] = false } }

/* A child of INNER, which adds another one. */
proctype second() { byte slot, number; bool refused;
  add(INNER);
  live[INNER]-- }

proctype owner() { byte round, child, slot, number; bool refused;
  round = 0;
  do
  :: round < ROUNDS ->
     atomic {
#ifndef FAULT_PLACE
       ahead[INNER] = 0;                                               /* bo_branch_place() */
#endif
       reach[INNER] = false; sure[INNER] = false }
     innermost = INNER; is_open[INNER] = true;
#ifdef WITH_SECOND
     if :: round == 0 -> live[INNER]++; run second() :: else fi;
#endif
     child = 0;
     do
     :: child < CHILDREN -> add(INNER); child++
     :: else -> break
     od;
     end_branch(INNER);
     round++
  :: else -> break
  od;
  end_branch(OUTER) }

proctype other() { byte slot, number; bool refused;
  add(OTHER) }

init { atomic { byte i;
  is_open[OUTER] = true; is_open[OTHER] = true;
  for (i : 0 .. SLOTS - 1) { run worker(i) }
  for (i : 1 .. NPOST) { run poster() }
  run owner();
#ifdef WITH_OTHER
  run other();
#endif
  } }
